//! What a process that waits gives back to the host.
//!
//! The start of one of our programs brings in most of its code, by pages around each one that runs. The host's cache
//! keeps them for whoever needs them next, this process too, but as long as they are mapped they count as its own and
//! the host cannot use them for anything else. What its heap has free is the host's again as well.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::event::Timespec;

use crate::sys::memory::{PAGE, Segments, forget_pages, forget_unused_stack, populate_heap, share_heap, trim_heap};

/// How long a process waits before it rests. What ends sooner never takes the time to.
pub const REST_AFTER: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Unmaps the pages of the program's code and constants, which come from the host's cache when they are used again, and
/// what is free of its heap and of its main thread's stack.
pub fn rest() {
    trim_heap();
    let Segments { unwritten, relocated } = Segments::own();
    let constants = relocated.into_iter().filter_map(|range| unchanged(range).ok()).flatten();
    let pages: Vec<_> = constants.chain(unwritten).collect();
    if let Err(error) = forget_unused_stack().and_then(|()| forget_pages(&pages)) {
        tracing::debug!(%error, "what the start needed stays");
    }
}

/// For a process that will soon use all of its first heap: at once it costs a fraction of what a page each does.
pub fn begin() {
    populate_heap();
}

/// For a process that has little to do from now on: it gives back what it is done with at once.
pub fn keep_little() {
    crate::sys::memory::keep_little();
}

/// For a process whose threads allocate little, before it has any: one heap for all of them.
pub fn keep_one_heap() {
    share_heap();
}

/// In memory, in swap, and a file's: bits of an entry (Documentation/admin-guide/mm/pagemap.rst).
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;
const ENTRY: usize = size_of::<u64>();

/// Those pages of a range that are its file's still, in a program that can no longer change them.
fn unchanged(range: Range<usize>) -> io::Result<Vec<Range<usize>>> {
    let mut entries = vec![0; range.len() / PAGE * ENTRY];
    let at = u64::try_from(range.start / PAGE * ENTRY).map_err(io::Error::other)?;
    File::open("/proc/self/pagemap")?.read_exact_at(&mut entries, at)?;
    let pages: Vec<_> = range.step_by(PAGE).zip(entries.as_chunks().0).collect();
    let runs = pages.chunk_by(|(_, one), (_, next)| is_changed(**one) == is_changed(**next));
    let of_file = runs.filter(|run| run.first().is_some_and(|(_, entry)| !is_changed(**entry)));
    Ok(of_file.filter_map(|run| Some(run.first()?.0..run.last()?.0 + PAGE)).collect())
}

fn is_changed(entry: [u8; ENTRY]) -> bool {
    let entry = u64::from_ne_bytes(entry);
    entry & SWAPPED != 0 || entry & (PRESENT | OF_FILE) == PRESENT
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn only_what_is_the_files_is_given_back() {
        static POINTERS: [&str; 2] = ["one", "two"];
        let segments = Segments::own();
        let is_in = |ranges: &[Range<usize>], address: usize| ranges.iter().any(|range| range.contains(&address));
        let resting: fn() = rest;
        assert!(is_in(&segments.unwritten, (resting as *const ()).addr()), "code: {segments:x?}");
        assert!(is_in(&segments.unwritten, POINTERS[0].as_ptr().addr()), "a constant: {segments:x?}");
        assert!(is_in(&segments.relocated, POINTERS.as_ptr().addr()), "what is relocated: {segments:x?}");
        rest();
        assert_eq!(POINTERS.concat(), "onetwo");
    }

    #[test]
    fn a_page_that_is_no_files_stays() {
        let own = Box::new([1_u8; 3 * PAGE]);
        let start = own.as_ptr().addr().next_multiple_of(PAGE);
        assert!(unchanged(start..start + 2 * PAGE).expect("look").is_empty());
        let resting: fn() = rest;
        let code = (resting as *const ()).addr() & !(PAGE - 1);
        assert_eq!(unchanged(code..code + PAGE).expect("look"), std::slice::from_ref(&(code..code + PAGE)));
    }
}
