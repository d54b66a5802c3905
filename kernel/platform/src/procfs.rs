//! What only /proc tells. The folder is opened at the start, so that the monitor can give up its root.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::{pread, read, retry_on_intr};
use rustix::process::Pid;
use stockade_kernel::platform::{RangeUsage, References, ThreadUsage, UserRange};

use crate::sys::process;

/// USER_HZ, which never changed on x86.
const TICKS_PER_SECOND: u64 = 100;
const PAGE_BYTES: u64 = 4096;
/// What /proc/PID/pagemap has for each page, and which of its bits say where the page does not lie.
const PAGE_WORD_BYTES: u64 = 8;
const PAGE_FLAGS: u64 = !((1 << 55) - 1);
/// What is read at once.
const READ_BYTES: usize = 4096;
/// A line of numbers: 52 of 20 digits.
const LINE_BYTES_MAX: usize = 2048;

/// Whose turn it is when memory is lacking (proc_pid_oom_score_adj(5)). The monitor's comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expendable {
    /// Before anything else.
    First,
    /// After those, unless it takes more than they by 3 % of the limit.
    Next,
}

/// The host's /proc.
#[derive(Debug)]
pub(crate) struct Proc(OwnedFd);

impl Proc {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self(open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    fn read(&self, path: &str) -> io::Result<String> {
        let file = openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut bytes = Vec::with_capacity(READ_BYTES);
        // The standard library would ask for the size first, which these files do not have.
        while retry_on_intr(|| read(&file, spare_capacity(&mut bytes)))? > 0 {
            bytes.reserve(READ_BYTES);
        }
        String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// The same of what the host writes at once and is shorter than a buffer: it need not be asked for the end.
    fn read_line<'a>(&self, path: &str, buffer: &'a mut [u8; LINE_BYTES_MAX]) -> io::Result<&'a str> {
        let file = openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let len = retry_on_intr(|| read(&file, &mut buffer[..]))?;
        std::str::from_utf8(&buffer[..len]).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// A process's memory as a file. Whoever uses it passes over the permissions of private mappings.
    pub(crate) fn memory(&self, pid: Pid) -> io::Result<OwnedFd> {
        let path = format!("{}/mem", pid.as_raw_nonzero());
        Ok(openat(&self.0, path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// How soon a process, and all that it forks, ends for lack of memory.
    pub(crate) fn set_expendable(&self, pid: Pid, expendable: Expendable) -> io::Result<()> {
        let path = format!("{}/oom_score_adj", pid.as_raw_nonzero());
        let file = openat(&self.0, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        let score = match expendable {
            Expendable::First => "1000",
            Expendable::Next => "970",
        };
        Ok(rustix::io::write(&file, score.as_bytes()).map(drop)?)
    }

    /// The fields of the first processor.
    pub(crate) fn cpuinfo(&self) -> io::Result<String> {
        let text = self.read("cpuinfo")?;
        Ok(text.split("\n\n").next().unwrap_or_default().to_owned())
    }

    /// From the first `[vvar]` page to the end of `[vdso]`.
    pub(crate) fn vdso_range(&self, pid: Pid) -> io::Result<UserRange> {
        let maps = self.read(&format!("{}/maps", pid.as_raw_nonzero()))?;
        let ranges: Vec<(u64, u64)> =
            maps.lines().filter(|line| line.contains("[vvar") || line.ends_with("[vdso]")).filter_map(range).collect();
        let start = ranges.iter().map(|(start, _)| *start).min().unwrap_or(0);
        let end = ranges.iter().map(|(_, end)| *end).max().unwrap_or(0);
        Ok(UserRange { start, end })
    }

    /// Bytes of a process: resident, and of those shared.
    pub(crate) fn resident_bytes(&self, pid: Pid) -> (u64, u64) {
        let text = self.read(&format!("{}/statm", pid.as_raw_nonzero())).unwrap_or_default();
        let mut pages = text.split(' ').skip(1).map(|field| field.parse().unwrap_or(0) * PAGE_BYTES);
        (pages.next().unwrap_or(0), pages.next().unwrap_or(0))
    }

    /// The most bytes of a process that were resident.
    pub(crate) fn resident_peak_bytes(&self, pid: Pid) -> u64 {
        let text = self.read(&format!("{}/status", pid.as_raw_nonzero())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix(" kB"));
        line.and_then(|kib| kib.trim().parse().ok()).map_or(0, |kib: u64| kib << 10)
    }

    /// What of each mapping of a process is in memory; nothing when the process is gone.
    pub(crate) fn usage(&self, pid: Pid) -> Vec<RangeUsage> {
        let text = self.read(&format!("{}/smaps", pid.as_raw_nonzero())).unwrap_or_default();
        let mut found: Vec<RangeUsage> = Vec::new();
        for line in text.lines() {
            match (range(line), found.last_mut()) {
                (Some((start, end)), _) => found.push(RangeUsage { start, end, ..RangeUsage::default() }),
                (None, Some(last)) => add_count(last, line),
                (None, None) => {}
            }
        }
        found
    }

    /// What is known of a process's pages from an address on (proc_pid_pagemap(5)), but where they lie.
    pub(crate) fn page_map(&self, pid: Pid, address: u64, words: &mut [u64]) -> io::Result<()> {
        let path = format!("{}/pagemap", pid.as_raw_nonzero());
        let file = openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut bytes = vec![0; size_of_val(words)];
        let mut done = 0;
        let start = address / PAGE_BYTES * PAGE_WORD_BYTES;
        while done < bytes.len() {
            match retry_on_intr(|| pread(&file, &mut bytes[done..], start + done as u64))? {
                0 => break,
                count => done += count,
            }
        }
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(size_of::<u64>())) {
            *word = bytes.try_into().map_or(0, u64::from_ne_bytes) & PAGE_FLAGS;
        }
        Ok(())
    }

    /// Has the host forget which of a process's pages were used or changed (proc_pid_clear_refs(5)).
    pub(crate) fn clear_references(&self, pid: Pid, which: References) -> io::Result<()> {
        let path = format!("{}/clear_refs", pid.as_raw_nonzero());
        let file = openat(&self.0, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        let number = match which {
            References::All => "1",
            References::Anonymous => "2",
            References::Mapped => "3",
            References::Changes => "4",
            References::Peak => "5",
        };
        Ok(rustix::io::write(&file, number.as_bytes()).map(drop)?)
    }

    /// Whether a thread has a signal blocked (`SigBlk` of proc_pid_status(5)); false when it is gone.
    pub(crate) fn blocks(&self, pid: Pid, tid: i32, signal: i32) -> bool {
        has_signal(&self.thread_status(pid, tid), "SigBlk:", signal)
    }

    /// Whether a signal is on its way to a thread (`SigPnd`) that does not block it.
    pub(crate) fn awaits(&self, pid: Pid, tid: i32, signal: i32) -> bool {
        let status = self.thread_status(pid, tid);
        has_signal(&status, "SigPnd:", signal) && !has_signal(&status, "SigBlk:", signal)
    }

    fn thread_status(&self, pid: Pid, tid: i32) -> String {
        self.read(&format!("{}/task/{tid}/status", pid.as_raw_nonzero())).unwrap_or_default()
    }

    /// User and system time of one thread: how much it was from proc_pid_schedstat(5), in which parts from
    /// proc_pid_stat(5).
    pub(crate) fn thread_cpu_time(&self, pid: Pid, tid: i32) -> (Duration, Duration) {
        let ThreadUsage { user, system, .. } = self.thread_stat(pid, tid);
        self.scheduled(pid, tid).map_or((user, system), |total| process::parts_of(total, (user, system)))
    }

    /// The sum of both.
    pub(crate) fn thread_cpu_total(&self, pid: Pid, tid: i32) -> Duration {
        self.scheduled(pid, tid).unwrap_or_else(|| {
            let ThreadUsage { user, system, .. } = self.thread_stat(pid, tid);
            user + system
        })
    }

    /// Nothing where the host does not count it.
    pub(crate) fn scheduled(&self, pid: Pid, tid: i32) -> Option<Duration> {
        self.schedule(pid, tid, 0)
    }

    /// How long a thread waited for a processor.
    pub(crate) fn thread_delay(&self, pid: Pid, tid: i32) -> Duration {
        self.schedule(pid, tid, 1).unwrap_or_default()
    }

    fn schedule(&self, pid: Pid, tid: i32, field: usize) -> Option<Duration> {
        let mut buffer = [0; LINE_BYTES_MAX];
        let text = self.read_line(&format!("{}/task/{tid}/schedstat", pid.as_raw_nonzero()), &mut buffer).ok()?;
        Some(Duration::from_nanos(text.split(' ').nth(field)?.parse().ok()?))
    }

    /// Times in ticks and page faults of one thread (proc_pid_stat(5)).
    pub(crate) fn thread_stat(&self, pid: Pid, tid: i32) -> ThreadUsage {
        self.stat(&format!("{}/task/{tid}/stat", pid.as_raw_nonzero()))
    }

    /// The same of a process. Where nobody looked up a thread, the host has no names of threads to forget when the
    /// process ends: two that forget the same ones wait for each other, busily.
    pub(crate) fn process_stat(&self, pid: Pid) -> ThreadUsage {
        self.stat(&format!("{}/stat", pid.as_raw_nonzero()))
    }

    fn stat(&self, path: &str) -> ThreadUsage {
        let mut buffer = [0; LINE_BYTES_MAX];
        usage_of(self.read_line(path, &mut buffer).unwrap_or_default())
    }

    /// How often a thread had to give way to others.
    pub(crate) fn thread_involuntary_switches(&self, pid: Pid, tid: i32) -> u64 {
        let text = self.thread_status(pid, tid);
        let count = text.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:")?.trim().parse().ok());
        count.unwrap_or(0)
    }
}

/// Whether a line of proc_pid_status(5) has a signal in its mask.
fn has_signal(status: &str, name: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix(name)?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// A line `Name:   12 kB` of proc_pid_smaps(5); others are passed over.
fn add_count(usage: &mut RangeUsage, line: &str) {
    let Some((name, value)) = line.split_once(':') else { return };
    let Some(kib) = value.strip_suffix(" kB").and_then(|kib| kib.trim().parse::<u64>().ok()) else { return };
    let field = match name {
        "Rss" => &mut usage.resident,
        "Pss" => &mut usage.proportional,
        "Shared_Clean" => &mut usage.shared_clean,
        "Shared_Dirty" => &mut usage.shared_dirty,
        "Private_Clean" => &mut usage.private_clean,
        "Private_Dirty" => &mut usage.private_dirty,
        "Referenced" => &mut usage.referenced,
        "Anonymous" => &mut usage.anonymous,
        "AnonHugePages" => &mut usage.huge,
        _ => return,
    };
    *field = kib << 10;
}

/// Fields 10, 12, 14, 15 and 24 of a line of proc_pid_stat(5).
fn usage_of(line: &str) -> ThreadUsage {
    /// The first one behind the name.
    const STATE: usize = 3;
    let fields = line.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace();
    let mut fields = (STATE..).zip(fields).filter(|(number, _)| [10, 12, 14, 15, 24].contains(number));
    let mut next = || fields.next().and_then(|(_, field)| field.parse().ok()).unwrap_or(0);
    let (minor_faults, major_faults) = (next(), next());
    let (user, system) = (ticks_to_time(next()), ticks_to_time(next()));
    ThreadUsage { minor_faults, major_faults, user, system, resident_bytes: next() * PAGE_BYTES }
}

fn ticks_to_time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * (1000 / TICKS_PER_SECOND))
}

fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let line = "7 (a) S (b) R 1 7 7 0 -1 4194304 11 12 13 14 15 16 17 18 20 0 1 0 99 22 23";
        let usage = usage_of(line);
        assert_eq!((usage.minor_faults, usage.major_faults), (11, 13));
        assert_eq!((usage.user, usage.system), (Duration::from_millis(150), Duration::from_millis(160)));
        assert_eq!(usage.resident_bytes, 23 << 12);
        assert_eq!(usage_of(""), ThreadUsage::default());
    }

    #[test]
    fn signals_are_found_in_masks() {
        let status = "SigQ:\t0/9\nSigPnd:\t0000000000000200\nShdPnd:\t0000000000000001\nSigBlk:\tfffffffffffffdff\n";
        assert!(has_signal(status, "SigPnd:", 10) && !has_signal(status, "SigPnd:", 1));
        assert!(!has_signal(status, "SigBlk:", 10) && has_signal(status, "SigBlk:", 64));
        assert!(!has_signal("", "SigPnd:", 10));
    }

    #[test]
    fn touched_pages_are_told_without_their_numbers() {
        let proc = Proc::open().expect("/proc is there");
        let bytes = vec![1_u8; 3 << 12];
        let mut words = [0; 2];
        proc.page_map(rustix::process::getpid(), bytes.as_ptr().addr() as u64, &mut words).expect("it is told");
        assert!(words.iter().all(|word| word >> 63 == 1 && word & !PAGE_FLAGS == 0), "{words:x?}");
    }

    #[test]
    fn references_are_forgotten() {
        let proc = Proc::open().expect("/proc is there");
        proc.clear_references(rustix::process::getpid(), References::All).expect("it is known");
    }

    #[test]
    fn the_peak_is_what_was_there_at_once() {
        let proc = Proc::open().expect("/proc is there");
        let me = rustix::process::getpid();
        drop(vec![1_u8; 32 << 20]);
        let (peak, now) = (proc.resident_peak_bytes(me), proc.resident_bytes(me).0);
        assert!(peak >= 32 << 20 && peak >= now, "{peak} {now}");
    }

    #[test]
    fn usage_counts_what_was_touched() {
        let proc = Proc::open().expect("/proc is there");
        let bytes = vec![1_u8; 1 << 20];
        let address = bytes.as_ptr().addr() as u64;
        let usage = proc.usage(rustix::process::getpid());
        let around = usage.iter().find(|part| (part.start..part.end).contains(&address)).expect("it is mapped");
        assert!(around.anonymous >= 1 << 20 && around.resident >= around.anonymous, "{around:?}");
        assert!(usage.iter().all(|part| part.resident <= part.end - part.start));
    }
}
