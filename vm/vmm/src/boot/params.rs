//! What a kernel is told at its entry: PVH's start info, or the zero page of Linux's own protocol.
//!
//! Formats: xen/include/public/arch-x86/hvm/start_info.h, Documentation/arch/x86/zero-page.rst.

use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use vm_memory::{Bytes, GuestAddress};

use super::{Error, Initrd, memory_map};
use crate::memory::{Memory, layout};

const START_MAGIC: u32 = 0x336e_c578;
/// Version 1 has the memory map.
const START_VERSION: u32 = 1;

const BOOT_MAGIC: u32 = 0x5372_6448;
const BOOT_FLAG: u16 = 0xaa55;
/// A loader without a number of its own.
const LOADER_UNDEFINED: u8 = 0xff;
/// Kernels aligned to 16 MiB unless they say otherwise.
const KERNEL_ALIGNMENT: u32 = 0x0100_0000;

/// Writes PVH's start info with its lists.
pub fn write_start_info(memory: &Memory, initrd: Initrd) -> Result<(), Error> {
    let map = memory_map(memory);
    for (index, range) in (0..).zip(&map) {
        let entry = hvm_memmap_table_entry {
            addr: range.address,
            size: range.len,
            type_: range.kind.number(),
            ..Default::default()
        };
        let at = layout::START_MEMORY_MAP + index * size_of::<hvm_memmap_table_entry>() as u64;
        memory.write_obj(entry, GuestAddress(at))?;
    }
    let module = hvm_modlist_entry { paddr: initrd.address, size: initrd.len, ..Default::default() };
    memory.write_obj(module, GuestAddress(layout::START_MODULES))?;
    let info = hvm_start_info {
        magic: START_MAGIC,
        version: START_VERSION,
        nr_modules: u32::from(initrd.len > 0),
        modlist_paddr: layout::START_MODULES,
        cmdline_paddr: layout::COMMAND_LINE,
        rsdp_paddr: layout::RSDP,
        memmap_paddr: layout::START_MEMORY_MAP,
        memmap_entries: count(map.len()),
        ..Default::default()
    };
    memory.write_obj(info, GuestAddress(layout::START_INFO))?;
    Ok(())
}

/// Writes the zero page; `header` is that of a `bzImage`.
pub fn write_zero_page(
    memory: &Memory,
    header: Option<setup_header>,
    initrd: Initrd,
    command_line: usize,
) -> Result<(), Error> {
    let mut page = boot_params { hdr: header.unwrap_or_else(default_header), ..Default::default() };
    page.hdr.type_of_loader = LOADER_UNDEFINED;
    page.hdr.cmd_line_ptr = address(layout::COMMAND_LINE)?;
    page.hdr.cmdline_size = count(command_line);
    page.hdr.ramdisk_image = address(initrd.address)?;
    page.hdr.ramdisk_size = address(initrd.len)?;
    page.acpi_rsdp_addr = layout::RSDP;
    let map = memory_map(memory);
    for (slot, range) in page.e820_table.iter_mut().zip(&map) {
        *slot = boot_e820_entry { addr: range.address, size: range.len, r#type: range.kind.number() };
    }
    page.e820_entries = u8::try_from(map.len()).map_err(|_| Error::TooLarge)?;
    memory.write_obj(page, GuestAddress(layout::ZERO_PAGE))?;
    Ok(())
}

fn default_header() -> setup_header {
    setup_header { boot_flag: BOOT_FLAG, header: BOOT_MAGIC, kernel_alignment: KERNEL_ALIGNMENT, ..Default::default() }
}

/// An address of low memory.
fn address(value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::TooLarge)
}

/// A count that small tables bound.
fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
