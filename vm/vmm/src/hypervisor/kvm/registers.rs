//! A processor's registers at the first instruction.

use std::io;
use std::os::fd::AsRawFd;

use kvm_bindings::{Msrs, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};

use super::super::{Entry, Error};
use super::refused;
use crate::memory::{Memory, layout};

const MSR_IA32_MISC_ENABLE: u32 = 0x1a0;
const MISC_ENABLE_FAST_STRING: u64 = 1;
const MSR_MTRR_DEF_TYPE: u32 = 0x2ff;
/// MTRRs on, write back.
const MTRR_DEFAULT: u64 = 1 << 11 | 6;

const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;

const PAGE_PRESENT: u64 = 1;
const PAGE_WRITABLE: u64 = 1 << 1;
const PAGE_LARGE: u64 = 1 << 7;
const LARGE_PAGE: u64 = 2 << 20;

const APIC_LVT0: usize = 0x350;
const APIC_LVT1: usize = 0x360;
const DELIVER_NMI: i8 = 4;
const DELIVER_EXTINT: i8 = 7;

/// Sets what a firmware would: fast string instructions, and write-back memory.
pub fn set_initial_msrs(fd: &VcpuFd) -> Result<(), Error> {
    let entry = |index, data| kvm_msr_entry { index, data, ..Default::default() };
    let entries = [entry(MSR_IA32_MISC_ENABLE, MISC_ENABLE_FAST_STRING), entry(MSR_MTRR_DEF_TYPE, MTRR_DEFAULT)];
    let msrs = Msrs::from_entries(&entries).map_err(|_| Error::Capability("model specific registers"))?;
    set_msrs(fd, &msrs)
}

/// Banks of machine checks: the least that there can be. Nothing is ever reported by them, and KVM's 32 make a guest
/// read and write 200 registers.
const MCE_BANKS: u64 = 1;

/// Sets how many banks of machine checks the guest finds.
pub fn set_machine_checks(fd: &VcpuFd) -> Result<(), Error> {
    /// `_IOW(KVMIO, 0x9c, __u64)`.
    const KVM_X86_SETUP_MCE: libc::c_ulong = 0x4008_ae9c;
    // SAFETY: the request reads eight bytes, which live until it returns. kvm-ioctls does not have it.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), KVM_X86_SETUP_MCE, &MCE_BANKS) };
    match result {
        0 => Ok(()),
        _ => Err(Error::Refused { what: "set banks of machine checks", source: io::Error::last_os_error() }),
    }
}

/// Sets all of `msrs`, or says which was refused.
pub fn set_msrs(fd: &VcpuFd, msrs: &Msrs) -> Result<(), Error> {
    let count = fd.set_msrs(msrs).map_err(refused("set model specific registers"))?;
    match msrs.as_slice().get(count) {
        None => Ok(()),
        Some(entry) => {
            let source = io::Error::other(format!("register {:#x}", entry.index));
            Err(Error::Refused { what: "set a model specific register", source })
        }
    }
}

/// Wires the two local interrupt pins as firmware does: the old controller, and NMI.
pub fn set_initial_lapic(fd: &VcpuFd) -> Result<(), Error> {
    let mut lapic = fd.get_lapic().map_err(refused("tell a local APIC"))?;
    for (register, mode) in [(APIC_LVT0, DELIVER_EXTINT), (APIC_LVT1, DELIVER_NMI)] {
        // Delivery mode: bits 8 to 10, thus the low bits of the second byte.
        let byte = &mut lapic.regs[register + 1];
        *byte = (*byte & !7) | mode;
    }
    fd.set_lapic(&lapic).map_err(refused("set a local APIC"))
}

/// Sets registers and, for the 64-bit protocol, page tables in guest memory.
pub fn set_entry(fd: &VcpuFd, entry: Entry, memory: &Memory) -> Result<(), Error> {
    let mut sregs = fd.get_sregs().map_err(refused("tell segment registers"))?;
    let regs = match entry {
        Entry::Pvh { address, start_info } => {
            set_protected_mode(&mut sregs);
            kvm_regs { rip: address, rbx: start_info, rflags: 2, ..Default::default() }
        }
        Entry::Long { address, zero_page } => {
            set_long_mode(&mut sregs);
            write_page_tables(memory)?;
            let stack = layout::STACK;
            kvm_regs { rip: address, rsi: zero_page, rsp: stack, rbp: stack, rflags: 2, ..Default::default() }
        }
    };
    write_gdt(memory, &mut sregs)?;
    fd.set_sregs(&sregs).map_err(refused("set segment registers"))?;
    fd.set_regs(&regs).map_err(refused("set registers"))
}

/// A flat segment; `kind` is the type field of a descriptor, code or data.
fn flat(selector: u16, kind: u8) -> kvm_segment {
    kvm_segment { base: 0, limit: u32::MAX, selector, type_: kind, present: 1, s: 1, g: 1, ..Default::default() }
}

fn set_segments(sregs: &mut kvm_sregs, code: kvm_segment) {
    let data = kvm_segment { db: 1, ..flat(0x18, 3) };
    sregs.cs = code;
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    sregs.tr = kvm_segment { limit: 0x67, type_: 11, present: 1, ..Default::default() };
}

fn set_protected_mode(sregs: &mut kvm_sregs) {
    set_segments(sregs, kvm_segment { db: 1, ..flat(0x10, 11) });
    (sregs.cr0, sregs.cr3, sregs.cr4, sregs.efer) = (CR0_PE | CR0_ET, 0, 0, 0);
}

fn set_long_mode(sregs: &mut kvm_sregs) {
    set_segments(sregs, kvm_segment { l: 1, ..flat(0x10, 11) });
    sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
    sregs.cr3 = layout::PAGE_TABLES;
    sregs.cr4 = CR4_PAE;
    sregs.efer = EFER_LME | EFER_LMA;
}

/// One GiB one to one, in large pages.
fn write_page_tables(memory: &Memory) -> Result<(), Error> {
    const TABLE: u64 = 0x1000;
    let (top, middle, low) = (layout::PAGE_TABLES, layout::PAGE_TABLES + TABLE, layout::PAGE_TABLES + 2 * TABLE);
    let flags = PAGE_PRESENT | PAGE_WRITABLE;
    let pages: Vec<u8> = (0..512).flat_map(|page| ((page * LARGE_PAGE) | flags | PAGE_LARGE).to_le_bytes()).collect();
    write(memory, top, &(middle | flags).to_le_bytes())?;
    write(memory, middle, &(low | flags).to_le_bytes())?;
    write(memory, low, &pages)
}

/// Descriptors that agree with the segments, for code that reloads them.
fn write_gdt(memory: &Memory, sregs: &mut kvm_sregs) -> Result<(), Error> {
    let table = [0, 0, descriptor(&sregs.cs), descriptor(&sregs.ds)];
    write(memory, layout::GDT, &table.map(u64::to_le_bytes).concat())?;
    sregs.gdt.base = layout::GDT;
    sregs.gdt.limit = 4 * 8 - 1;
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
    Ok(())
}

/// A flat segment's descriptor (Intel SDM 3A, 3.4.5).
fn descriptor(segment: &kvm_segment) -> u64 {
    let flags = u64::from(segment.l) << 1 | u64::from(segment.db) << 2 | u64::from(segment.g) << 3;
    let access = u64::from(segment.type_) | u64::from(segment.s) << 4 | u64::from(segment.present) << 7;
    0xffff | access << 40 | (0xf | flags << 4) << 48
}

fn write(memory: &Memory, address: u64, bytes: &[u8]) -> Result<(), Error> {
    memory
        .write_slice(bytes, GuestAddress(address))
        .map_err(|error| Error::Refused { what: "write boot structures", source: io::Error::other(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_those_of_every_boot_loader() {
        assert_eq!(descriptor(&kvm_segment { l: 1, ..flat(0x10, 11) }), 0x00af_9b00_0000_ffff);
        assert_eq!(descriptor(&kvm_segment { db: 1, ..flat(0x18, 3) }), 0x00cf_9300_0000_ffff);
    }
}
