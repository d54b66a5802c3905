//! The kernel's trace of KVM: which exits there were, and when the guest came to certain places.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::Phase;
use crate::sh;

const DIR: &str = "/sys/kernel/tracing";
const EVENTS: [&str; 4] = ["kvm_exit", "kvm_pio", "kvm_mmio", "kvm_userspace_exit"];
/// Not KVM's word: exits that went on to the VMM.
const TO_VMM: &str = "to the VMM";
const BEGIN: &str = "begin";
/// Enough for 100,000 events.
const BUFFER_KIB: &str = "20000";

/// A trace under way.
pub(super) struct Trace(());

impl Trace {
    /// Begins it; the VMM is started next.
    pub(super) fn begin() -> Result<Self> {
        let mut mount = Command::new("mount");
        sh::check(mount.args(["-t", "tracefs", "tracefs", DIR]))?;
        write("buffer_size_kb", BUFFER_KIB)?;
        // Of the guest before.
        write("trace", "")?;
        EVENTS.iter().try_for_each(|event| write(&format!("events/kvm/{event}/enable"), "1"))?;
        write("tracing_on", "1")?;
        write("trace_marker", BEGIN)?;
        Ok(Self(()))
    }

    /// Ends it: exits by reason, and phases.
    pub(super) fn end(self) -> Result<(BTreeMap<String, u64>, Vec<Phase>)> {
        write("tracing_on", "0")?;
        let text = fs::read_to_string(format!("{DIR}/trace")).context("read the trace")?;
        sh::check(Command::new("umount").arg(DIR))?;
        Ok((reasons(&text), phases(&text)))
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
    let begin = events(text).find(|event| event.name == "tracing_mark_write").map_or(0.0, |event| event.seconds);
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
        let phases = phases(TEXT);
        let seen: Vec<_> = phases.iter().map(|phase| (phase.name.as_str(), phase.ms.round(), phase.exits)).collect();
        let expected =
            [("first instruction", 30.0, 2), ("first look at the serial port", 31.0, 2), ("init runs", 41.0, 3)];
        assert_eq!(seen, expected);
    }
}
