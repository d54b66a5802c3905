//! Gives guest memory back to the host.

use vm_memory::bitmap::Bitmap;
use vm_memory::{GuestMemory, GuestMemoryBackend, Permissions};

use super::super::queue::Span;
use crate::memory::Memory;

const PAGE: usize = 4096;

/// Drops the whole pages of a span; they read as zeroes, or as the snapshot they came from, when they are used again.
/// A span outside of memory is left alone.
pub fn discard(memory: &Memory, span: Span) {
    let Ok(len) = usize::try_from(span.len) else { return };
    // Pages of a shared file stay in the file unless a hole is made there.
    let advice = match GuestMemoryBackend::find_region(memory, span.address) {
        Some(region) if region.flags() & libc::MAP_SHARED != 0 => libc::MADV_REMOVE,
        _ => libc::MADV_DONTNEED,
    };
    let Ok(slices) = GuestMemory::get_slices(memory, span.address, len, Permissions::Write) else { return };
    for slice in slices.flatten() {
        let start = slice.ptr_guard_mut().as_ptr();
        let skip = start.align_offset(PAGE).min(slice.len());
        let whole = (slice.len() - skip) / PAGE * PAGE;
        if whole > 0 {
            // The page that comes next is another than the one that a snapshot knows.
            slice.bitmap().mark_dirty(skip, whole);
            // SAFETY: whole pages inside of a mapping of guest memory, which Rust code accesses by volatile copies
            // only and which may change at any time anyway. `madvise` has no safe form for such memory.
            let result = unsafe { libc::madvise(start.wrapping_add(skip).cast(), whole, advice) };
            if result != 0 {
                tracing::debug!("balloon: {}", std::io::Error::last_os_error());
            }
        }
    }
}
