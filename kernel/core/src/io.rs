//! Where file data goes to and comes from: an application's memory, or a buffer of the kernel.
//!
//! Files are read into a [`Sink`] and written from a [`Source`], so that data in the pool can move without a copy
//! between, and so that `splice` and `exec` read files the way `read` does.

use alloc::vec::Vec;

use crate::Errno;
use crate::mm::Memory;
use crate::platform::Pool;

/// Takes what a file gives.
pub trait Sink {
    /// Bytes that it still takes.
    fn remaining(&self) -> usize;

    /// Takes from the front of `bytes` and says how many; fewer than [`Self::remaining`] allows only when memory
    /// faulted midway. `EFAULT` when not one could be taken.
    fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno>;

    /// The same for `len` bytes of the pool.
    fn put_from_pool(&mut self, pool: &dyn Pool, offset: u64, len: usize) -> Result<usize, Errno> {
        let mut buffer = alloc::vec![0; len.min(self.remaining())];
        pool.read(offset, &mut buffer)?;
        self.put(&buffer)
    }

    /// Takes `len` zeros.
    fn put_zeros(&mut self, len: usize) -> Result<usize, Errno> {
        /// As many as a program usually reads at once: each step is a call of the host.
        static ZEROS: [u8; 128 << 10] = [0; 128 << 10];
        let mut done = 0;
        while done < len && self.remaining() > 0 {
            let step = self.put(&ZEROS[..(len - done).min(ZEROS.len())]);
            match step {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }
}

/// Gives what a file takes.
pub trait Source {
    /// Bytes that it still has.
    fn remaining(&self) -> usize;

    /// Fills the front of `buffer` and says how much; less than it could only when memory faulted midway. `EFAULT` when
    /// not one could be read.
    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// The same, into `len` bytes of the pool.
    fn take_into_pool(&mut self, pool: &dyn Pool, offset: u64, len: usize) -> Result<usize, Errno> {
        let mut buffer = alloc::vec![0; len.min(self.remaining())];
        let count = self.take(&mut buffer)?;
        pool.write(offset, &buffer[..count])?;
        Ok(count)
    }
}

/// One range of an application's memory (`struct iovec`), not yet known to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRange {
    /// Start.
    pub address: u64,
    /// Bytes.
    pub len: usize,
}

/// What one copy of the host's takes.
const RANGES_AT_ONCE: usize = 8;

/// Ranges of an application's memory, consumed from the front.
#[derive(Clone, Debug)]
pub struct UserBuffer<'a> {
    memory: &'a Memory,
    /// Empty only at the end.
    current: UserRange,
    /// Those behind it begin at `next`. Most calls have none, and so no allocation.
    more: Vec<UserRange>,
    next: usize,
    left: usize,
}

impl<'a> UserBuffer<'a> {
    /// Ranges in an address space, in this order.
    pub fn new(memory: &'a Memory, ranges: Vec<UserRange>) -> Self {
        let left = ranges.iter().map(|range| range.len).sum();
        let mut buffer = Self { memory, current: UserRange { address: 0, len: 0 }, more: ranges, next: 0, left };
        buffer.settle();
        buffer
    }

    /// One range.
    pub fn single(memory: &'a Memory, address: u64, len: usize) -> Self {
        Self { memory, current: UserRange { address, len }, more: Vec::new(), next: 0, left: len }
    }

    /// Passes over bytes that an earlier run moved.
    pub fn skip(&mut self, len: usize) {
        let mut left = len;
        while left > 0 && self.current.len > 0 {
            let step = self.current.len.min(left);
            self.advance(step);
            left -= step;
        }
    }

    /// `len` bytes of the current range are done.
    fn advance(&mut self, len: usize) {
        self.current.address = self.current.address.wrapping_add(len as u64);
        self.current.len -= len;
        self.left -= len;
        self.settle();
    }

    /// Goes on to the next range that has bytes.
    fn settle(&mut self) {
        while self.current.len == 0
            && let Some(range) = self.more.get(self.next)
        {
            self.current = *range;
            self.next += 1;
        }
    }

    /// Walks over up to `len` bytes: `copy(memory, ranges, done, step)` says how many bytes of each step it moved.
    fn walk(
        &mut self,
        len: usize,
        mut copy: impl FnMut(&Memory, &[(u64, usize)], usize, usize) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        while done < len && self.current.len > 0 {
            let mut ranges = [(0, 0); RANGES_AT_ONCE];
            let (count, step) = self.front(len - done, &mut ranges);
            let moved = match copy(self.memory, &ranges[..count], done, step) {
                Err(_) if done > 0 => return Ok(done),
                moved => moved?,
            };
            done += moved;
            self.skip(moved);
            if moved < step {
                return if done == 0 { Err(Errno::EFAULT) } else { Ok(done) };
            }
        }
        Ok(done)
    }

    /// The next ranges, up to `len` bytes: how many they are, and how many bytes.
    fn front(&self, len: usize, ranges: &mut [(u64, usize)]) -> (usize, usize) {
        let all = [self.current].into_iter().chain(self.more[self.next..].iter().copied());
        let (mut count, mut bytes) = (0, 0);
        for (place, range) in ranges.iter_mut().zip(all.filter(|range| range.len > 0)) {
            let step = range.len.min(len - bytes);
            if step == 0 {
                break;
            }
            *place = (range.address, step);
            count += 1;
            bytes += step;
        }
        (count, bytes)
    }
}

impl Sink for UserBuffer<'_> {
    fn remaining(&self) -> usize {
        self.left
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        self.walk(bytes.len(), |memory, ranges, done, step| Ok(memory.copy_out(ranges, &bytes[done..done + step])))
    }

    fn put_from_pool(&mut self, _: &dyn Pool, offset: u64, len: usize) -> Result<usize, Errno> {
        self.walk(len, |memory, ranges, done, _| memory.space().write_from_pool(ranges, offset + done as u64))
    }
}

impl Source for UserBuffer<'_> {
    fn remaining(&self) -> usize {
        self.left
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let len = buffer.len();
        self.walk(len, |memory, ranges, done, step| Ok(memory.copy_in(ranges, &mut buffer[done..done + step])))
    }

    fn take_into_pool(&mut self, _: &dyn Pool, offset: u64, len: usize) -> Result<usize, Errno> {
        self.walk(len, |memory, ranges, done, _| memory.space().read_into_pool(ranges, offset + done as u64))
    }
}

/// A buffer of the kernel that takes up to a limit.
#[derive(Debug)]
pub struct Collect {
    /// What came.
    pub bytes: Vec<u8>,
    limit: usize,
}

impl Collect {
    /// Takes at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }
}

impl Sink for Collect {
    fn remaining(&self) -> usize {
        self.limit - self.bytes.len()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let count = bytes.len().min(self.remaining());
        self.bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

impl Source for &[u8] {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let count = buffer.len().min(self.len());
        let (front, rest) = self.split_at(count);
        buffer[..count].copy_from_slice(front);
        *self = rest;
        Ok(count)
    }
}

/// The first bytes of a source.
pub struct Front<'a> {
    source: &'a mut dyn Source,
    left: usize,
}

impl<'a> Front<'a> {
    /// At most `len` bytes.
    pub fn new(source: &'a mut dyn Source, len: usize) -> Self {
        Self { source, left: len }
    }
}

impl Source for Front<'_> {
    fn remaining(&self) -> usize {
        self.source.remaining().min(self.left)
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let len = buffer.len().min(self.left);
        let count = self.source.take(&mut buffer[..len])?;
        self.left -= count;
        Ok(count)
    }

    fn take_into_pool(&mut self, pool: &dyn Pool, offset: u64, len: usize) -> Result<usize, Errno> {
        let count = self.source.take_into_pool(pool, offset, len.min(self.left))?;
        self.left -= count;
        Ok(count)
    }
}
