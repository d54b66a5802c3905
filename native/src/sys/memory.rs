//! madvise(2).

use std::io;
use std::ops::Range;

use super::check;

/// Unmaps pages of a private mapping of a file that nobody changed: the next access finds the same in the file.
pub(crate) fn forget_pages(range: Range<usize>) -> io::Result<()> {
    let start = std::ptr::with_exposed_provenance_mut(range.start);
    // SAFETY: callers give mappings that cannot be written, so what is there before and after is the file's content.
    check(unsafe { libc::madvise(start, range.len(), libc::MADV_DONTNEED) }.into()).map(drop)
}
