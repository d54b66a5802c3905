//! ACPI tables: processors, interrupt controller, devices, reset and power off, without any legacy hardware.
//!
//! The platform is *hardware-reduced* (ACPI 6.5, 4.1): no power management timer, no fixed events, no 8259, no 8254. A
//! guest then probes for none of it, which saves exits, and registers interrupt lines only for devices described here.

mod dsdt;

use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic};
use acpi_tables::rsdp::Rsdp;
use acpi_tables::xsdt::XSDT;
use acpi_tables::{Aml, sdt::Sdt};
use vm_memory::{Bytes, GuestAddress};

pub use self::dsdt::VirtioSlot;
use crate::devices::KEYBOARD_RESET;
use crate::memory::{Memory, layout};

/// Asks the keyboard controller for a reset, and waits for it: mov al, KEYBOARD_RESET; out port, al; 1: hlt; jmp 1b.
const RESET_CODE: [u8; 7] =
    [0xb0, KEYBOARD_RESET, 0xe6, layout::KEYBOARD_COMMAND_PORT.to_le_bytes()[0], 0xf4, 0xeb, 0xfd];

const OEM: [u8; 6] = *b"STOCKD";
const OEM_TABLE: [u8; 8] = *b"STOCKADE";
const OEM_REVISION: u32 = 1;

/// `IAPC_BOOT_ARCH` (ACPI 6.5, 5.2.9.3): no VGA, no MSI towards PCI, no ASPM, no CMOS clock.
const BOOT_ARCH: u16 = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5;
/// Also of `IAPC_BOOT_ARCH`: there is an 8042.
const BOOT_ARCH_8042: u16 = 1 << 1;

/// Why there are no tables.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// They must end before a snapshot's tag and the generation identifier.
    #[error("ACPI tables need {0} bytes more than there is room for")]
    Room(u64),
    /// There is no memory.
    #[error("cannot write ACPI tables: {0}")]
    Memory(#[from] vm_memory::GuestMemoryError),
}

/// What the guest is told of.
pub struct Platform<'a> {
    /// Processors, numbered from 0.
    pub vcpus: u8,
    /// Virtio devices.
    pub virtio: &'a [VirtioSlot],
    /// Whether there is a serial port.
    pub serial: Option<Serial>,
    /// Whether there is a keyboard controller that does more than reset.
    pub keyboard: Option<Keyboard>,
}

/// The serial port needs no more than its presence: its place is fixed.
#[derive(Debug, Clone, Copy)]
pub struct Serial;

/// So is the keyboard controller's.
#[derive(Debug, Clone, Copy)]
pub struct Keyboard;

/// Writes all tables, the root pointer at [`layout::RSDP`], and what runs at [`layout::RESET_VECTOR`].
pub fn write(memory: &Memory, platform: &Platform<'_>) -> Result<(), Error> {
    let mut area = Area { memory, next: layout::ACPI_TABLES };
    let dsdt = area.add(&dsdt::table(platform))?;
    let fadt = area.add(&bytes_of(&fadt(dsdt, platform)))?;
    let madt = area.add(&madt(platform.vcpus))?;
    let mut xsdt = XSDT::new(OEM, OEM_TABLE, OEM_REVISION);
    xsdt.add_entry(fadt);
    xsdt.add_entry(madt);
    let xsdt = area.add(&bytes_of(&xsdt))?;
    memory.write_slice(&bytes_of(&Rsdp::new(OEM, xsdt)), GuestAddress(layout::RSDP))?;
    Ok(memory.write_slice(&RESET_CODE, GuestAddress(layout::RESET_VECTOR))?)
}

struct Area<'a> {
    memory: &'a Memory,
    next: u64,
}

impl Area<'_> {
    fn add(&mut self, table: &[u8]) -> Result<u64, Error> {
        let (start, end) = (self.next, self.next + table.len() as u64);
        if end > layout::SNAPSHOT_TAG {
            return Err(Error::Room(end - layout::SNAPSHOT_TAG));
        }
        self.memory.write_slice(table, GuestAddress(start))?;
        self.next = end.next_multiple_of(16);
        Ok(start)
    }
}

fn bytes_of(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// A header with `body`, and its checksum.
fn sdt(signature: [u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    const HEADER: u32 = 36;
    let mut table = Sdt::new(signature, HEADER, revision, OEM, OEM_TABLE, OEM_REVISION);
    table.append_slice(body);
    table.update_checksum();
    table.as_slice().to_vec()
}

fn fadt(dsdt: u64, platform: &Platform<'_>) -> impl Aml + use<> {
    let port = |address: u16| GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, u64::from(address));
    let mut fadt = FADTBuilder::new(OEM, OEM_TABLE, OEM_REVISION)
        .dsdt_64(dsdt)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::ResetRegSup)
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton);
    fadt.iapc_boot_arch = (BOOT_ARCH | platform.keyboard.map_or(0, |_| BOOT_ARCH_8042)).into();
    fadt.reset_reg = port(layout::KEYBOARD_COMMAND_PORT);
    fadt.reset_value = KEYBOARD_RESET;
    fadt.sleep_control_reg = port(layout::SLEEP_PORT);
    fadt.sleep_status_reg = port(layout::SLEEP_PORT + 1);
    fadt.finalize()
}

fn madt(vcpus: u8) -> Vec<u8> {
    let mut madt = MADT::new(OEM, OEM_TABLE, OEM_REVISION, LocalInterruptController::Address(layout::LOCAL_APIC));
    for id in 0..vcpus {
        madt.add_structure(ProcessorLocalApic::new(id, id, EnabledStatus::Enabled));
    }
    madt.add_structure(IoApic::new(0, layout::IO_APIC, 0));
    bytes_of(&madt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::DirtyLog;
    use crate::memory;
    use vm_memory::GuestMemoryBackend;

    fn written(vcpus: u8, slots: u32) -> Memory {
        let memory = memory::anonymous(2, DirtyLog::Off).expect("memory");
        let virtio: Vec<_> = (0..slots).map(VirtioSlot::new).collect();
        let platform = Platform { vcpus, virtio: &virtio, serial: Some(Serial), keyboard: Some(Keyboard) };
        write(&memory, &platform).expect("tables");
        memory
    }

    fn table(memory: &Memory, address: u64) -> Vec<u8> {
        let len: u32 = memory.read_obj(GuestAddress(address + 4)).expect("length");
        let mut table = vec![0; len as usize];
        memory.read_slice(&mut table, GuestAddress(address)).expect("table");
        table
    }

    fn quad(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
    }

    #[test]
    fn every_table_is_reachable_and_sums_to_zero() {
        let memory = written(4, 3);
        let mut rsdp = [0; 36];
        memory.read_slice(&mut rsdp, GuestAddress(layout::RSDP)).expect("root pointer");
        let xsdt = table(&memory, quad(&rsdp, 24));
        let tables: Vec<_> = xsdt[36..].chunks(8).map(|entry| table(&memory, quad(entry, 0))).collect();
        let dsdt = table(&memory, quad(&tables[0], 140));
        let names: Vec<_> = [&xsdt, &tables[0], &tables[1], &dsdt].map(|table| table[..4].to_vec()).into();
        assert_eq!(names, [b"XSDT", b"FACP", b"APIC", b"DSDT"]);
        for table in tables.iter().chain([&xsdt, &dsdt, &rsdp.to_vec()]) {
            assert_eq!(table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), 0);
        }
    }

    #[test]
    fn as_much_as_a_machine_can_have_fits() {
        let memory = written(255, layout::VIRTIO_MAX);
        assert!(memory.address_in_range(GuestAddress(layout::GENERATION_ID)));
    }
}
