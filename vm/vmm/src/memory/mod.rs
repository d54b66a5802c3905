//! Guest memory, and where everything lies in the guest's physical address space.
//!
//! Memory is anonymous and private, unless another process serves a device and has to share it. A page that the guest
//! never touched costs nothing. With a log of writes, stores of devices are recorded here and those of the guest by the
//! hypervisor.

pub mod faults;
pub mod layout;
mod populate;

use vm_memory::bitmap::{AtomicBitmap, NewBitmap};
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{FileOffset, GuestAddress, GuestMemoryMmap, GuestRegionMmap};

pub use self::populate::populate;
use crate::hypervisor::DirtyLog;

/// What a device's store marks; absent unless snapshots of what changed were asked for.
pub type Dirty = Option<AtomicBitmap>;
/// All memory of one guest.
pub type Memory = GuestMemoryMmap<Dirty>;
/// One contiguous part of it.
pub type Region = GuestRegionMmap<Dirty>;

const MIB: u64 = 1 << 20;

/// Why there is no guest memory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The size cannot be had on this machine's address space.
    #[error("a guest cannot have {0} MiB of memory")]
    Size(u64),
    /// The host gives none.
    #[error("cannot map {mib} MiB for the guest's memory: {source}")]
    Map {
        /// How much was wanted.
        mib: u64,
        /// The host's answer.
        source: vm_memory::mmap::MmapRegionError,
    },
    /// The host has no file for it.
    #[error("cannot make a file for {mib} MiB of the guest's memory: {source}")]
    File {
        /// How much was wanted.
        mib: u64,
        /// The host's answer.
        source: std::io::Error,
    },
    /// The parts do not fit together.
    #[error("cannot lay out the guest's memory: {0}")]
    Layout(String),
}

/// Anonymous memory of `mib` MiB, with a hole for devices below 4 GiB.
pub fn anonymous(mib: u64, log: DirtyLog) -> Result<Memory, Error> {
    build(mib, log, &|_| None, libc::MAP_PRIVATE)
}

/// Memory in a file without a name that other processes can map. Nobody can change the file's length.
pub fn shared(mib: u64, log: DirtyLog) -> Result<Memory, Error> {
    let len = ranges(mib)?.iter().map(|(_, len)| len).sum();
    let file = std::sync::Arc::new(file(len).map_err(|errno| Error::File { mib, source: errno.into() })?);
    build(mib, log, &|offset| Some(FileOffset::from_arc(file.clone(), offset)), libc::MAP_SHARED)
}

fn file(len: u64) -> rustix::io::Result<std::fs::File> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
    let file = memfd_create("guest memory", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, len)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file.into())
}

/// Memory whose first contents are a file's, as a snapshot left them; writes stay private to this guest.
pub fn from_file(file: &std::sync::Arc<std::fs::File>, mib: u64, log: DirtyLog) -> Result<Memory, Error> {
    build(mib, log, &|offset| Some(FileOffset::from_arc(file.clone(), offset)), libc::MAP_PRIVATE)
}

fn build(
    mib: u64,
    log: DirtyLog,
    file: &dyn Fn(u64) -> Option<FileOffset>,
    sharing: libc::c_int,
) -> Result<Memory, Error> {
    let mut regions = Vec::new();
    let mut offset = 0;
    for (base, len) in ranges(mib)? {
        regions.push(region(base, len, log, file(offset), sharing).map_err(|source| Error::Map { mib, source })?);
        offset += len;
    }
    let regions: Option<Vec<Region>> = regions.into_iter().collect();
    let regions = regions.ok_or(Error::Size(mib))?;
    Memory::from_regions(regions).map_err(|error| Error::Layout(error.to_string()))
}

fn region(
    base: u64,
    len: u64,
    log: DirtyLog,
    file: Option<FileOffset>,
    sharing: libc::c_int,
) -> Result<Option<Region>, vm_memory::mmap::MmapRegionError> {
    let Ok(len) = usize::try_from(len) else { return Ok(None) };
    let bitmap = (log == DirtyLog::On).then(|| AtomicBitmap::with_len(len));
    let anonymous = if file.is_some() { 0 } else { libc::MAP_ANONYMOUS };
    let mut builder = MmapRegionBuilder::new_with_bitmap(len, bitmap)
        .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
        .with_mmap_flags(sharing | libc::MAP_NORESERVE | anonymous);
    if let Some(file) = file {
        builder = builder.with_file_offset(file);
    }
    Ok(Region::new(builder.build()?, GuestAddress(base)))
}

/// Base and length of each part.
fn ranges(mib: u64) -> Result<Vec<(u64, u64)>, Error> {
    let len = mib.checked_mul(MIB).filter(|len| (1..=layout::MEMORY_MAX).contains(len)).ok_or(Error::Size(mib))?;
    if len <= layout::HOLE_START {
        return Ok(vec![(0, len)]);
    }
    Ok(vec![(0, layout::HOLE_START), (layout::HOLE_END, len - layout::HOLE_START)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_memory::{Bytes, GuestMemoryBackend, GuestMemoryRegion};

    fn check_ranges(mib: u64, expected: &[(u64, u64)]) {
        assert_eq!(ranges(mib).expect("a size that fits"), expected, "{mib} MiB");
    }

    #[test]
    fn a_hole_for_devices_lies_below_four_gib() {
        check_ranges(128, &[(0, 128 * MIB)]);
        check_ranges(3072, &[(0, 3072 * MIB)]);
        check_ranges(3073, &[(0, 3072 * MIB), (4096 * MIB, MIB)]);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for mib in [0, layout::MEMORY_MAX / MIB + 1, u64::MAX] {
            assert!(matches!(ranges(mib), Err(Error::Size(_))), "{mib}");
        }
    }

    #[test]
    fn writes_of_devices_are_recorded_where_asked() {
        use vm_memory::bitmap::Bitmap;
        let memory = anonymous(1, DirtyLog::On).expect("map");
        memory.write_obj(7_u32, GuestAddress(0x3004)).expect("write");
        let region = memory.find_region(GuestAddress(0)).expect("region");
        let dirty = [0x2000, 0x3000, 0x4000].map(|at| region.bitmap().dirty_at(at));
        assert_eq!(dirty, [false, true, false]);
    }

    #[test]
    fn shared_memory_is_its_files() {
        use std::os::unix::fs::FileExt;
        let memory = shared(1, DirtyLog::Off).expect("map");
        memory.write_obj(0x77_u8, GuestAddress(9)).expect("write");
        let region = memory.find_region(GuestAddress(0)).expect("region");
        let file = region.file_offset().expect("a file").file();
        let mut byte = [0];
        file.read_exact_at(&mut byte, 9).expect("read");
        assert_eq!(byte, [0x77]);
        assert!(file.set_len(0).is_err(), "its length is sealed");
    }

    #[test]
    fn restored_memory_leaves_its_file_alone() {
        let mut file = tempfile::tempfile().expect("file");
        std::io::Write::write_all(&mut file, &vec![0x5a; 1 << 20]).expect("fill");
        let file = std::sync::Arc::new(file);
        let memory = from_file(&file, 1, DirtyLog::Off).expect("map");
        memory.write_obj(0_u8, GuestAddress(9)).expect("write");
        let again = from_file(&file, 1, DirtyLog::Off).expect("map");
        assert_eq!(again.read_obj::<u8>(GuestAddress(9)).expect("read"), 0x5a);
    }
}
