//! Isolation class `native`: namespaces, cgroups, seccomp and capabilities of the host kernel.

pub mod cgroup;
mod device;
pub mod seccomp;
