//! /proc/PID/smaps and smaps_rollup (proc_pid_smaps(5)): what of each mapping is in memory, as the host counts it.

use alloc::vec::Vec;

use super::PidSubject;
use super::maps::{self, write_line};
use super::usage::Usage;
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};
use crate::mm::{MapLine, MappedName, Memory, VmaFlags};
use crate::platform::{Protection, RangeUsage, Sharing};

/// /proc/PID/smaps
pub(super) fn smaps(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let Ok(task) = subject.task() else { return Ok(Vec::new()) };
    let memory = task.memory();
    let mut usage = Usage::of(&memory);
    let mut text = Text::new();
    for line in maps::lines(subject, &memory) {
        let part = usage.within(&line.range);
        write_line(&mut text, &line);
        text.kib("Size", line.range.end - line.range.start);
        text.kib("KernelPageSize", 4096);
        text.kib("MMUPageSize", 4096);
        counts(&mut text, &part, locked(&part, &line), Detail::Mapping);
        writeln!(text, "THPeligible:    {:>8}", 0);
        flags(&mut text, &line);
    }
    text.finish()
}

/// /proc/PID/smaps_rollup
pub(super) fn rollup(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let task = subject.task()?;
    let memory: &Memory = &task.memory();
    let lines = maps::lines(subject, memory);
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return Ok(Vec::new()) };
    let all = MapLine {
        range: first.range.start..last.range.end,
        protection: Protection::empty(),
        sharing: Sharing::Private,
        offset: 0,
        name: MappedName { path: "[rollup]".into(), ..MappedName::default() },
        flags: VmaFlags::empty(),
    };
    let mut text = Text::new();
    write_line(&mut text, &all);
    let (mut usage, mut sum, mut locked_sum) = (Usage::of(memory), RangeUsage::default(), 0);
    for line in &lines {
        let part = usage.within(&line.range);
        locked_sum += locked(&part, line);
        sum += part;
    }
    counts(&mut text, &sum, locked_sum, Detail::Rollup);
    text.finish()
}

/// What of a mapping is locked in memory.
fn locked(usage: &RangeUsage, line: &MapLine) -> u64 {
    if line.flags.contains(VmaFlags::LOCKED) { usage.proportional } else { 0 }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Mapping,
    Rollup,
}

fn counts(text: &mut Text, usage: &RangeUsage, locked: u64, detail: Detail) {
    text.kib("Rss", usage.resident);
    text.kib("Pss", usage.proportional);
    text.kib("Pss_Dirty", usage.private_dirty);
    if detail == Detail::Rollup {
        text.kib("Pss_Anon", usage.anonymous);
        text.kib("Pss_File", usage.proportional.saturating_sub(usage.anonymous));
        text.kib("Pss_Shmem", 0);
    }
    text.kib("Shared_Clean", usage.shared_clean);
    text.kib("Shared_Dirty", usage.shared_dirty);
    text.kib("Private_Clean", usage.private_clean);
    text.kib("Private_Dirty", usage.private_dirty);
    text.kib("Referenced", usage.referenced);
    text.kib("Anonymous", usage.anonymous);
    text.kib("KSM", 0);
    text.kib("LazyFree", 0);
    text.kib("AnonHugePages", usage.huge);
    for name in ["ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb", "Swap", "SwapPss"] {
        text.kib(name, 0);
    }
    text.kib("Locked", locked);
}

/// The two letters of each flag, in the order of Linux' bits.
fn flags(text: &mut Text, line: &MapLine) {
    let protection = |flag| line.protection.contains(flag);
    let has = |flag| line.flags.contains(flag);
    let shared = line.sharing == Sharing::Shared;
    let letters = [
        (protection(Protection::READ), "rd"),
        (protection(Protection::WRITE), "wr"),
        (protection(Protection::EXEC), "ex"),
        (shared, "sh"),
        (true, "mr"),
        (!has(VmaFlags::NEVER_WRITE), "mw"),
        (!has(VmaFlags::NEVER_EXECUTE), "me"),
        (shared, "ms"),
        (has(VmaFlags::GROWS_DOWN) || has(VmaFlags::STACK), "gd"),
        (has(VmaFlags::LOCKED), "lo"),
        (has(VmaFlags::LOCKED_ON_FAULT), "lf"),
        (has(VmaFlags::NOT_FORKED), "dc"),
        (!shared && protection(Protection::WRITE) && !has(VmaFlags::NO_RESERVE), "ac"),
        (has(VmaFlags::NO_RESERVE), "nr"),
        (has(VmaFlags::WIPED_ON_FORK), "wf"),
        (has(VmaFlags::NOT_DUMPED), "dd"),
        (has(VmaFlags::HUGE), "hg"),
        (has(VmaFlags::NOT_HUGE), "nh"),
    ];
    write!(text, "VmFlags: ");
    for (_, name) in letters.iter().filter(|(set, _)| *set) {
        write!(text, "{name} ");
    }
    text.bytes(b"\n");
}
