//! Slots for devices that come while the machine runs.
//!
//! A virtio-mmio slot without a device shows number 0, and Linux's driver lets go of it (drivers/virtio/virtio_mmio.c,
//! `virtio_mmio_probe`). The host puts a device into one and says what it is for; the driver is then asked to look
//! again, by the name of each slot that has none. What leaves is taken from the driver first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use stockade_sandbox::{Error, Result};

const DEVICES: &str = "/sys/bus/platform/devices";
const DRIVER: &str = "/sys/bus/platform/drivers/virtio-mmio";
/// The ACPI name of a virtio-mmio slot, before its number.
const SLOT: &str = "LNRO0005:";

/// Looks for devices in slots that had none.
pub(crate) fn look() -> Result<()> {
    let entries = fs::read_dir(DEVICES).map_err(|error| Error::os("list the machine's devices", error))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    for name in names.filter(|name| name.starts_with(SLOT) && !Path::new(DEVICES).join(name).join("driver").exists()) {
        // A slot may be empty still.
        let _ = tell("bind", &name);
    }
    Ok(())
}

/// Takes a disk from its driver, before the host takes it out.
pub(crate) fn release(disk: &Path) -> Result<()> {
    let failed = |error| Error::os(format!("release {}", disk.display()), error);
    let slot = slot_of(disk).map_err(failed)?;
    tell("unbind", &slot).map_err(failed)
}

/// `/sys/block/vdb/device` leads to `…/LNRO0005:04/virtio4`.
fn slot_of(disk: &Path) -> io::Result<String> {
    let device = Path::new("/sys/block").join(disk.file_name().unwrap_or_default()).join("device");
    let path = fs::canonicalize(device)?;
    slot_in(&path).ok_or_else(|| io::Error::other("it is in no slot"))
}

fn slot_in(path: &Path) -> Option<String> {
    let name = path.parent()?.file_name()?.to_str()?;
    name.starts_with(SLOT).then(|| name.to_owned())
}

fn tell(what: &str, slot: &str) -> io::Result<()> {
    fs::write(PathBuf::from(DRIVER).join(what), slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_known_by_its_name() {
        let of = |path: &str| slot_in(Path::new(path));
        assert_eq!(of("/sys/devices/platform/LNRO0005:04/virtio4").as_deref(), Some("LNRO0005:04"));
        assert_eq!(of("/sys/devices/pci0000:00/0000:00:01.0/virtio0"), None);
        assert_eq!(of("/"), None);
    }
}
