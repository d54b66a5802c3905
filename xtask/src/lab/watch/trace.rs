//! The kernel's trace of KVM: which exits there were, and when the guest came to certain places.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Phase, Traced};
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
/// The phase with which a guest that goes on is heard.
pub const FIRST_WORD: &str = "first word";
/// Enough for 100,000 events.
const BUFFER_KIB: &str = "20000";

/// A trace under way.
pub(super) struct Trace(());

impl Trace {
    /// Begins it; the VMM is started next, to boot a guest or to load one.
    pub(super) fn begin(loads: bool) -> Result<Self> {
        let mut mount = Command::new("mount");
        sh::check(mount.args(["-t", "tracefs", "tracefs", DIR]))?;
        write("buffer_size_kb", BUFFER_KIB)?;
        // Of the guest before.
        write("trace", "")?;
        let events = if loads { LOADED_EVENTS } else { EVENTS };
        events.iter().try_for_each(|event| write(&format!("events/kvm/{event}/enable"), "1"))?;
        write("tracing_on", "1")?;
        write("trace_marker", BEGIN)?;
        Ok(Self(()))
    }

    /// Ends it: exits by reason, and phases.
    pub(super) fn end(self, word: &str) -> Result<(BTreeMap<String, u64>, Vec<Phase>)> {
        write("tracing_on", "0")?;
        let text = fs::read_to_string(format!("{DIR}/trace")).context("read the trace")?;
        sh::check(Command::new("umount").arg(DIR))?;
        Ok((reasons(&text), phases(&text, word)))
    }
}

/// Marks a request to load a snapshot, where there is a trace.
pub(super) fn mark_request(traced: Traced) -> Result<()> {
    match traced {
        Traced::Yes => write("trace_marker", ASKED),
        Traced::No => Ok(()),
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

/// What a guest that goes on says first, or what happens before.
fn phases(text: &str, word: &str) -> Vec<Phase> {
    let marked = |mark: &str| events(text).find(|event| event.name == "tracing_mark_write" && event.rest == mark);
    match marked(ASKED) {
        Some(asked) => first_word(text, asked.seconds, word).into_iter().collect(),
        None => phases_since(text, marked(BEGIN).map_or(0.0, |event| event.seconds)),
    }
}

fn phases_since(text: &str, begin: f64) -> Vec<Phase> {
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

/// When a whole word went out by the serial port; exits are not counted.
fn first_word(text: &str, begin: f64, word: &str) -> Option<Phase> {
    let mut said = String::new();
    events(text).filter(|event| event.seconds >= begin).find_map(|event| {
        said.extend(event.sent());
        let ms = (event.seconds - begin) * 1e3;
        said.ends_with(word).then(|| Phase { name: FIRST_WORD.into(), ms, exits: 0 })
    })
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
        let reasons = reasons(TEXT);
        assert_eq!((reasons["npf"], reasons["io"], reasons[TO_VMM]), (2, 1, 1));
        let phases = phases(TEXT, "alive");
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
        let seen: Vec<_> = phases(text, "hi").into_iter().map(|phase| (phase.name, phase.ms.round())).collect();
        assert_eq!(seen, [(FIRST_WORD.to_owned(), 9.0)]);
        assert!(phases(text, "ho").is_empty());
    }
}
