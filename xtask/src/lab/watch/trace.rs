//! The kernel's trace of KVM: which exits there were, and when the guest came to certain places.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::Phase;
use crate::sh;

const DIR: &str = "/sys/kernel/tracing";
const EVENTS: &[&str] = &["kvm_exit", "kvm_pio", "kvm_mmio", "kvm_userspace_exit"];
/// Of a guest that goes on: each event takes time, and here it is the time that counts.
const LOADED_EVENTS: &[&str] = &["kvm_pio"];
/// Not KVM's word: exits that went on to the VMM.
const TO_VMM: &str = "to the VMM";
const BEGIN: &str = "begin";
/// What a request to load a snapshot is marked by; a guest that goes on is looked at from there on.
const ASKED: &str = "asked";
/// Enough for 100,000 events.
const BUFFER_KIB: &str = "20000";

/// What the VMM does with its guest.
#[derive(Clone, Copy)]
pub(super) enum Traced {
    Boot,
    Load,
}

/// A trace under way.
pub(super) struct Trace(Traced);

/// What a trace told.
#[derive(Default)]
pub(super) struct Told {
    /// Exits by reason.
    pub(super) reasons: BTreeMap<String, u64>,
    /// Of a boot.
    pub(super) phases: Vec<Phase>,
    /// From a request to load a snapshot to the end of the guest's first whole word.
    pub(super) word_ms: Option<f64>,
}

impl Trace {
    /// Begins it; the VMM is started next.
    pub(super) fn begin(traced: Traced) -> Result<Self> {
        let mut mount = Command::new("mount");
        sh::check(mount.args(["-t", "tracefs", "tracefs", DIR]))?;
        write("buffer_size_kb", BUFFER_KIB)?;
        // Of the guest before.
        write("trace", "")?;
        let events = match traced {
            Traced::Boot => EVENTS,
            Traced::Load => LOADED_EVENTS,
        };
        events.iter().try_for_each(|event| write(&format!("events/kvm/{event}/enable"), "1"))?;
        write("tracing_on", "1")?;
        write("trace_marker", BEGIN)?;
        Ok(Self(traced))
    }

    /// Marks the request to load a snapshot.
    pub(super) fn mark_request(&self) -> Result<()> {
        write("trace_marker", ASKED)
    }

    /// Ends it.
    pub(super) fn end(self, word: &str) -> Result<Told> {
        write("tracing_on", "0")?;
        let text = fs::read_to_string(format!("{DIR}/trace")).context("read the trace")?;
        sh::check(Command::new("umount").arg(DIR))?;
        Ok(told(&text, self.0, word))
    }
}

fn told(text: &str, traced: Traced, word: &str) -> Told {
    match traced {
        Traced::Boot => Told { reasons: reasons(text), phases: phases(text), word_ms: None },
        Traced::Load => Told { word_ms: first_word_ms(text, word), ..Told::default() },
    }
}

fn write(file: &str, text: &str) -> Result<()> {
    fs::write(format!("{DIR}/{file}"), text).with_context(|| format!("write {file} of the trace"))
}

fn reasons(text: &str) -> BTreeMap<String, u64> {
    let mut reasons = BTreeMap::new();
    for event in events(text) {
        let reason = match event.name {
            "kvm_exit" => event.after("reason "),
            "kvm_userspace_exit" => Some(TO_VMM),
            _ => None,
        };
        if let Some(reason) = reason {
            *reasons.entry(reason.to_owned()).or_default() += 1;
        }
    }
    reasons
}

/// Whether a phase begins with an event.
type Begins = fn(&Event<'_>) -> bool;

/// The names of phases, and what they begin with.
const PHASES: [(&str, Begins); 4] = [
    ("first instruction", |event| event.name == "kvm_exit" && event.task.starts_with("vcpu")),
    ("first look at the serial port", |event| event.name == "kvm_pio" && is_within(event.after("at "), 0x3f8, 8)),
    ("first look at a virtio device", |event| {
        event.name == "kvm_mmio" && is_within(event.after("gpa "), 0xd000_1000, 0x12000)
    }),
    ("init runs", |event| event.name == "kvm_mmio" && is_within(event.after("gpa "), 0xc000_0000, 1)),
];

fn phases(text: &str) -> Vec<Phase> {
    let begin = marked(text, BEGIN).unwrap_or_default();
    let mut found: [Option<Phase>; PHASES.len()] = Default::default();
    let mut exits = 0;
    for event in events(text) {
        exits += u64::from(event.name == "kvm_exit");
        for (slot, (name, begins)) in found.iter_mut().zip(PHASES) {
            if slot.is_none() && begins(&event) {
                *slot = Some(Phase { name: name.into(), ms: (event.seconds - begin) * 1e3, exits });
            }
        }
    }
    found.into_iter().flatten().collect()
}

/// When a whole word had gone out by the serial port.
fn first_word_ms(text: &str, word: &str) -> Option<f64> {
    let asked = marked(text, ASKED)?;
    let mut said = String::new();
    events(text).filter(|event| event.seconds >= asked).find_map(|event| {
        said.extend(event.sent());
        said.ends_with(word).then_some((event.seconds - asked) * 1e3)
    })
}

/// When a mark was made.
fn marked(text: &str, mark: &str) -> Option<f64> {
    let is_mark = |event: &Event<'_>| event.name == "tracing_mark_write" && event.rest == mark;
    events(text).find(is_mark).map(|event| event.seconds)
}

/// A line: `TASK-PID [CPU] FLAGS SECONDS: NAME: REST`.
struct Event<'a> {
    task: &'a str,
    seconds: f64,
    name: &'a str,
    rest: &'a str,
}

impl Event<'_> {
    /// The word that follows `key`.
    fn after(&self, key: &str) -> Option<&str> {
        self.rest.split_once(key)?.1.split(' ').next()
    }

    /// What the guest sends by the serial port.
    fn sent(&self) -> Option<char> {
        if !self.rest.starts_with("pio_write at 0x3f8 ") {
            return None;
        }
        u8::from_str_radix(self.after("val 0x")?, 16).ok().map(char::from)
    }
}

fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    text.lines().filter_map(|line| {
        let (task, rest) = line.split_once(" [")?;
        let (head, rest) = rest.split_once(": ")?;
        let (name, rest) = rest.split_once(": ")?;
        let seconds = head.rsplit(' ').next()?.parse().ok()?;
        Some(Event { task: task.trim_start(), seconds, name, rest })
    })
}

fn is_within(word: Option<&str>, start: u64, len: u64) -> bool {
    let number = word.and_then(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    number.is_some_and(|number| (start..start + len).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# tracer: nop
           xtask-200     [000] .....     7.000000: tracing_mark_write: begin
           trial-205     [000] d..1.     7.001000: kvm_exit: vcpu 0 reason npf rip 0x1000 info1 0x2
          vcpu 0-208     [000] d..1.     7.030000: kvm_exit: vcpu 0 reason io rip 0x1000a30 info1 0x0
          vcpu 0-208     [000] .....     7.030700: kvm_pio: pio_write at 0x3f9 size 1 count 1 val 0x5a
          vcpu 0-208     [000] .....     7.030800: kvm_userspace_exit: reason KVM_EXIT_IO (2)
          vcpu 0-208     [000] d..1.     7.040000: kvm_exit: vcpu 0 reason npf rip 0x1000a30 info1 0x0
          vcpu 0-208     [000] .....     7.041000: kvm_mmio: mmio write len 1 gpa 0xc0000000 val 0x7b
";

    #[test]
    fn exits_are_counted_by_reason_and_phase() {
        let Told { reasons, phases, word_ms } = told(TEXT, Traced::Boot, "Z");
        assert_eq!((reasons["npf"], reasons["io"], reasons[TO_VMM], word_ms), (2, 1, 1, None));
        let seen: Vec<_> = phases.iter().map(|phase| (phase.name.as_str(), phase.ms.round(), phase.exits)).collect();
        let expected =
            [("first instruction", 30.0, 2), ("first look at the serial port", 31.0, 2), ("init runs", 41.0, 3)];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_guest_that_goes_on_is_timed_from_the_request() {
        let text = "\
           xtask-200     [000] .....     7.000000: tracing_mark_write: begin
           trial-205     [000] d..1.     7.001000: kvm_exit: vcpu 0 reason npf rip 0x1000 info1 0x2
           xtask-200     [000] .....     7.002000: tracing_mark_write: asked
          vcpu 0-208     [000] .....     7.007000: kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0x65
          vcpu 0-208     [000] .....     7.008000: kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0x68
          vcpu 0-208     [000] .....     7.009000: kvm_pio: pio_write at 0x3f9 size 1 count 1 val 0x0
          vcpu 0-208     [000] .....     7.011000: kvm_pio: pio_write at 0x3f8 size 1 count 1 val 0x69
";
        let word_ms = |word: &str| told(text, Traced::Load, word).word_ms.map(f64::round);
        assert_eq!((word_ms("hi"), word_ms("ho")), (Some(9.0), None));
    }
}
