//! Model specific registers of a stopped processor, read and written as a snapshot needs them.

use std::io;

use kvm_bindings::{Msrs, kvm_msr_entry};
use kvm_ioctls::VcpuFd;

use super::super::Error;
use super::refused;

/// More registers in one request are refused (`MAX_IO_MSRS` of Linux).
const AT_ONCE: usize = 256;
/// Memory types, which KVM does not list: variable, fixed and default (Intel SDM 3A, 12.11.2).
const MEMORY_TYPES: [std::ops::RangeInclusive<u32>; 5] =
    [0x200..=0x20f, 0x250..=0x250, 0x258..=0x259, 0x268..=0x26f, 0x2ff..=0x2ff];
/// Means a time of the time stamp counter, which has to be there first.
const TSC_DEADLINE: u32 = 0x6e0;

/// The values of all registers that this processor turns out to have.
pub fn read(fd: &VcpuFd, listed: &[u32]) -> Result<Vec<kvm_msr_entry>, Error> {
    let mut indices: Vec<u32> = listed.to_vec();
    indices.extend(MEMORY_TYPES.into_iter().flatten().filter(|index| !listed.contains(index)));
    indices.sort_by_key(|index| *index == TSC_DEADLINE);
    let mut entries = Vec::with_capacity(indices.len());
    for piece in indices.chunks(AT_ONCE) {
        read_piece(fd, piece, &mut entries)?;
    }
    Ok(entries)
}

/// KVM stops at a register that it cannot tell; the rest is asked for again.
fn read_piece(fd: &VcpuFd, mut indices: &[u32], entries: &mut Vec<kvm_msr_entry>) -> Result<(), Error> {
    while !indices.is_empty() {
        let asked: Vec<_> = indices.iter().map(|&index| kvm_msr_entry { index, ..Default::default() }).collect();
        let mut msrs = list(&asked)?;
        let count = fd.get_msrs(&mut msrs).map_err(refused("tell model specific registers"))?;
        entries.extend(msrs.as_slice().iter().take(count));
        indices = indices.get(count + 1..).unwrap_or_default();
    }
    Ok(())
}

/// Sets registers. One that is refused and has its value already is left alone; any other is named.
pub fn write(fd: &VcpuFd, mut entries: &[kvm_msr_entry]) -> Result<(), Error> {
    while !entries.is_empty() {
        let piece = &entries[..entries.len().min(AT_ONCE)];
        let count = fd.set_msrs(&list(piece)?).map_err(refused("set model specific registers"))?;
        entries = match piece.get(count) {
            None => &entries[piece.len()..],
            Some(entry) if value(fd, entry.index)? == Some(entry.data) => &entries[count + 1..],
            Some(entry) => {
                let source = io::Error::other(format!("register {:#x} takes no {:#x}", entry.index, entry.data));
                return Err(Error::Refused { what: "set a model specific register", source });
            }
        };
    }
    Ok(())
}

fn value(fd: &VcpuFd, index: u32) -> Result<Option<u64>, Error> {
    let mut entries = Vec::new();
    read_piece(fd, &[index], &mut entries)?;
    Ok(entries.first().map(|entry| entry.data))
}

fn list(entries: &[kvm_msr_entry]) -> Result<Msrs, Error> {
    Msrs::from_entries(entries).map_err(|_| Error::Capability("small lists of registers"))
}
