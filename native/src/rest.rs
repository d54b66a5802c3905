//! What a process that waits gives back to the host.
//!
//! The start of one of our programs brings in most of its code, by pages around each one that runs. The host's cache
//! keeps them for whoever needs them next, this process too, but as long as they are mapped they count as its own and
//! the host cannot use them for anything else.

use std::io;
use std::ops::Range;

use rustix::event::Timespec;

use crate::sys::memory::forget_pages;

/// How long a process waits before it rests. What ends sooner never takes the time to.
pub const REST_AFTER: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Unmaps the pages of the program's code. Those that run again come from the host's cache.
pub fn rest() {
    let given_back = std::fs::read_to_string("/proc/self/maps").and_then(|maps| match code(&maps) {
        ranges if ranges.is_empty() => Err(io::ErrorKind::NotFound.into()),
        ranges => ranges.into_iter().try_for_each(forget_pages),
    });
    if let Err(error) = given_back {
        tracing::debug!(%error, "the program's code stays mapped");
    }
}

/// The program's file from its first page to the end of its instructions; what comes behind may have been changed by
/// the program's start (proc_pid_maps(5)). Where a part of the file ends with a page, the linker leaves one out before
/// the next.
fn code(maps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (range, permissions, inode) in maps.lines().map_while(mapping) {
        if inode == "0" || !matches!(permissions, "r--p" | "r-xp") {
            break;
        }
        found.push(range);
        if permissions == "r-xp" {
            return found;
        }
    }
    Vec::new()
}

/// Where a mapping lies, its permissions and its file's inode.
fn mapping(line: &str) -> Option<(Range<usize>, &str, &str)> {
    let mut fields = line.split_ascii_whitespace();
    Some((range(fields.next()?)?, fields.next()?, fields.nth(2)?))
}

fn range(text: &str) -> Option<Range<usize>> {
    let (start, end) = text.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(maps: &str, expected: &[Range<usize>]) {
        assert_eq!(code(maps), expected, "{maps}");
    }

    #[test]
    fn code_ends_before_what_is_written() {
        let headers = "00200000-00300000 r--p 00000000 fe:00 77 /bin/stockade\n";
        let text = "00300000-00500000 r-xp 000ff000 fe:00 77 /bin/stockade\n";
        let data = "00500000-00510000 r--p 002ff000 fe:00 77 /bin/stockade\n";
        let apart = "00301000-00500000 r-xp 00100000 fe:00 77 /bin/stockade\n";
        check(&[headers, text, data].concat(), &[0x20_0000..0x30_0000, 0x30_0000..0x50_0000]);
        check(&[headers, apart, data].concat(), &[0x20_0000..0x30_0000, 0x30_1000..0x50_0000]);
        check(&[text, data].concat(), std::slice::from_ref(&(0x30_0000..0x50_0000)));
        check(&[headers, data].concat(), &[]);
        check("00200000-00300000 rw-p 00000000 fe:00 77 /bin/stockade\n", &[]);
        check("00200000-00300000 r-xp 00000000 00:00 0 \n", &[]);
        check("", &[]);
    }

    /// Bytes of the program's own code in memory.
    fn resident() -> usize {
        let smaps = std::fs::read_to_string("/proc/self/smaps").expect("read smaps");
        let of_code = smaps.lines().skip_while(|line| !line.contains(" r-xp "));
        let line = of_code.into_iter().find(|line| line.starts_with("Rss:")).expect("a count");
        let kib: usize = line.split_ascii_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
        kib << 10
    }

    #[test]
    fn code_that_does_not_run_is_given_back() {
        let before = resident();
        rest();
        let after = resident();
        assert!(after < before, "{before} bytes, then {after}");
        assert!(!code(&std::fs::read_to_string("/proc/self/maps").expect("read maps")).is_empty());
    }
}
