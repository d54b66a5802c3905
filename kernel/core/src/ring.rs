//! A buffer of bytes between a writer and a reader, which grows up to a limit.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::Errno;
use crate::io::{Sink, Source};

/// What a buffer starts with.
const FIRST_BYTES: usize = 4096;

/// What all buffers take, and may take: they lie in the monitor's memory, which must not run out.
static ALL_BYTES: AtomicUsize = AtomicUsize::new(0);
static ALL_BYTES_MAX: AtomicUsize = AtomicUsize::new(usize::MAX);
/// What they may take of any sandbox, and which part of its memory besides: half of the monitor's room.
const ALL_BYTES_LEAST: u64 = 32 << 20;
const ALL_BYTES_PART: u64 = 16;

/// Holds all buffers to a limit that fits the sandbox's memory.
pub fn limit_all(memory_bytes: u64) {
    let most = ALL_BYTES_LEAST.saturating_add(memory_bytes / ALL_BYTES_PART);
    ALL_BYTES_MAX.store(usize::try_from(most).unwrap_or(usize::MAX), Ordering::Relaxed);
}

/// Bytes, first in first out, copied straight from and to applications.
#[derive(Debug, Default)]
pub struct Ring {
    bytes: Vec<u8>,
    head: usize,
    len: usize,
}

impl Ring {
    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts up to `count` bytes in, and says how many came. `ENOBUFS` when all buffers together take too much.
    pub fn fill(&mut self, source: &mut dyn Source, count: usize) -> Result<usize, Errno> {
        if self.lacks(count) && ALL_BYTES.load(Ordering::Relaxed) >= ALL_BYTES_MAX.load(Ordering::Relaxed) {
            return Err(Errno::ENOBUFS);
        }
        self.reserve(count);
        in_pieces(count, |done| {
            let (start, end) = self.free(count - done);
            let taken = source.take(&mut self.bytes[start..end]);
            self.len += taken.unwrap_or(0);
            (end - start, taken)
        })
    }

    /// Gives up to `count` bytes from `skip` on without taking them out, and says how many.
    pub fn copy_to(&self, skip: usize, count: usize, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let count = count.min(self.len.saturating_sub(skip)).min(sink.remaining());
        in_pieces(count, |done| {
            let start = (self.head + skip + done) % self.bytes.len();
            let end = self.bytes.len().min(start + count - done);
            (end - start, sink.put(&self.bytes[start..end]))
        })
    }

    /// Puts bytes back at the front.
    pub fn unread(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.reserve(bytes.len());
        let size = self.bytes.len();
        self.head = (self.head + size - bytes.len()) % size;
        self.len += bytes.len();
        let (front, back) = bytes.split_at(bytes.len().min(size - self.head));
        self.bytes[self.head..self.head + front.len()].copy_from_slice(front);
        self.bytes[..back.len()].copy_from_slice(back);
    }

    /// Bytes that its memory takes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Drops bytes from the front.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        self.head = if self.len == 0 { 0 } else { (self.head + count) % self.bytes.len() };
    }

    /// The byte at a place from the front.
    pub fn get(&self, at: usize) -> Option<u8> {
        if at < self.len { Some(self.bytes[(self.head + at) % self.bytes.len()]) } else { None }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next free piece, at most `most` bytes; there is room.
    fn free(&self, most: usize) -> (usize, usize) {
        let size = self.bytes.len();
        let start = (self.head + self.len) % size;
        let limit = if start >= self.head { size } else { self.head };
        (start, limit.min(start + most))
    }

    fn lacks(&self, more: usize) -> bool {
        self.len + more > self.bytes.len()
    }

    fn reserve(&mut self, more: usize) {
        if !self.lacks(more) {
            return;
        }
        let mut bytes = alloc::vec![0; (self.len + more).next_power_of_two().max(FIRST_BYTES)];
        ALL_BYTES.fetch_add(bytes.len() - self.bytes.len(), Ordering::Relaxed);
        let first = self.len.min(self.bytes.len() - self.head);
        bytes[..first].copy_from_slice(&self.bytes[self.head..self.head + first]);
        bytes[first..self.len].copy_from_slice(&self.bytes[..self.len - first]);
        (self.bytes, self.head) = (bytes, 0);
    }
}

/// Moves up to `count` bytes piece by piece. Told what is done, `step` says how long its piece was and how much of it
/// was moved: less ends it.
fn in_pieces(count: usize, mut step: impl FnMut(usize) -> (usize, Result<usize, Errno>)) -> Result<usize, Errno> {
    let mut done = 0;
    while done < count {
        match step(done) {
            (_, Err(errno)) if done == 0 => return Err(errno),
            (_, Err(_)) => break,
            (piece, Ok(moved)) => {
                done += moved;
                if moved < piece {
                    break;
                }
            }
        }
    }
    Ok(done)
}

impl Drop for Ring {
    fn drop(&mut self) {
        ALL_BYTES.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Collect;

    #[test]
    fn bytes_stay_in_order_while_it_wraps_and_grows() {
        let mut ring = Ring::default();
        let (mut written, mut read) = (0_u32, 0_u32);
        for step in [1000, 900, 1100, 3000, 10, 9000] {
            let values: Vec<u8> = (written..written + step).flat_map(u32::to_le_bytes).collect();
            assert_eq!(ring.fill(&mut &values[..], values.len()), Ok(values.len()));
            written += step;
            let mut out = Collect::new(700 * 4);
            let count = ring.copy_to(0, usize::MAX, &mut out).unwrap();
            ring.consume(count);
            let expected: Vec<u8> =
                (read..read + u32::try_from(count / 4).unwrap()).flat_map(u32::to_le_bytes).collect();
            assert_eq!(out.bytes, expected);
            read += u32::try_from(count / 4).unwrap();
        }
        assert_eq!(ring.len(), usize::try_from(written - read).unwrap() * 4);
        assert_eq!(ring.get(0), Some(read.to_le_bytes()[0]));
    }

    #[test]
    fn what_is_put_back_comes_first() {
        let mut ring = Ring::default();
        ring.unread(b"");
        assert_eq!(ring.fill(&mut &b"0123456789"[..], 10), Ok(10));
        ring.consume(3);
        ring.unread(b"abcdef");
        let mut out = Collect::new(100);
        assert_eq!(ring.copy_to(0, usize::MAX, &mut out), Ok(13));
        assert_eq!(out.bytes, b"abcdef3456789");
        ring.consume(13);
        let page = [7; FIRST_BYTES];
        ring.unread(&page);
        ring.unread(b"x");
        assert_eq!((ring.len(), ring.get(0), ring.get(FIRST_BYTES)), (FIRST_BYTES + 1, Some(b'x'), Some(7)));
    }
}
