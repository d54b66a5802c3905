//! Reads and writes of files straight from and to guest memory.
//!
//! The kernel copies; no buffer of ours lies between. Spans were checked by [`super::queue`].

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use vm_memory::bitmap::Bitmap;
use vm_memory::{GuestMemory, Permissions};

use super::queue::Span;
use crate::memory::Memory;

/// As many pieces as one call takes (`UIO_MAXIOV`).
const PIECES_MAX: usize = 1024;

/// Fills `spans` from `file` at `offset`. A file that ends early is an error.
pub fn read_at(file: &File, offset: u64, memory: &Memory, spans: impl Iterator<Item = Span>) -> io::Result<()> {
    transfer(Direction::FromFile, file, offset, memory, spans)
}

/// Writes `spans` to `file` at `offset`.
pub fn write_at(file: &File, offset: u64, memory: &Memory, spans: impl Iterator<Item = Span>) -> io::Result<()> {
    transfer(Direction::ToFile, file, offset, memory, spans)
}

/// Writes `spans` to `file` in one call, as a frame wants it.
pub fn write(file: &File, memory: &Memory, spans: impl Iterator<Item = Span>) -> io::Result<usize> {
    let pieces = pieces(Direction::ToFile, memory, spans)?;
    let count = libc::c_int::try_from(pieces.len()).map_err(io::Error::other)?;
    // SAFETY: as in `once`.
    let done = unsafe { libc::writev(file.as_raw_fd(), pieces.as_ptr(), count) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    FromFile,
    ToFile,
}

fn transfer(
    direction: Direction,
    file: &File,
    mut offset: u64,
    memory: &Memory,
    spans: impl Iterator<Item = Span>,
) -> io::Result<()> {
    let mut pieces = pieces(direction, memory, spans)?;
    let mut left = &mut pieces[..];
    while !left.is_empty() {
        let done = once(direction, file, offset, left)?;
        if done == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += done as u64;
        left = advance(left, done);
    }
    Ok(())
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

/// What is left after `done` bytes.
fn advance(mut pieces: &mut [libc::iovec], mut done: usize) -> &mut [libc::iovec] {
    while let Some(first) = pieces.first_mut() {
        if done < first.iov_len {
            first.iov_base = first.iov_base.wrapping_byte_add(done);
            first.iov_len -= done;
            break;
        }
        done -= first.iov_len;
        pieces = &mut pieces[1..];
    }
    pieces
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
        let file = tempfile::tempfile().expect("file");
        let data: Vec<u8> = (0..3000_u32).map(|n| u8::try_from(n % 251).expect("small")).collect();
        memory.write_slice(&data, GuestAddress(0x1000)).expect("write");
        write_at(&file, 7, &memory, [span(0x1000, 1000), span(0x1000 + 1000, 2000)].into_iter()).expect("write");
        let spans = (0..1500).map(|n| span(0x8000 + 2 * (1499 - n), 2));
        read_at(&file, 7, &memory, spans).expect("read");
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
        let error = read_at(&file, 0, &memory, [span(0, 11)].into_iter()).expect_err("too short");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
