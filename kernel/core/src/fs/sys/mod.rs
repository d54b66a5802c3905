//! sysfs(5): processors, memory, the loopback interface, and empty folders where the sandbox has nothing.

mod cpu;
mod memory;
mod net;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;

use super::synthetic::{Directory, Entry, Node, Synthetic};
use super::system::System;
use crate::task::Namespaces;
use crate::vfs::{Filesystem, Inode, LinkTarget, StatFs};
use crate::{Errno, Kernel};

/// `SYSFS_MAGIC`
const MAGIC: u32 = 0x6265_6572;
const ROOT_NUMBER: u64 = 1;
/// What every file says that it has.
const FILE_BYTES: u64 = 4096;

/// A mounted sysfs.
#[derive(Debug)]
pub struct Sysfs {
    system: System,
}

impl Sysfs {
    /// The sysfs of a container.
    pub fn new(kernel: &Arc<Kernel>, namespaces: &Arc<Namespaces>) -> Arc<Self> {
        Arc::new(Self {
            system: System { kernel: kernel.clone(), namespaces: namespaces.clone(), file_bytes: FILE_BYTES },
        })
    }
}

impl Filesystem for Sysfs {
    fn name(&self) -> &'static str {
        "sysfs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        Synthetic::inode(self.system.clone(), &ROOT, 0o555, ROOT_NUMBER)
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs::of(MAGIC))
    }

    /// Processors come and go with the limits.
    fn caching(&self) -> crate::vfs::Caching {
        crate::vfs::Caching::Nothing
    }
}

static EMPTY: Directory<System> = Directory::of(&[]);

static ROOT: Node<System> = Node::Directory(&Directory::of(&[
    Entry::directory("block", &EMPTY),
    Entry::directory("bus", &BUS),
    Entry::directory("class", &CLASS),
    Entry::directory("dev", &Directory::of(&[Entry::directory("block", &EMPTY), Entry::directory("char", &EMPTY)])),
    Entry::directory("devices", &DEVICES),
    Entry::directory("firmware", &EMPTY),
    Entry::directory("fs", &FS),
    Entry::directory("kernel", &memory::KERNEL),
    Entry::directory("module", &EMPTY),
    Entry::directory("power", &EMPTY),
]));

static BUS: Directory<System> = Directory::of(&[
    Entry::directory("cpu", &BUS_CPU),
    Entry::directory("node", &BUS_NODE),
    Entry::directory("pci", &Directory::of(&[Entry::directory("devices", &EMPTY)])),
    Entry::directory("platform", &Directory::of(&[Entry::directory("devices", &EMPTY)])),
]);

static BUS_CPU: Directory<System> = Directory::of(&[Entry::directory("devices", &cpu::BUS_DEVICES)]);

static BUS_NODE: Directory<System> = Directory::of(&[Entry::directory("devices", &BUS_NODE_DEVICES)]);

static BUS_NODE_DEVICES: Directory<System> =
    Directory::of(&[Entry::link("node0", |_, _| link("../../../devices/system/node/node0"))]);

static CLASS: Directory<System> = Directory::of(&[
    Entry::directory("block", &EMPTY),
    Entry::directory("dmi", &EMPTY),
    Entry::directory("mem", &EMPTY),
    Entry::directory("net", &Directory::of(&[Entry::link("lo", |_, _| link("../../devices/virtual/net/lo"))])),
    Entry::directory("power_supply", &EMPTY),
    Entry::directory("thermal", &EMPTY),
    Entry::directory("tty", &EMPTY),
]);

static DEVICES: Directory<System> = Directory::of(&[
    Entry::directory("platform", &EMPTY),
    Entry::directory("system", &SYSTEM),
    Entry::directory("virtual", &VIRTUAL),
]);

static SYSTEM: Directory<System> =
    Directory::of(&[Entry::directory("cpu", &cpu::CPU), Entry::directory("node", &memory::NODES)]);

static VIRTUAL: Directory<System> =
    Directory::of(&[Entry::directory("net", &Directory::of(&[Entry::directory("lo", &net::LOOPBACK)]))]);

/// Where cgroup2 is mounted.
static FS: Directory<System> = Directory::of(&[Entry::directory("cgroup", &EMPTY)]);

fn link(target: &str) -> Result<LinkTarget, Errno> {
    Ok(LinkTarget::Text(target.as_bytes().to_vec()))
}
