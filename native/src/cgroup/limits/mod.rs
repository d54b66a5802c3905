//! The spec's `linux.resources` less devices, field by field. Zero means unset, -1 unlimited, as runc has it.

use oci_spec::runtime::LinuxResources;

use super::{Cgroup, CgroupError, Home};

mod block_io;
pub(super) mod cpu;
mod memory;
mod others;

#[cfg(test)]
mod tests;

/// Writes every limit that is set; a limit without its controller is refused by the controller's name.
pub(super) fn apply(cgroup: &Cgroup, resources: &LinuxResources) -> Result<(), CgroupError> {
    if let Some(memory) = resources.memory().as_ref().filter(|memory| memory::is_set(memory)) {
        memory::apply(home(cgroup, "memory")?, memory)?;
    }
    if let Some(cpu) = resources.cpu() {
        apply_cpu(cgroup, cpu)?;
    }
    if let Some(block_io) = resources.block_io().as_ref().filter(|block_io| block_io::is_set(block_io)) {
        block_io::apply(home(cgroup, "blkio")?, block_io)?;
    }
    others::apply(cgroup, resources)
}

fn apply_cpu(cgroup: &Cgroup, cpu: &oci_spec::runtime::LinuxCpu) -> Result<(), CgroupError> {
    if cpu::is_time_set(cpu) {
        cpu::apply_time(home(cgroup, "cpu")?, cpu)?;
    }
    if cpu::is_placement_set(cpu) {
        cpu::apply_placement(home(cgroup, "cpuset")?, cpu)?;
    }
    Ok(())
}

fn home<'a>(cgroup: &'a Cgroup, controller: &'static str) -> Result<Home<'a>, CgroupError> {
    cgroup.home(controller).ok_or(CgroupError::NoController(controller))
}

/// Whether a limit is set whose controller cannot work in a threaded v2 cgroup (cgroups(7), "Thread mode").
pub(super) fn need_domain(resources: &LinuxResources) -> bool {
    resources.memory().as_ref().is_some_and(memory::is_set)
        || resources.block_io().as_ref().is_some_and(block_io::is_set)
        || resources.cpu().as_ref().is_some_and(cpu::is_time_set)
        || resources.hugepage_limits().as_ref().is_some_and(|limits| !limits.is_empty())
}

/// The field's value unless it is zero, which means unset.
fn set<T: Default + PartialEq + Copy>(field: Option<T>) -> Option<T> {
    field.filter(|value| *value != T::default())
}
