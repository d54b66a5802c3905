//! Small files: limits, io, personality, syscall, children, attr.

use alloc::vec::Vec;

use super::PidSubject;
use crate::Errno;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};
use crate::task::{INFINITY, Limit, Resource};

/// uid_map and its like: the sandbox's users are its own.
pub(super) const ID_MAP: &str = "         0          0 4294967295\n";
/// timens_offsets
pub(super) const TIME_OFFSETS: &str = "monotonic           0         0\nboottime            0         0\n";

/// Without a security module, reading is `EINVAL`.
pub(super) static ATTR: Directory<PidSubject> = Directory::of(&[
    Entry::text("current", |_, _| Err(Errno::EINVAL)).mode(0o666),
    Entry::text("exec", |_, _| Err(Errno::EINVAL)).mode(0o666),
    Entry::text("fscreate", |_, _| Err(Errno::EINVAL)).mode(0o666),
    Entry::text("keycreate", |_, _| Err(Errno::EINVAL)).mode(0o666),
    Entry::text("prev", |_, _| Err(Errno::EINVAL)),
    Entry::text("sockcreate", |_, _| Err(Errno::EINVAL)).mode(0o666),
]);

/// /proc/PID/limits
pub(super) fn limits(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let limits = subject.process()?.limits();
    let mut text = Text::new();
    writeln!(text, "{:<25} {:<20} {:<20} {:<10}", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (resource, name, unit) in Resource::ALL {
        let Limit { soft, hard } = limits.get(resource);
        write!(text, "{name:<25} {:<20} {:<20} ", shown(soft), shown(hard));
        if !unit.is_empty() {
            write!(text, "{unit:<10}");
        }
        text.bytes(b"\n");
    }
    text.finish()
}

fn shown(limit: u64) -> alloc::string::String {
    if limit == INFINITY { "unlimited".into() } else { alloc::format!("{limit}") }
}

/// /proc/PID/io. No disk is read or written: files are in memory, or the host's.
pub(super) fn io(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let counts = match &subject.task {
        Some(_) => subject.task()?.transfers(),
        None => subject.process()?.transfers(),
    };
    let mut text = Text::new();
    writeln!(text, "rchar: {}\nwchar: {}", counts.read_bytes, counts.written_bytes);
    writeln!(text, "syscr: {}\nsyscw: {}", counts.reads, counts.writes);
    for name in ["read_bytes", "write_bytes", "cancelled_write_bytes"] {
        writeln!(text, "{name}: 0");
    }
    text.finish()
}

/// /proc/PID/personality
pub(super) fn personality(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    writeln!(text, "{:08x}", subject.task()?.settings.lock().personality);
    text.finish()
}

/// /proc/PID/syscall: which call a task waits in is not told.
pub(super) fn syscall(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let text: &[u8] = if subject.task()?.state_letter() == 'R' { b"running\n" } else { b"-1 0x0 0x0\n" };
    Ok(text.to_vec())
}

/// /proc/PID/task/TID/children: with the leader, since who of its tasks made a child is not kept.
pub(super) fn children(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let (process, task) = (subject.process()?, subject.task()?);
    let mut text = Text::new();
    if task.is_leader() {
        let tree = process.pids().tree();
        for child in tree.node(process.pid()).map_or(&[][..], |node| &node.children) {
            write!(text, "{child} ");
        }
    }
    text.finish()
}
