//! Which devices a container may open and make: the spec's rules, enforced by the v1 controller or a v2 BPF program.

use oci_spec::runtime::LinuxDeviceCgroup;

use crate::cgroup::{Cgroup, CgroupError};

mod access;
mod bpf;
mod program;
mod v1;

use access::Policy;

/// Enforces the spec's rules and, after them, what every container may do. Replaces what was in force.
pub(crate) fn apply(cgroup: &Cgroup, rules: &[LinuxDeviceCgroup]) -> Result<(), CgroupError> {
    let policy = Policy::of_container(rules)?;
    match (cgroup.has_v1("devices"), cgroup.v2()) {
        (Some(dir), _) => v1::apply(dir, &policy),
        (None, Some(own)) => bpf::replace(&own.path, &program::assemble(&policy))
            .map_err(|error| CgroupError::file("attach the device filter to", &own.path, error)),
        (None, None) => Err(CgroupError::NoController("devices")),
    }
}
