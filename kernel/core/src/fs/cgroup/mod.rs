//! cgroup2 (Documentation/admin-guide/cgroup-v2.rst): the one group that the container is, with its own limits. It can
//! be read; groups below cannot be made.

mod cpu;
mod memory;
mod pids;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::proc::PRESSURE_TEXT;
use super::synthetic::{Directory, Entry, Node, Opener, Synthetic, Text};
use super::system::System;
use crate::task::Namespaces;
use crate::vfs::{Filesystem, HandleForm, Inode, StatFs};
use crate::{Errno, Kernel};

/// `CGROUP2_SUPER_MAGIC`
const MAGIC: u32 = 0x6367_7270;
const ROOT_NUMBER: u64 = 1;

/// A mounted cgroup2.
#[derive(Debug)]
pub struct Cgroup2 {
    system: System,
}

impl Cgroup2 {
    /// The group of a container.
    pub fn new(kernel: &Arc<Kernel>, namespaces: &Arc<Namespaces>) -> Arc<Self> {
        Arc::new(Self { system: System { kernel: kernel.clone(), namespaces: namespaces.clone(), file_bytes: 0 } })
    }
}

impl Filesystem for Cgroup2 {
    fn name(&self) -> &'static str {
        "cgroup2"
    }

    fn root(&self) -> Arc<dyn Inode> {
        Synthetic::inode(self.system.clone(), &ROOT, 0o555, ROOT_NUMBER)
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs::of(MAGIC))
    }

    fn handles(&self) -> HandleForm {
        HandleForm::Node
    }

    fn options(&self) -> String {
        ",nsdelegate,memory_recursiveprot".into()
    }
}

static ROOT: Node<System> = Node::Directory(&Directory::of(&[
    Entry::constant("cgroup.controllers", "cpuset cpu io memory pids\n"),
    Entry::text("cgroup.events", events),
    Entry::constant("cgroup.freeze", "0\n").mode(0o644),
    Entry::constant("cgroup.max.depth", "max\n").mode(0o644),
    Entry::constant("cgroup.max.descendants", "max\n").mode(0o644),
    Entry::constant("cgroup.pressure", "1\n").mode(0o644),
    Entry::text("cgroup.procs", pids::processes).mode(0o644),
    Entry::constant("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
    Entry::constant("cgroup.subtree_control", "\n").mode(0o644),
    Entry::text("cgroup.threads", pids::threads).mode(0o644),
    Entry::constant("cgroup.type", "domain\n").mode(0o644),
    Entry::constant("cpu.idle", "0\n").mode(0o644),
    Entry::text("cpu.max", cpu::max).mode(0o644),
    Entry::constant("cpu.max.burst", "0\n").mode(0o644),
    Entry::constant("cpu.pressure", PRESSURE_TEXT).mode(0o644),
    Entry::text("cpu.stat", cpu::stat),
    Entry::constant("cpu.uclamp.max", "max\n").mode(0o644),
    Entry::constant("cpu.uclamp.min", "0.00\n").mode(0o644),
    Entry::text("cpu.weight", cpu::weight).mode(0o644),
    Entry::text("cpu.weight.nice", cpu::weight_nice).mode(0o644),
    Entry::text("cpuset.cpus", cpu::set).mode(0o644),
    Entry::text("cpuset.cpus.effective", cpu::set),
    Entry::constant("cpuset.cpus.partition", "member\n").mode(0o644),
    Entry::constant("cpuset.mems", "\n").mode(0o644),
    Entry::constant("cpuset.mems.effective", "0\n"),
    Entry::constant("io.pressure", PRESSURE_TEXT).mode(0o644),
    Entry::constant("io.stat", ""),
    Entry::constant("io.max", "").mode(0o644),
    Entry::constant("io.weight", "default 100\n").mode(0o644),
    Entry::text("memory.current", memory::current),
    Entry::text("memory.events", memory::events),
    Entry::text("memory.events.local", memory::events),
    Entry::constant("memory.high", "max\n").mode(0o644),
    Entry::constant("memory.low", "0\n").mode(0o644),
    Entry::text("memory.max", memory::max).mode(0o644),
    Entry::constant("memory.min", "0\n").mode(0o644),
    Entry::constant("memory.oom.group", "0\n").mode(0o644),
    Entry::text("memory.peak", memory::current),
    Entry::constant("memory.pressure", PRESSURE_TEXT).mode(0o644),
    Entry::text("memory.stat", memory::stat),
    Entry::constant("memory.swap.current", "0\n"),
    Entry::constant("memory.swap.events", "high 0\nmax 0\nfail 0\n"),
    Entry::constant("memory.swap.high", "max\n").mode(0o644),
    Entry::constant("memory.swap.max", "0\n").mode(0o644),
    Entry::constant("memory.zswap.current", "0\n"),
    Entry::constant("memory.zswap.max", "max\n").mode(0o644),
    Entry::text("pids.current", pids::current),
    Entry::text("pids.events", pids::events),
    Entry::text("pids.max", pids::max).mode(0o644),
    Entry::text("pids.peak", pids::current),
]));

fn events(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let populated = system.processes().iter().any(|process| !process.has_ended());
    let mut text = Text::new();
    writeln!(text, "populated {}\nfrozen 0", u8::from(populated));
    text.finish()
}

/// A number on a line; `max` when there is no limit.
fn line(value: Option<u64>) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    match value {
        Some(value) => writeln!(text, "{value}"),
        None => writeln!(text, "max"),
    }
    text.finish()
}
