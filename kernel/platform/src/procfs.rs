//! What only /proc tells. The folder is opened at the start, so that the monitor can give up its root.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::process::Pid;
use stockade_kernel::platform::UserRange;

/// USER_HZ, which never changed on x86.
const TICKS_PER_SECOND: u64 = 100;
const PAGE_BYTES: u64 = 4096;

/// The host's /proc.
#[derive(Debug)]
pub(crate) struct Proc(OwnedFd);

impl Proc {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self(open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    fn read(&self, path: &str) -> io::Result<String> {
        let mut text = String::new();
        let file = openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        std::fs::File::from(file).read_to_string(&mut text)?;
        Ok(text)
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

    /// User and system time of one thread (fields 14 and 15 of proc_pid_stat(5)).
    pub(crate) fn thread_cpu_time(&self, pid: Pid, tid: i32) -> (Duration, Duration) {
        let text = self.read(&format!("{}/task/{tid}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut ticks = fields.split_ascii_whitespace().skip(11).map(|field| field.parse().unwrap_or(0));
        (ticks_to_time(ticks.next()), ticks_to_time(ticks.next()))
    }
}

fn ticks_to_time(ticks: Option<u64>) -> Duration {
    Duration::from_millis(ticks.unwrap_or(0) * (1000 / TICKS_PER_SECOND))
}

fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}
