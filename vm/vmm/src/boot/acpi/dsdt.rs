//! The differentiated table: processors' and devices' names, addresses and interrupt lines, in AML.

use acpi_tables::aml::{
    Device, EISAName, IO, Interrupt, Memory32Fixed, Method, Name, Notify, ONE, Package, Path, ResourceTemplate, Scope,
    ZERO,
};
use acpi_tables::{Aml, AmlSink};

use super::{Platform, sdt};
use crate::memory::layout;

/// Where one virtio device lies and which line it raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtioSlot {
    index: u32,
}

impl VirtioSlot {
    /// The slot with this number, below [`layout::VIRTIO_MAX`].
    pub fn new(index: u32) -> Self {
        VirtioSlot { index }
    }

    /// Its registers.
    pub fn address(self) -> u64 {
        layout::VIRTIO_START + u64::from(self.index) * layout::VIRTIO_LEN
    }

    /// Its interrupt line.
    pub fn gsi(self) -> u32 {
        layout::VIRTIO_GSI + self.index
    }
}

/// The whole table.
pub fn table(platform: &Platform<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    power_off(&mut body);
    let devices = platform.virtio.iter().map(|slot| virtio(*slot));
    let devices: Vec<Vec<u8>> =
        devices.chain(platform.serial.map(|_| serial())).chain(platform.keyboard.map(|_| keyboard())).collect();
    let devices: Vec<Vec<u8>> = devices.into_iter().chain([generation_id(), events()]).collect();
    let devices: Vec<Raw<'_>> = devices.iter().map(|bytes| Raw(bytes)).collect();
    let children = devices.iter().map(|device| device as &dyn Aml).collect();
    Scope::new("_SB_".into(), children).to_aml_bytes(&mut body);
    sdt(*b"DSDT", 6, &body)
}

/// AML that is ready.
struct Raw<'a>(&'a [u8]);

impl Aml for Raw<'_> {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(self.0);
    }
}

fn device(name: &str, children: Vec<&dyn Aml>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Device::new(name.into(), children).to_aml_bytes(&mut bytes);
    bytes
}

fn edge(line: u32) -> Interrupt {
    Interrupt::new(true, true, false, false, line)
}

/// `_S5_`: the value that the sleep control register takes for power off.
fn power_off(body: &mut Vec<u8>) {
    let package = Package::new(vec![&crate::devices::POWER_OFF_TYPE, &ZERO, &ZERO, &ZERO]);
    Name::new("_S5_".into(), &package).to_aml_bytes(body);
}

fn virtio(slot: VirtioSlot) -> Vec<u8> {
    let address = u32::try_from(slot.address()).unwrap_or(u32::MAX);
    let len = u32::try_from(layout::VIRTIO_LEN).unwrap_or(u32::MAX);
    let (memory, line) = (Memory32Fixed::new(true, address, len), edge(slot.gsi()));
    device(
        &format!("V{:03}", slot.index),
        vec![
            &Name::new("_HID".into(), &"LNRO0005"),
            &Name::new("_UID".into(), &slot.index),
            &Name::new("_CCA".into(), &ONE),
            &Name::new("_CRS".into(), &ResourceTemplate::new(vec![&memory, &line])),
        ],
    )
}

fn serial() -> Vec<u8> {
    let ports = IO::new(layout::SERIAL_PORT, layout::SERIAL_PORT, 1, 8);
    device(
        "COM1",
        vec![
            &Name::new("_HID".into(), &EISAName::new("PNP0501")),
            &Name::new("_UID".into(), &ZERO),
            &Name::new("_CRS".into(), &ResourceTemplate::new(vec![&ports, &edge(layout::SERIAL_GSI)])),
        ],
    )
}

fn keyboard() -> Vec<u8> {
    let port = |port: u16| IO::new(port, port, 1, 1);
    let (data, command) = (port(layout::KEYBOARD_DATA_PORT), port(layout::KEYBOARD_COMMAND_PORT));
    device(
        "KBD_",
        vec![
            &Name::new("_HID".into(), &EISAName::new("PNP0303")),
            &Name::new("_CRS".into(), &ResourceTemplate::new(vec![&data, &command, &edge(layout::KEYBOARD_GSI)])),
        ],
    )
}

/// VMGenID: `ADDR` holds the identifier's address in two halves. The second name is the one that ACPI has room for.
fn generation_id() -> Vec<u8> {
    let low = u32::try_from(layout::GENERATION_ID).unwrap_or(u32::MAX);
    device(
        "VGEN",
        vec![
            &Name::new("_HID".into(), &"STKDVGID"),
            &Name::new("_CID".into(), &Package::new(vec![&"VM_Gen_Counter", &"VMGENCTR"])),
            &Name::new("_DDN".into(), &"VM_Gen_Counter"),
            &Name::new("ADDR".into(), &Package::new(vec![&low, &ZERO])),
        ],
    )
}

/// The generic event device (ACPI 6.5, 5.6.9): its line says that the generation identifier changed.
fn events() -> Vec<u8> {
    let identifier = Path::new("\\_SB_.VGEN");
    let changed = Notify::new(&identifier, &0x80_u8);
    let line = edge(layout::EVENT_GSI);
    device(
        "GED_",
        vec![
            &Name::new("_HID".into(), &"ACPI0013"),
            &Name::new("_CRS".into(), &ResourceTemplate::new(vec![&line])),
            &Method::new("_EVT".into(), 1, true, vec![&changed]),
        ],
    )
}
