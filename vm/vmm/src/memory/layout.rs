//! The guest's physical address space.
//!
//! ```text
//! 0x0000_0500  descriptor table of the boot processor        0x0000_9000  page tables (64-bit protocol)
//! 0x0000_6000  PVH start info, then its module and map       0x0002_0000  command line
//! 0x0000_7000  zero page (64-bit protocol)                   0x000a_0000  ACPI tables, to 1 MiB
//! 0x0000_8ff0  boot stack                                    0x0010_0000  kernel; initrd at the top of low memory
//! 0xc000_0000  devices, to 4 GiB: boot timer, then one page for each virtio device; I/O APIC, local APIC
//! ```

/// The boot processor's segment descriptors.
pub const GDT: u64 = 0x500;
/// `hvm_start_info`.
pub const START_INFO: u64 = 0x6000;
/// The one module of a PVH boot: the initrd.
pub const START_MODULES: u64 = 0x6040;
/// The memory map of a PVH boot.
pub const START_MEMORY_MAP: u64 = 0x6100;
/// `boot_params`.
pub const ZERO_PAGE: u64 = 0x7000;
/// First stack of the 64-bit protocol.
pub const STACK: u64 = 0x8ff0;
/// Top page table; the two lower levels follow.
pub const PAGE_TABLES: u64 = 0x9000;
/// The kernel's command line.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// Its longest length with the terminating zero: `COMMAND_LINE_SIZE` of Linux on x86.
pub const COMMAND_LINE_MAX: usize = 2048;
/// End of the first, ordinary part of low memory.
pub const LOW_END: u64 = 0xa_0000;
/// Where the root pointer of ACPI lies; Linux looks from here when the boot protocol does not say.
pub const RSDP: u64 = 0xe_0000;
/// The tables follow it.
pub const ACPI_TABLES: u64 = 0xe_0040;
/// Which snapshot this memory was last written to: memory and state of different snapshots do not fit together.
pub const SNAPSHOT_TAG: u64 = 0xf_ffd0;
/// What VMGenID's driver reads: 16 bytes that change with every restore.
pub const GENERATION_ID: u64 = 0xf_ffe0;
/// Where a processor starts that was reset (f000:fff0). A kernel that knows EFI and finds hardware-reduced ACPI tries
/// EFI's reset, which is not there, and then jumps here.
pub const RESET_VECTOR: u64 = 0xf_fff0;
/// Where kernels go.
pub const HIGH_START: u64 = 0x10_0000;
/// The hole for devices.
pub const HOLE_START: u64 = 0xc000_0000;
/// Memory goes on here.
pub const HOLE_END: u64 = 1 << 32;
/// More than any host has: 1 TiB.
pub const MEMORY_MAX: u64 = 1 << 40;

/// A store of 123 here ends the boot, for whoever measures it (Firecracker's convention, here since its 1.13).
pub const BOOT_TIMER: u64 = 0xc000_0000;
/// The first virtio device; each has one page.
pub const VIRTIO_START: u64 = 0xc000_1000;
/// Registers of one virtio device.
pub const VIRTIO_LEN: u64 = 0x1000;
/// The I/O APIC.
pub const IO_APIC: u32 = 0xfec0_0000;
/// Its registers and what lies between.
pub const IO_APIC_LEN: u64 = 0x1000;
/// Each processor's own APIC.
pub const LOCAL_APIC: u32 = 0xfee0_0000;
/// Three pages that KVM on Intel needs, where nothing else lies.
pub const TSS: usize = 0xfffb_d000;

/// First serial port, and its interrupt line.
pub const SERIAL_PORT: u16 = 0x3f8;
/// COM1's line, fixed since the IBM PC.
pub const SERIAL_GSI: u32 = 4;
/// The keyboard controller's data port, and its interrupt line, fixed since the IBM PC.
pub const KEYBOARD_DATA_PORT: u16 = 0x60;
/// See [`KEYBOARD_DATA_PORT`].
pub const KEYBOARD_GSI: u32 = 1;
/// The keyboard controller's command port: 0xfe resets.
pub const KEYBOARD_COMMAND_PORT: u16 = 0x64;
/// ACPI's sleep control register, and its status register one above: a guest's power off.
pub const SLEEP_PORT: u16 = 0x600;
/// The line that announces events to ACPI's generic event device. Each line up to the last costs exits at boot, so this
/// is one that the fixed ones leave free; Linux takes neither 0 nor 2 (`valid_IRQ` in drivers/acpi/resource.c).
pub const EVENT_GSI: u32 = 3;
/// The first line of virtio devices. The I/O APIC has a pin for those that there are.
pub const VIRTIO_GSI: u32 = 5;
/// The most lines that there are: as many pins as Intel's I/O APIC has.
pub const GSI_END: u32 = 24;
/// As many virtio devices as there are lines for.
pub const VIRTIO_MAX: u32 = GSI_END - VIRTIO_GSI;
