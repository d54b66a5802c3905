//! Unlinked files of the host as parts of the pool: each has a region of the pool's offsets behind those of memory.
//!
//! The monitor reads and writes such a file by offset and does not map it: where the host's disk is full or broken, a
//! call of the application fails, and nobody gets a SIGBUS but who mapped the file. The host has room for what was
//! written or reserved; the rest is holes. docs/rfcs/0001-trap-path.md has what that costs.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::{FallocateFlags, fallocate, fstat, fstatvfs, ftruncate};
use rustix::io::{pread, pwrite};
use rustix::process::Pid;
use stockade_kernel::Errno;
use stockade_kernel::platform::Store;

use super::PAGE_BYTES;
use super::extents::Extents;
use crate::sys::mapping::Mapping;
use crate::sys::memory;

/// What one store's region takes of the pool's offsets; those of memory are the first such region.
pub(super) const REGION_BYTES: u64 = 1 << 46;
/// Offsets of files are signed.
const LAST_REGION: u64 = i64::MAX.cast_unsigned() / REGION_BYTES;
/// What is copied at a time between a file and an application.
const STEP_BYTES: usize = 128 << 10;
/// Buffers that are kept for the next copies.
const BUFFERS_MAX: usize = 4;

/// All stores, by their regions.
#[derive(Debug, Default)]
pub(super) struct Stores(Mutex<BTreeMap<u64, Weak<HostStore>>>);

/// One file.
#[derive(Debug)]
pub(crate) struct HostStore {
    region: u64,
    file: OwnedFd,
    bytes_max: u64,
    extents: Mutex<Extents>,
    buffers: Mutex<Vec<Vec<u8>>>,
    stores: Arc<Stores>,
}

impl Stores {
    /// Takes a file that nobody else has; its length says how much it may hold.
    pub(super) fn add(self: &Arc<Self>, file: OwnedFd) -> io::Result<Arc<HostStore>> {
        let bytes_max = u64::try_from(fstat(&file)?.st_size).map_err(|_| io::ErrorKind::InvalidInput)?;
        let room = spread(&file, bytes_max)?;
        let mut table = self.table();
        let region = (1..=LAST_REGION).find(|region| !table.contains_key(region)).ok_or(io::ErrorKind::OutOfMemory)?;
        let store = Arc::new(HostStore {
            region,
            file,
            bytes_max,
            extents: Mutex::new(Extents::new(room)),
            buffers: Mutex::default(),
            stores: self.clone(),
        });
        table.insert(region, Arc::downgrade(&store));
        Ok(store)
    }

    /// The store that an offset lies in, and where in its file.
    pub(super) fn at(&self, offset: u64) -> Option<(Arc<HostStore>, u64)> {
        let store = self.table().get(&(offset / REGION_BYTES))?.upgrade()?;
        Some((store, offset % REGION_BYTES))
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<u64, Weak<HostStore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the file longer than what it may hold, so that large pieces are found between small ones; its length.
fn spread(file: &OwnedFd, bytes_max: u64) -> io::Result<u64> {
    let bytes = bytes_max - bytes_max % PAGE_BYTES;
    if bytes > REGION_BYTES / 2 {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // A file system may have no files that long.
    Ok(if ftruncate(file, 2 * bytes).is_ok() { 2 * bytes } else { bytes })
}

impl HostStore {
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < buffer.len() {
            match pread(&self.file, &mut buffer[done..], offset + done as u64).map_err(errno)? {
                0 => return Err(Errno::EIO),
                count => done += count,
            }
        }
        Ok(())
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < bytes.len() {
            match pwrite(&self.file, &bytes[done..], offset + done as u64).map_err(errno)? {
                0 => return Err(Errno::EIO),
                count => done += count,
            }
        }
        Ok(())
    }

    /// Copies to ranges (address and length) of a process; says how many bytes went.
    pub(crate) fn write_to_process(&self, offset: u64, pid: Pid, ranges: &[(u64, usize)]) -> Result<usize, Errno> {
        self.in_steps(offset, ranges, |at, ranges, buffer| {
            self.read(at, buffer)?;
            Ok(memory::write_ranges(pid, ranges, buffer))
        })
    }

    /// Copies from ranges of a process; says how many bytes came.
    pub(crate) fn read_from_process(&self, offset: u64, pid: Pid, ranges: &[(u64, usize)]) -> Result<usize, Errno> {
        self.in_steps(offset, ranges, |at, ranges, buffer| {
            let count = memory::read_ranges(pid, ranges, buffer);
            self.write(at, &buffer[..count])?;
            Ok(count)
        })
    }

    /// Copies until a step is not copied whole: `step(offset, ranges, buffer)` has a buffer for all of its ranges.
    fn in_steps(
        &self,
        offset: u64,
        ranges: &[(u64, usize)],
        mut step: impl FnMut(u64, &[(u64, usize)], &mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let mut buffer = self.buffers().pop().unwrap_or_default();
        let mut done = 0;
        for part in parts(ranges) {
            let len = part.iter().map(|(_, len)| len).sum();
            if buffer.len() < len {
                buffer.resize(len, 0);
            }
            match step(offset + done as u64, &part, &mut buffer[..len]) {
                Err(_) if done > 0 => break,
                moved => done += moved?,
            }
            if done < len {
                break;
            }
        }
        let mut buffers = self.buffers();
        if buffers.len() < BUFFERS_MAX {
            buffers.push(buffer);
        }
        Ok(done)
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a range read as zero, and gives back to the host what it has for whole pages of it.
    pub(super) fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&self.file, flags, offset, len)?)
    }

    pub(super) fn compare_exchange_u32(&self, offset: u64, expected: u32, new: u32) -> Result<u32, Errno> {
        let (page, within) = self.page(offset).map_err(|_| Errno::EIO)?;
        Ok(page.compare_exchange_u32(within, expected, new))
    }

    pub(super) fn wake_futex(&self, offset: u64) -> io::Result<()> {
        let (page, within) = self.page(offset)?;
        page.wake_futex(within);
        Ok(())
    }

    /// The page around an offset, and where in it.
    fn page(&self, offset: u64) -> io::Result<(Mapping, u64)> {
        let within = offset % PAGE_BYTES;
        let len = usize::try_from(PAGE_BYTES).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok((Mapping::loaded(self.file.try_clone()?, offset - within, len)?, within))
    }

    fn extents(&self) -> MutexGuard<'_, Extents> {
        self.extents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ranges in parts that a buffer holds.
fn parts(ranges: &[(u64, usize)]) -> Vec<Vec<(u64, usize)>> {
    let (mut parts, mut part, mut room) = (Vec::new(), Vec::new(), STEP_BYTES);
    for (mut address, mut len) in ranges.iter().copied() {
        while len > 0 {
            let step = len.min(room);
            part.push((address, step));
            (address, len, room) = (address.wrapping_add(step as u64), len - step, room - step);
            if room == 0 {
                parts.push(std::mem::take(&mut part));
                room = STEP_BYTES;
            }
        }
    }
    parts.push(part);
    parts
}

impl AsFd for HostStore {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for HostStore {
    fn drop(&mut self) {
        self.stores.table().remove(&self.region);
    }
}

impl Store for HostStore {
    fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    fn host_free_bytes(&self) -> Result<u64, Errno> {
        let host = fstatvfs(&self.file).map_err(errno)?;
        Ok(host.f_bavail.saturating_mul(host.f_frsize))
    }

    fn allocate(&self, len: u64) -> Result<u64, Errno> {
        if len == 0 || !len.is_multiple_of(PAGE_BYTES) {
            return Err(Errno::EINVAL);
        }
        Ok(self.region * REGION_BYTES + self.extents().take(len).ok_or(Errno::ENOSPC)?)
    }

    fn reserve(&self, offset: u64, len: u64) -> Result<(), Errno> {
        fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset % REGION_BYTES, len).map_err(errno)
    }

    /// What cannot be cleared is not used again.
    fn free(&self, offset: u64, len: u64) {
        let offset = offset % REGION_BYTES;
        match self.zero(offset, len) {
            Ok(()) => self.extents().give(offset, len),
            Err(error) => tracing::warn!(%error, "a part of a writable layer cannot be given back"),
        }
    }
}

/// The host's reason, as the application hears it.
fn errno(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error()).unwrap_or(Errno::EIO)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use rustix::process::getpid;

    use super::*;

    const BYTES: u64 = 1 << 20;

    fn store() -> (Arc<Stores>, Arc<HostStore>) {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(BYTES).expect("a length");
        let stores = Arc::new(Stores::default());
        let store = stores.add(file.into()).expect("a store");
        (stores, store)
    }

    fn blocks(store: &HostStore) -> u64 {
        File::from(store.file.try_clone().expect("a copy")).metadata().expect("facts").blocks()
    }

    fn ranges(bytes: &[u8]) -> Vec<(u64, usize)> {
        let start = bytes.as_ptr().expose_provenance() as u64;
        vec![(start, 5), (start + 5, STEP_BYTES), (start + 5 + STEP_BYTES as u64, bytes.len() - 5 - STEP_BYTES)]
    }

    #[test]
    fn what_is_freed_goes_back_to_the_host_and_reads_as_zero() {
        let (_stores, store) = store();
        let at = store.allocate(4 * PAGE_BYTES).expect("room");
        store.write(at % REGION_BYTES + 100, b"text").expect("write");
        let mut bytes = [0; 6];
        store.read(at % REGION_BYTES + 99, &mut bytes).expect("read");
        assert_eq!((&bytes, blocks(&store) > 0), (b"\0text\0", true));
        store.zero(at % REGION_BYTES + 101, 2).expect("zero");
        store.read(at % REGION_BYTES + 99, &mut bytes).expect("read");
        assert_eq!(&bytes, b"\0t\0\0t\0");
        store.reserve(at, 4 * PAGE_BYTES).expect("room on the host");
        store.free(at, 4 * PAGE_BYTES);
        assert_eq!((store.allocate(PAGE_BYTES), blocks(&store)), (Ok(at), 0));
        store.read(at % REGION_BYTES + 99, &mut bytes).expect("read");
        assert_eq!(bytes, [0; 6]);
    }

    #[test]
    fn applications_are_copied_to_and_from_in_steps() {
        let (_stores, store) = store();
        let from: Vec<u8> = (0..3 * STEP_BYTES).map(|at| u8::try_from(at % 251).expect("small")).collect();
        let to = vec![0; from.len()];
        assert_eq!(store.read_from_process(7, getpid(), &ranges(&from)), Ok(from.len()));
        assert_eq!(store.write_to_process(7, getpid(), &ranges(&to)), Ok(to.len()));
        assert!(from == to, "what came back is what went");
        assert_eq!(store.read_from_process(0, getpid(), &[(0x1000, 8)]), Ok(0));
    }

    #[test]
    fn words_are_changed_where_who_maps_them_sees_it() {
        let (_stores, store) = store();
        assert_eq!(store.compare_exchange_u32(PAGE_BYTES + 8, 0, 7), Ok(0));
        assert_eq!(store.compare_exchange_u32(PAGE_BYTES + 8, 0, 9), Ok(7));
        let mut word = [0; 4];
        store.read(PAGE_BYTES + 8, &mut word).expect("read");
        assert_eq!(u32::from_ne_bytes(word), 7);
    }

    #[test]
    fn large_pieces_are_found_between_small_ones() {
        let (_stores, store) = store();
        let small: Vec<u64> = (0..BYTES / PAGE_BYTES).map(|_| store.allocate(PAGE_BYTES).expect("room")).collect();
        small.iter().step_by(2).for_each(|at| store.free(*at, PAGE_BYTES));
        assert!(store.allocate(BYTES / 2).is_ok());
        assert_eq!((store.bytes_max(), store.allocate(2 * BYTES)), (BYTES, Err(Errno::ENOSPC)));
    }

    #[test]
    fn a_region_is_a_stores_as_long_as_it_is_there() {
        let (stores, first) = store();
        let file = tempfile::tempfile().expect("a file");
        let second = stores.add(file.into()).expect("a store");
        assert_eq!((first.region, second.region), (1, 2));
        assert!(stores.at(REGION_BYTES + 5).is_some_and(|(found, at)| found.region == 1 && at == 5));
        drop(first);
        assert!(stores.at(REGION_BYTES).is_none());
        let file = tempfile::tempfile().expect("a file");
        assert_eq!(stores.add(file.into()).expect("a store").region, 1);
    }
}
