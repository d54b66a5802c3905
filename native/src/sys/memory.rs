//! madvise(2), the program's own segments, and what malloc(3) keeps.

use std::io;
use std::ops::Range;

use super::check;

pub(crate) const PAGE: usize = 4096;
/// Room for a few frames of functions that give back a stack's rest.
const FRAMES: usize = 2 * PAGE;
/// How far down a start is looked for; less than what the kernel keeps free below a main thread's stack.
const STACK: usize = 512 << 10;
/// More than a heap has at the start.
const HEAP_MAX: usize = 256 << 10;

/// Unmaps pages of private mappings of a file that nobody changed or can change: the next access finds the same in the
/// file. These are the program's own, so this function is all that runs meanwhile.
pub(crate) fn forget_pages(ranges: &[Range<usize>]) -> io::Result<()> {
    let mut failed = false;
    for range in ranges {
        let start = std::ptr::with_exposed_provenance_mut(range.start);
        // SAFETY: callers give mappings that cannot be written: before and after, there is the file's content.
        failed |= unsafe { libc::madvise(start, range.len(), libc::MADV_DONTNEED) } != 0;
    }
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Where parts of the program lie, in whole pages.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// Instructions and constants, which nobody ever writes to.
    pub(crate) unwritten: Vec<Range<usize>>,
    /// What only the program's start may have changed, by relocations (`PT_GNU_RELRO`).
    pub(crate) relocated: Vec<Range<usize>>,
}

impl Segments {
    /// Of this program.
    pub(crate) fn own() -> Self {
        let mut found = Self::default();
        // SAFETY: `add` takes what it is called with; its last argument is this value, which nobody else has meanwhile.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut found).cast()) };
        found
    }
}

/// The program itself is the first object that it is told of (`dl_iterate_phdr(3)`).
unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: libc::size_t, found: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the C library calls this with a description of a loaded object and the pointer that it was given.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Segments>()) };
    // SAFETY: the headers are mapped as long as the object is, and the library counts them.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    for header in headers {
        // On this target an address has 64 bits.
        let start = usize::try_from(info.dlpi_addr + header.p_vaddr).unwrap_or_default();
        let end = start + usize::try_from(header.p_memsz).unwrap_or_default();
        let first = start & !(PAGE - 1);
        match header.p_type {
            libc::PT_LOAD if header.p_flags & libc::PF_W == 0 => {
                found.unwritten.push(first..end.next_multiple_of(PAGE));
            }
            // The page of its end may have what is written at any time.
            libc::PT_GNU_RELRO => found.relocated.push(first..end & !(PAGE - 1)),
            _ => {}
        }
    }
    1
}

/// Gives back what the main thread's stack had in use below its caller's frame. Another thread's stays: below it lies
/// whatever was mapped there.
pub(crate) fn forget_unused_stack() -> io::Result<()> {
    if rustix::thread::gettid() != rustix::process::getpid() {
        return Ok(());
    }
    let frame = 0_u8;
    let here = std::hint::black_box(&raw const frame).addr();
    let end = (here - FRAMES) & !(PAGE - 1);
    let start = std::ptr::with_exposed_provenance_mut(end - STACK);
    // SAFETY: nobody has anything below the frames of this function and of what it calls. The kernel keeps the range
    // free of all but this stack (`stack_guard_gap`), whose end it may pass: that part is no mapping.
    match check(unsafe { libc::madvise(start, STACK, libc::MADV_DONTNEED) }.into()) {
        Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => Ok(()),
        other => other.map(drop),
    }
}

/// Brings in what the allocator has taken of the host for the main thread's heap already.
pub(crate) fn populate_heap() {
    let inside = std::hint::black_box(Box::new(0_u8));
    let start = (&raw const *inside).addr() & !(PAGE - 1);
    // SAFETY: it asks for the heap's end, and moves nothing.
    let end = unsafe { libc::sbrk(0) }.addr();
    let Some(length) = end.checked_sub(start).filter(|length| *length <= HEAP_MAX) else { return };
    // SAFETY: pages that are there stay as they are, others come with the zeros that their first access would find. A
    // range that is not mapped is refused.
    unsafe { libc::madvise(std::ptr::with_exposed_provenance_mut(start), length, libc::MADV_POPULATE_WRITE) };
}

/// Gives back more of the heap, and sooner, from now on.
pub(crate) fn keep_little() {
    // SAFETY: they set numbers, under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 8192);
        libc::mallopt(libc::M_TOP_PAD, 4096);
    }
}

/// Gives free memory of the heap back to the host.
pub(crate) fn trim_heap() {
    // SAFETY: it takes the allocator's own locks and touches what is free only.
    unsafe { libc::malloc_trim(0) };
}

/// Has all threads allocate from one heap: free memory of one can be used by the others.
pub(crate) fn share_heap() {
    // SAFETY: it sets a number, under the allocator's own lock.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}
