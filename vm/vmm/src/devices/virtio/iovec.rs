//! Reads and writes of files straight from and to guest memory.
//!
//! The kernel copies; no buffer of ours lies between. Spans were checked by [`super::queue`].

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use vm_memory::bitmap::Bitmap;
use vm_memory::{GuestMemory, Permissions};

use super::queue::Span;
use crate::memory::Memory;

/// As many pieces as one call takes (`UIO_MAXIOV`).
const PIECES_MAX: usize = 1024;

/// Writes `spans` to `file` in one call, as a frame wants it.
pub fn write(file: &File, memory: &Memory, spans: impl Iterator<Item = Span>) -> io::Result<usize> {
    let pieces = pieces(Direction::ToFile, memory, spans)?;
    let count = libc::c_int::try_from(pieces.len()).map_err(io::Error::other)?;
    // SAFETY: as in `once`.
    let done = unsafe { libc::writev(file.as_raw_fd(), pieces.as_ptr(), count) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into guest memory.
    FromFile,
    /// Out of it.
    ToFile,
}

/// Bytes on their way between a file and guest memory. Whoever holds it keeps the memory mapped.
#[derive(Debug)]
pub struct Transfer {
    direction: Direction,
    file: Arc<File>,
    offset: u64,
    pieces: Vec<libc::iovec>,
    /// Pieces that are over.
    over: usize,
}

// SAFETY: the pointers lead into guest memory, which belongs to no thread and which Rust code accesses by volatile
// copies only; only the kernel follows them.
unsafe impl Send for Transfer {}

impl Transfer {
    /// Fills `spans` from `file` at `offset`, or the other way round.
    pub fn new(
        direction: Direction,
        (file, offset): (Arc<File>, u64),
        memory: &Memory,
        spans: impl Iterator<Item = Span>,
    ) -> io::Result<Self> {
        Ok(Transfer { direction, file, offset, pieces: pieces(direction, memory, spans)?, over: 0 })
    }

    /// Which way.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where in the file the rest begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next pieces, as many as one call takes.
    pub fn pieces(&self) -> &[libc::iovec] {
        let left = &self.pieces[self.over..];
        &left[..left.len().min(PIECES_MAX)]
    }

    /// Whether all of it is done.
    pub fn is_over(&self) -> bool {
        self.over == self.pieces.len()
    }

    /// So many bytes were done. A file that ends early is an error.
    pub fn advance(&mut self, mut done: usize) -> io::Result<()> {
        if done == 0 && !self.is_over() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += done as u64;
        while let Some(first) = self.pieces.get_mut(self.over) {
            if done < first.iov_len {
                first.iov_base = first.iov_base.wrapping_byte_add(done);
                first.iov_len -= done;
                break;
            }
            done -= first.iov_len;
            self.over += 1;
        }
        Ok(())
    }

    /// Does all of it in the calling thread.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.is_over() {
            let done = once(self.direction, &self.file, self.offset, self.pieces())?;
            self.advance(done)?;
        }
        Ok(())
    }
}

/// The host's addresses of `spans`.
fn pieces(direction: Direction, memory: &Memory, spans: impl Iterator<Item = Span>) -> io::Result<Vec<libc::iovec>> {
    let access = if direction == Direction::FromFile { Permissions::Write } else { Permissions::Read };
    let mut pieces = Vec::new();
    for span in spans {
        let len = usize::try_from(span.len).map_err(io::Error::other)?;
        for slice in memory.get_slices(span.address, len, access).map_err(io::Error::other)? {
            let slice = slice.map_err(io::Error::other)?;
            if direction == Direction::FromFile {
                slice.bitmap().mark_dirty(0, slice.len());
            }
            pieces.push(libc::iovec { iov_base: slice.ptr_guard_mut().as_ptr().cast(), iov_len: slice.len() });
        }
    }
    Ok(pieces)
}

fn once(direction: Direction, file: &File, offset: u64, pieces: &[libc::iovec]) -> io::Result<usize> {
    let count = libc::c_int::try_from(pieces.len().min(PIECES_MAX)).map_err(io::Error::other)?;
    let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    loop {
        // SAFETY: the pieces point into guest memory, which `memory` of our callers keeps mapped and which Rust code
        // accesses by volatile copies only; `count` is within the slice. Safe wrappers take references to buffers,
        // which memory that a guest writes at any time cannot be.
        let done = unsafe {
            match direction {
                Direction::FromFile => libc::preadv(file.as_raw_fd(), pieces.as_ptr(), count, offset),
                Direction::ToFile => libc::pwritev(file.as_raw_fd(), pieces.as_ptr(), count, offset),
            }
        };
        match usize::try_from(done) {
            Ok(done) => return Ok(done),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::DirtyLog;
    use crate::memory;
    use vm_memory::{Bytes, GuestAddress};

    fn span(address: u64, len: u32) -> Span {
        Span { address: GuestAddress(address), len }
    }

    #[test]
    fn bytes_go_both_ways_over_many_spans() {
        let memory = memory::anonymous(2, DirtyLog::On).expect("memory");
        let file = Arc::new(tempfile::tempfile().expect("file"));
        let data: Vec<u8> = (0..3000_u32).map(|n| u8::try_from(n % 251).expect("small")).collect();
        memory.write_slice(&data, GuestAddress(0x1000)).expect("write");
        let spans = [span(0x1000, 1000), span(0x1000 + 1000, 2000)].into_iter();
        let transfer = Transfer::new(Direction::ToFile, (file.clone(), 7), &memory, spans);
        transfer.and_then(|mut transfer| transfer.run()).expect("write");
        let spans = (0..1500).map(|n| span(0x8000 + 2 * (1499 - n), 2));
        let transfer = Transfer::new(Direction::FromFile, (file, 7), &memory, spans);
        transfer.and_then(|mut transfer| transfer.run()).expect("read");
        let mut back = vec![0; 3000];
        memory.read_slice(&mut back, GuestAddress(0x8000)).expect("read");
        let expected: Vec<u8> = data.chunks(2).rev().flatten().copied().collect();
        assert_eq!(back, expected);
    }

    #[test]
    fn a_short_file_is_an_error() {
        let memory = memory::anonymous(2, DirtyLog::Off).expect("memory");
        let file = tempfile::tempfile().expect("file");
        file.set_len(10).expect("grow");
        let spans = [span(0, 11)].into_iter();
        let mut transfer = Transfer::new(Direction::FromFile, (Arc::new(file), 0), &memory, spans).expect("pieces");
        let error = transfer.run().expect_err("too short");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
