//! What KVM and the kernel count.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Exits of all guests that live: the lab has one.
pub(super) fn exits() -> Result<u64> {
    let text = fs::read_to_string("/sys/kernel/debug/kvm/exits").context("KVM's counters")?;
    Ok(text.trim().parse()?)
}

/// The one process that calls itself by this name.
pub(super) fn process(name: &str) -> Result<u32> {
    let pids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let called =
        |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(name.as_bytes()));
    pids.into_iter().find(called).with_context(|| format!("no process is called {name}"))
}

/// What all threads of a process have computed, its guest's processors among them.
pub(super) fn busy(pid: u32) -> Result<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))?.flatten();
    let spent = threads.map(|thread| nanoseconds(&fs::read_to_string(thread.path().join("schedstat"))?));
    Ok(Duration::from_nanos(spent.sum::<Result<u64>>()?))
}

/// The first number of a thread's `schedstat`.
fn nanoseconds(schedstat: &str) -> Result<u64> {
    Ok(schedstat.split(' ').next().unwrap_or_default().parse()?)
}

/// Resident memory in KiB: the VMM's own, and the guest's, whose mappings have at least `guest_mib`.
pub(super) fn memory(pid: u32, guest_mib: u64) -> Result<(u64, u64)> {
    Ok(split(&fs::read_to_string(format!("/proc/{pid}/smaps")).context("smaps")?, guest_mib * 1024))
}

fn split(smaps: &str, guest_kib: u64) -> (u64, u64) {
    let value = |line: &str, key: &str| line.strip_prefix(key)?.trim().strip_suffix(" kB")?.parse::<u64>().ok();
    let (mut size, mut sums) = (0, (0, 0));
    for line in smaps.lines() {
        size = value(line, "Size:").unwrap_or(size);
        let resident = value(line, "Rss:").unwrap_or(0);
        if size < guest_kib { sums.0 += resident } else { sums.1 += resident }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_is_known_by_its_size() {
        let mapping =
            |size: u64, resident: u64| format!("1-2 rw-p 0 0:0 0\nSize: {size} kB\nRss:  {resident} kB\nPss: 9 kB\n");
        let smaps = [mapping(100, 40), mapping(131_072, 7000), mapping(20, 2)].concat();
        assert_eq!(split(&smaps, 131_072), (42, 7000));
    }

    #[test]
    fn a_thread_has_computed_what_its_first_number_says() {
        assert_eq!(nanoseconds("4548361 12 9\n").expect("a number"), 4_548_361);
        assert!(nanoseconds("").is_err());
    }
}
