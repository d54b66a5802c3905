//! Copies from and to the application.

use alloc::vec::Vec;

use super::Memory;
use crate::Errno;
use crate::abi::{Abi, Iovec};
use crate::io::{UserBuffer, UserRange};

/// IOV_MAX
const VECTORS_MAX: usize = 1024;
/// MAX_RW_COUNT: what one read or write moves at most.
const BYTES_MAX: usize = 0x7fff_f000;
/// The page size.
const PAGE: u64 = 4096;

impl Memory {
    /// Fills the buffer, or says `EFAULT`.
    pub fn read_bytes(&self, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let is_read = buffer.is_empty() || self.copy_in(&[(address, buffer.len())], buffer) == buffer.len();
        if is_read { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Copies all bytes, or says `EFAULT`; some may have been copied then.
    pub fn write_bytes(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let is_written = bytes.is_empty() || self.copy_out(&[(address, bytes.len())], bytes) == bytes.len();
        if is_written { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// `len` bytes in a buffer of their own; the caller bounds `len`.
    pub fn read_vec(&self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = alloc::vec![0; len];
        self.read_bytes(address, &mut bytes)?;
        Ok(bytes)
    }

    /// A value of the ABI.
    pub fn read_struct<T: Abi>(&self, address: u64) -> Result<T, Errno> {
        let mut small = [0; 256];
        match small.get_mut(..T::LEN) {
            Some(bytes) => {
                self.read_bytes(address, bytes)?;
                Ok(T::from_bytes(bytes))
            }
            None => Ok(T::from_bytes(&self.read_vec(address, T::LEN)?)),
        }
    }

    /// A value of the ABI, unless the pointer is null.
    pub fn read_optional<T: Abi>(&self, address: u64) -> Result<Option<T>, Errno> {
        if address == 0 { Ok(None) } else { self.read_struct(address).map(Some) }
    }

    /// Stores a value of the ABI.
    pub fn write_struct<T: Abi>(&self, address: u64, value: &T) -> Result<(), Errno> {
        self.write_bytes(address, &value.to_bytes())
    }

    /// Stores a value of the ABI, unless the pointer is null.
    pub fn write_optional<T: Abi>(&self, address: u64, value: &T) -> Result<(), Errno> {
        if address == 0 { Ok(()) } else { self.write_struct(address, value) }
    }

    /// `count` values of the ABI in a row; the caller bounds `count`.
    pub fn read_array<T: Abi>(&self, address: u64, count: usize) -> Result<Vec<T>, Errno> {
        let len = count.checked_mul(T::LEN).ok_or(Errno::EFAULT)?;
        let bytes = self.read_vec(address, len)?;
        Ok(bytes.chunks_exact(T::LEN).map(T::from_bytes).collect())
    }

    /// Stores values of the ABI in a row.
    pub fn write_array<T: Abi>(&self, address: u64, values: &[T]) -> Result<(), Errno> {
        let bytes: Vec<u8> = values.iter().flat_map(Abi::to_bytes).collect();
        self.write_bytes(address, &bytes)
    }

    /// A string without its terminator. `too_long` when there is none within `max` bytes.
    pub fn read_string(&self, address: u64, max: usize, too_long: Errno) -> Result<Vec<u8>, Errno> {
        let mut string = Vec::new();
        while string.len() < max {
            let at = address.checked_add(string.len() as u64).ok_or(Errno::EFAULT)?;
            if self.extend_string(at, max, &mut string)? {
                return Ok(string);
            }
        }
        Err(too_long)
    }

    /// Appends the next bytes, and says whether the string ended.
    fn extend_string(&self, at: u64, max: usize, string: &mut Vec<u8>) -> Result<bool, Errno> {
        let mut step = [0; 256];
        let len = step.len().min(max - string.len());
        let count = self.read_some(at, &mut step[..len]);
        let end = step[..count].iter().position(|byte| *byte == 0);
        string.extend_from_slice(&step[..end.unwrap_or(count)]);
        if end.is_none() && count < len { Err(Errno::EFAULT) } else { Ok(end.is_some()) }
    }

    /// Fills the front of a buffer shorter than a page. The next page need not be mapped, so it is a range of its own.
    fn read_some(&self, at: u64, buffer: &mut [u8]) -> usize {
        let to_page_end = usize::try_from(PAGE - at % PAGE).unwrap_or(usize::MAX);
        let first = buffer.len().min(to_page_end);
        let ranges = [(at, first), (at.wrapping_add(first as u64), buffer.len() - first)];
        let count = if first < buffer.len() { 2 } else { 1 };
        self.copy_in(&ranges[..count], buffer)
    }

    /// A path: `ENAMETOOLONG` from PATH_MAX on.
    pub fn read_path(&self, address: u64) -> Result<Vec<u8>, Errno> {
        self.read_string(address, 4096, Errno::ENAMETOOLONG)
    }

    /// One range for a read or a write, not yet known to be there.
    pub fn buffer(&self, address: u64, len: usize) -> UserBuffer<'_> {
        UserBuffer::single(self, address, len.min(BYTES_MAX))
    }

    /// The ranges of an array of `struct iovec`. `EINVAL` when there are too many or one is longer than `ssize_t`.
    pub fn vectors(&self, address: u64, count: usize) -> Result<UserBuffer<'_>, Errno> {
        Ok(self.buffer_of(self.vector_ranges(address, count)?))
    }

    /// Ranges that were judged already.
    pub fn buffer_of(&self, ranges: Vec<UserRange>) -> UserBuffer<'_> {
        UserBuffer::new(self, ranges)
    }

    /// The same as mere ranges.
    pub fn vector_ranges(&self, address: u64, count: usize) -> Result<Vec<UserRange>, Errno> {
        if count > VECTORS_MAX {
            return Err(Errno::EINVAL);
        }
        let mut left = BYTES_MAX;
        let mut ranges = Vec::with_capacity(count);
        for Iovec { base, len } in self.read_array(address, count)? {
            let wanted = usize::try_from(len).ok().filter(|len| isize::try_from(*len).is_ok()).ok_or(Errno::EINVAL)?;
            let len = wanted.min(left);
            left -= len;
            ranges.push(UserRange { address: base, len });
        }
        Ok(ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Timespec;
    use crate::io::{Sink as _, Source as _};
    use crate::platform::{Backing, HostCall, Protection};
    use crate::testing::World;

    const AT: u64 = 0x20_0000;

    fn world() -> World {
        let world = World::new();
        let protection = Protection::READ | Protection::WRITE;
        let map = HostCall::Map { address: AT, len: 2 * PAGE, protection, backing: Backing::Anonymous };
        world.thread.space().apply(&map).unwrap();
        world
    }

    #[test]
    fn strings_end_before_what_is_not_mapped() {
        let memory = world().task.memory();
        let at = AT + 2 * PAGE - 4;
        memory.write_bytes(at, b"abc\0").unwrap();
        assert_eq!(memory.read_path(at).unwrap(), b"abc");
        memory.write_bytes(at, b"abcd").unwrap();
        assert_eq!(memory.read_path(at), Err(Errno::EFAULT));
        assert_eq!(memory.read_string(at, 4, Errno::E2BIG), Err(Errno::E2BIG));
        assert_eq!(memory.read_path(u64::MAX), Err(Errno::EFAULT));
        memory.write_bytes(AT + PAGE - 2, b"abcd\0").unwrap();
        assert_eq!(memory.read_path(AT + PAGE - 2).unwrap(), b"abcd");
    }

    #[test]
    fn structures_come_back() {
        let memory = world().task.memory();
        let time = Timespec { seconds: 5, nanoseconds: 6 };
        memory.write_array(AT, &[time, time]).unwrap();
        assert_eq!(memory.read_struct::<Timespec>(AT + 16), Ok(time));
        assert_eq!(memory.read_array::<Timespec>(AT, 2), Ok(alloc::vec![time, time]));
        assert_eq!(memory.read_optional::<Timespec>(0), Ok(None));
        assert_eq!(memory.write_struct(AT + 2 * PAGE - 8, &time), Err(Errno::EFAULT));
    }

    #[test]
    fn vectors_are_judged_before_use() {
        let memory = world().task.memory();
        memory.write_array(AT, &[AT + 64, 3, AT + 128, 2]).unwrap();
        let mut buffer = memory.vectors(AT, 2).unwrap();
        assert_eq!(buffer.put(b"hello"), Ok(5));
        let mut word = [0; 2];
        memory.read_bytes(AT + 128, &mut word).unwrap();
        assert_eq!(&word, b"lo");
        assert_eq!(memory.vectors(AT, 1025).err(), Some(Errno::EINVAL));
        memory.write_array(AT, &[AT, u64::MAX]).unwrap();
        assert_eq!(memory.vectors(AT, 1).err(), Some(Errno::EINVAL));
        let mut all = memory.buffer(AT + 64, 3);
        let mut bytes = [0; 3];
        assert_eq!(all.take(&mut bytes), Ok(3));
        assert_eq!(&bytes, b"hel");
    }

    #[test]
    fn a_call_is_served() {
        let world = World::new();
        assert_eq!(world.thread.call(39, &[]), Ok(1));
        assert_eq!(world.thread.call(511, &[]), Err(Errno::ENOSYS));
    }
}
