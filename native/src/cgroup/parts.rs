//! A container's cgroup in two parts: one for the applications of a monitor, one for the monitor itself.
//!
//! They differ in limits of memory and processes, and in nothing else. Above all not in `cpu`: calls go to and fro
//! between an application and its monitor, and two scheduling groups that do this starve a third
//! (docs/rfcs/0001-trap-path.md). A v2 cgroup that passes controllers on holds no processes itself, so there the
//! monitor gets a part of its own as well; in v1 it stays in the container's cgroup.

use std::os::fd::OwnedFd;

use oci_spec::runtime::LinuxResources;
use rustix::fs::Mode;
use rustix::io::Errno;

use super::{Cgroup, CgroupError, Hierarchy, Version, file};

const APPLICATIONS: &str = "applications";
const MONITOR: &str = "monitor";
/// What the parts have of their own.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

impl Cgroup {
    /// Where the applications live: in the hierarchies of `memory` and `pids` alone.
    #[must_use]
    pub fn applications(&self) -> Self {
        let mut hierarchies: Vec<Hierarchy> = self.hierarchies.iter().filter(|own| own.is_parted()).cloned().collect();
        hierarchies.iter_mut().for_each(|own| own.path.push(APPLICATIONS));
        Self { hierarchies, ..Self::none() }
    }

    /// Where the monitor lives, and who else of the host's processes serves the container.
    #[must_use]
    pub fn monitor(&self) -> Self {
        let mut monitor = Self { hierarchies: self.hierarchies.clone(), ..Self::none() };
        let parted = monitor.hierarchies.iter_mut().filter(|own| own.version == Version::V2 && own.is_parted());
        parted.for_each(|own| own.path.push(MONITOR));
        monitor
    }

    /// Makes the parts of a cgroup that has no process yet, and limits the applications.
    pub fn make_parts(&self, applications: &LinuxResources) -> Result<(), CgroupError> {
        for own in self.hierarchies.iter().filter(|own| own.is_parted()) {
            if own.version == Version::V2 {
                pass_on(own);
                make(own, MONITOR)?;
            }
            make(own, APPLICATIONS)?;
        }
        self.applications().apply(applications)
    }

    /// Opens what a process writes `0` to, to move itself into each hierarchy. One that has no rights of its own may do
    /// so too, by those of whoever opened it.
    pub fn entrances(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        let file = |own: &Hierarchy| match own.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.procs",
        };
        self.hierarchies.iter().map(|own| file::open_for_write(&own.path.join(file(own)))).collect()
    }

    /// Bytes of memory that processes here and below use; `None` where nobody counts.
    pub fn memory_bytes(&self) -> Option<u64> {
        let own = |own: &&Hierarchy| own.controllers.iter().any(|controller| controller == "memory");
        let own = self.hierarchies.iter().find(own)?;
        let name = if own.version == Version::V1 { "memory.usage_in_bytes" } else { "memory.current" };
        file::number(&own.path, name).ok().flatten()
    }
}

impl Hierarchy {
    /// Whether it can be parted without parting anything else. Of a v2 hierarchy single controllers are passed on.
    pub(super) fn is_parted(&self) -> bool {
        let ours = |controller: &String| CONTROLLERS.contains(&controller.as_str());
        match self.version {
            Version::V1 => self.controllers.iter().all(ours),
            Version::V2 => self.controllers.iter().any(ours),
        }
    }
}

fn make(own: &Hierarchy, part: &str) -> Result<(), CgroupError> {
    let path = own.path.join(part);
    match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(CgroupError::file("mkdir", &path, error)),
    }
}

/// A controller that cannot be passed on is missed only by a limit that needs it, which then says so.
fn pass_on(own: &Hierarchy) {
    for controller in CONTROLLERS {
        let _ = file::write(&own.path, "cgroup.subtree_control", &format!("+{controller}"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use stockade_sandbox::CgroupParent;

    use super::*;

    fn hierarchy(version: Version, controllers: &[&str]) -> Hierarchy {
        Hierarchy {
            version,
            controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
            mountpoint: PathBuf::from("/cg"),
            path: PathBuf::from("/cg/box"),
        }
    }

    fn paths(cgroup: &Cgroup) -> Vec<&str> {
        cgroup.hierarchies.iter().filter_map(|own| own.path.to_str()).collect()
    }

    fn check(hierarchies: &[(Version, &[&str])], applications: &[&str], monitor: &[&str]) {
        let hierarchies = hierarchies.iter().map(|(version, names)| hierarchy(*version, names)).collect();
        let cgroup = Cgroup { hierarchies, parent: CgroupParent::Foreign };
        assert_eq!(paths(&cgroup.applications()), applications);
        assert_eq!(paths(&cgroup.monitor()), monitor);
    }

    #[test]
    fn only_memory_and_processes_are_parted() {
        use Version::{V1, V2};
        check(&[(V1, &["memory"]), (V1, &["cpu", "cpuacct"])], &["/cg/box/applications"], &["/cg/box", "/cg/box"]);
        check(&[(V1, &["cpu", "memory"]), (V2, &["hugetlb"])], &[], &["/cg/box", "/cg/box"]);
        check(&[(V2, &["cpu", "memory", "pids"])], &["/cg/box/applications"], &["/cg/box/monitor"]);
    }
}
