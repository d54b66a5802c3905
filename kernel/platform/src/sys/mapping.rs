//! Memory of the monitor that stubs can map too. They change it at any time, so it is only ever copied in and out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use rustix::process::Pid;

use super::memory;

/// A shared mapping of a file.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    file: OwnedFd,
}

// SAFETY: the memory is shared with other processes anyway, and never referred to, only copied.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of `file`.
    pub(crate) fn new(file: OwnedFd, len: usize) -> io::Result<Self> {
        Self::part(file, 0, len)
    }

    /// Maps `len` bytes of `file`, from a page on. They are in memory when this returns: a page that the host cannot
    /// read or has no room for is an error here, and SIGBUS to who touches it.
    pub(crate) fn loaded(file: OwnedFd, offset: u64, len: usize) -> io::Result<Self> {
        let mapping = Self::part(file, offset, len)?;
        // SAFETY: the mapping is ours; its content does not change.
        unsafe { madvise(mapping.start.as_ptr().cast(), len, Advice::LinuxPopulateWrite) }?;
        Ok(mapping)
    }

    fn part(file: OwnedFd, offset: u64, len: usize) -> io::Result<Self> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::NORESERVE);
        // SAFETY: the host picks a free address.
        let start = unsafe { mmap(std::ptr::null_mut(), len, protection, flags, &file, offset) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len, file })
    }

    /// The file.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Copies out.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) {
        let from = self.at(offset, buffer.len());
        // SAFETY: `at` checked the range; the buffer is not part of a mapping.
        unsafe { from.copy_to_nonoverlapping(buffer.as_mut_ptr(), buffer.len()) };
    }

    /// Copies in.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: as above.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Fills with zeros.
    pub(crate) fn zero(&self, offset: u64, len: usize) {
        let to = self.at(offset, len);
        // SAFETY: `at` checked the range.
        unsafe { to.write_bytes(0, len) };
    }

    /// Copies from here to ranges (address and length) of a process; says how many bytes went.
    pub(crate) fn write_to_process(&self, offset: u64, pid: Pid, ranges: &[(u64, usize)]) -> usize {
        let len = ranges.iter().map(|(_, len)| len).sum();
        let local = libc::iovec { iov_base: self.at(offset, len).cast(), iov_len: len };
        // SAFETY: `at` checked the range.
        unsafe { memory::transfer_ranges(libc::process_vm_writev, pid, local, ranges) }
    }

    /// Copies from ranges of a process to here; says how many bytes came.
    pub(crate) fn read_from_process(&self, offset: u64, pid: Pid, ranges: &[(u64, usize)]) -> usize {
        let len = ranges.iter().map(|(_, len)| len).sum();
        let local = libc::iovec { iov_base: self.at(offset, len).cast(), iov_len: len };
        // SAFETY: `at` checked the range.
        unsafe { memory::transfer_ranges(libc::process_vm_readv, pid, local, ranges) }
    }

    /// Replaces a word if it holds `expected`; what it held.
    pub(crate) fn compare_exchange_u32(&self, offset: u64, expected: u32, new: u32) -> u32 {
        self.word(offset)
            .compare_exchange(expected, new, Ordering::SeqCst, Ordering::SeqCst)
            .unwrap_or_else(|held| held)
    }

    /// Wakes one who waits for a word; its waiters are found by the file, whoever mapped it.
    pub(crate) fn wake_futex(&self, offset: u64) {
        let word = self.word(offset).as_ptr();
        // SAFETY: numbers only: the host does not look at the word.
        unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, 1) };
    }

    fn word(&self, offset: u64) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4), "{offset} is not the place of a word");
        #[allow(clippy::cast_ptr_alignment, reason = "the assertion above")]
        let word = self.at(offset, 4).cast();
        // SAFETY: `at` checked the range, which lives as long as `self`, and the assertion its alignment. Stubs change
        // it as they like; nothing is concluded from what it holds but what to compare next.
        unsafe { AtomicU32::from_ptr(word) }
    }

    fn at(&self, offset: u64, len: usize) -> *mut u8 {
        let offset = usize::try_from(offset).expect("an offset in the mapping");
        let end = offset.checked_add(len).expect("a range in the mapping");
        assert!(end <= self.len, "{offset}..{end} is outside the mapping of {} bytes", self.len);
        // SAFETY: the assertion.
        unsafe { self.start.as_ptr().add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "a mapping of ours can be unmapped");
    }
}

/// A read-only mapping of a file that nobody changes.
#[derive(Debug)]
pub(crate) struct FileView {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is only read.
unsafe impl Send for FileView {}
// SAFETY: as above.
unsafe impl Sync for FileView {}

impl FileView {
    /// Maps the first `len` bytes of `file`.
    pub(crate) fn new(file: &OwnedFd, len: usize) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self { start: NonNull::dangling(), len });
        }
        // SAFETY: the host picks a free address.
        let start = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, file, 0) }?;
        Ok(Self { start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?, len })
    }

    /// Its content.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped as long as `self`; the store that the file comes from never changes or shortens a blob.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for FileView {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: nothing refers to the mapping.
            let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
            debug_assert!(unmapped.is_ok(), "a mapping of ours can be unmapped");
        }
    }
}
