//! Block I/O: weights and throttles.

use std::path::Path;

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice};

use super::super::file::{self, Presence};
use super::super::{CgroupError, Home};
use super::set;

pub(in super::super) fn is_set(block_io: &LinuxBlockIo) -> bool {
    set(block_io.weight()).is_some()
        || set(block_io.leaf_weight()).is_some()
        || block_io.weight_device().as_ref().is_some_and(|devices| !devices.is_empty())
        || throttles(block_io).next().is_some()
}

/// A throttle with its v1 file and its v2 key.
fn throttles(block_io: &LinuxBlockIo) -> impl Iterator<Item = (&'static str, &'static str, &LinuxThrottleDevice)> {
    [
        ("blkio.throttle.read_bps_device", "rbps", block_io.throttle_read_bps_device()),
        ("blkio.throttle.write_bps_device", "wbps", block_io.throttle_write_bps_device()),
        ("blkio.throttle.read_iops_device", "riops", block_io.throttle_read_iops_device()),
        ("blkio.throttle.write_iops_device", "wiops", block_io.throttle_write_iops_device()),
    ]
    .into_iter()
    .flat_map(|(file, key, devices)| devices.iter().flatten().map(move |device| (file, key, device)))
}

pub(super) fn apply(home: Home<'_>, block_io: &LinuxBlockIo) -> Result<(), CgroupError> {
    match home {
        Home::V1(dir) => apply_v1(dir, block_io),
        Home::V2(dir) => apply_v2(dir, block_io),
    }
}

fn apply_v1(dir: &Path, block_io: &LinuxBlockIo) -> Result<(), CgroupError> {
    if let Some(weight) = set(block_io.weight()) {
        first_present(dir, &["blkio.weight", "blkio.bfq.weight"], &weight.to_string())?;
    }
    if let Some(weight) = set(block_io.leaf_weight()) {
        first_present(dir, &["blkio.leaf_weight"], &weight.to_string())?;
    }
    for device in block_io.weight_device().iter().flatten() {
        let line = |weight| format!("{}:{} {weight}", device.major(), device.minor());
        if let Some(weight) = set(device.weight()) {
            first_present(dir, &["blkio.weight_device", "blkio.bfq.weight_device"], &line(weight))?;
        }
        if let Some(weight) = set(device.leaf_weight()) {
            first_present(dir, &["blkio.leaf_weight_device"], &line(weight))?;
        }
    }
    throttles(block_io).try_for_each(|(name, _, device)| {
        file::write(dir, name, &format!("{}:{} {}", device.major(), device.minor(), device.rate()))
    })
}

/// Which I/O scheduler's file exists depends on the kernel.
fn first_present(dir: &Path, names: &[&str], value: &str) -> Result<(), CgroupError> {
    for name in names {
        if file::write_if_present(dir, name, value)? == Presence::Present {
            return Ok(());
        }
    }
    Err(CgroupError::Unsupported {
        what: "set a block I/O weight".to_owned(),
        why: format!("this kernel has none of {}: it needs the BFQ I/O scheduler", names.join(", ")),
    })
}

fn apply_v2(dir: &Path, block_io: &LinuxBlockIo) -> Result<(), CgroupError> {
    if let Some(weight) = set(block_io.weight()) {
        weight_v2(dir, "", weight)?;
    }
    for device in block_io.weight_device().iter().flatten() {
        if let Some(weight) = set(device.weight()) {
            weight_v2(dir, &format!("{}:{} ", device.major(), device.minor()), weight)?;
        }
    }
    throttles(block_io).try_for_each(|(_, key, device)| {
        let rate = if device.rate() == 0 { "max".to_owned() } else { device.rate().to_string() };
        file::write(dir, "io.max", &format!("{}:{} {key}={rate}", device.major(), device.minor()))
    })
}

/// BFQ takes the spec's 10..=1000 as they are, `io.weight` has 1..=10000.
fn weight_v2(dir: &Path, device: &str, weight: u16) -> Result<(), CgroupError> {
    if !(10..=1000).contains(&weight) {
        return Err(CgroupError::invalid("blockIO.weight", format!("{weight} is not in 10..=1000")));
    }
    if file::write_if_present(dir, "io.bfq.weight", &format!("{device}{weight}"))? == Presence::Present {
        return Ok(());
    }
    let converted = 1 + (u32::from(weight) - 10) * 9999 / 990;
    first_present(dir, &["io.weight"], &format!("{device}{converted}"))
}
