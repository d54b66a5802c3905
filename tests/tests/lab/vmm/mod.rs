//! The VMM: guests driven through `stockade vmm` and its API, and what they see of their machine.

mod balloon;
mod config_file;
mod devices;
mod disks;
mod getting_started;
mod loop_device;
mod network;
mod pvh;
mod snapshots;
mod tap;
mod third_party;

use super::guest::run_part;
use super::{Case, Part};

pub(crate) const CASES: &[Case] = &[
    ("the getting-started session", |lab| run_part(lab, "getting started")),
    ("devices of a guest", |lab| run_part(lab, "devices")),
    ("a guest of a config file", |lab| run_part(lab, "config file")),
    ("snapshots", |lab| run_part(lab, "snapshots")),
    ("a guest that is no Linux", |lab| run_part(lab, "no Linux")),
    ("a client of Firecracker's", |lab| run_part(lab, "third party")),
];

pub(crate) const PARTS: &[Part] = &[
    ("getting started", getting_started::session),
    ("devices", devices::looks),
    ("config file", config_file::boot),
    ("snapshots", snapshots::snapshots),
    ("no Linux", pvh::boot),
    ("third party", third_party::session),
];
