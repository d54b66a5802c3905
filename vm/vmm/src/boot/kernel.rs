//! Kernels: `vmlinux` of Linux and `bzImage` by the 64-bit protocol, other ELF kernels by PVH where they have its note.

use std::fs::File;
use std::io::{Read, Seek};

use linux_loader::loader::{BzImage, Elf, KernelLoader, KernelLoaderResult, PvhBootCapability};
use vm_memory::{GuestAddress, GuestMemoryBackend};

use super::{Error, notes};
use crate::memory::{Memory, layout};

const ELF_MAGIC: [u8; 4] = *b"\x7fELF";
/// `XLF_KERNEL_64` of `xloadflags` (Documentation/arch/x86/boot.rst).
const KERNEL_64: u16 = 1;
/// The 64-bit entry point lies this far behind the start of a `bzImage`'s protected-mode part.
const LONG_ENTRY: u64 = 0x200;

/// How a kernel wants to be entered.
#[derive(Debug, PartialEq, Eq)]
pub enum Protocol {
    /// At this address, in 32-bit mode.
    Pvh(u64),
    /// At this address, in 64-bit mode.
    Long(u64),
}

/// Reads the kernel straight into guest memory.
pub fn load(memory: &Memory, file: &mut File) -> Result<KernelLoaderResult, Error> {
    let mut loaded = read(memory, file)?;
    if loaded.setup_header.is_none() && notes::is_linux(file) {
        loaded.pvh_boot_cap = PvhBootCapability::PvhEntryIgnored;
    }
    Ok(loaded)
}

fn read(memory: &Memory, file: &mut File) -> Result<KernelLoaderResult, Error> {
    let start = Some(GuestAddress(layout::HIGH_START));
    let mut magic = [0; 4];
    let read = file.rewind().and_then(|()| file.read_exact(&mut magic)).and_then(|()| file.rewind());
    read.map_err(|error| Error::Kernel(error.to_string()))?;
    let loaded = match magic {
        ELF_MAGIC => Elf::load(memory, None, file, start),
        _ => BzImage::load(memory, None, file, start),
    };
    let loaded = loaded.map_err(|error| Error::Kernel(error.to_string()))?;
    match memory.find_region(GuestAddress(layout::HIGH_START)) {
        Some(_) if fits(memory, loaded.kernel_end) => Ok(loaded),
        _ => Err(Error::TooLarge),
    }
}

fn fits(memory: &Memory, kernel_end: u64) -> bool {
    kernel_end <= super::memory_map::low_memory_end(memory)
}

/// How to enter what was loaded.
pub fn protocol(loaded: &KernelLoaderResult) -> Result<Protocol, Error> {
    if let PvhBootCapability::PvhEntryPresent(address) = loaded.pvh_boot_cap {
        return Ok(Protocol::Pvh(address.0));
    }
    match loaded.setup_header {
        None => Ok(Protocol::Long(loaded.kernel_load.0)),
        Some(header) if header.version >= 0x20c && header.xloadflags & KERNEL_64 != 0 => {
            Ok(Protocol::Long(loaded.kernel_load.0 + LONG_ENTRY))
        }
        Some(_) => Err(Error::OldKernel),
    }
}
