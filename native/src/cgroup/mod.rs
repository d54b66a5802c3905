//! Control groups: where a container's cgroup lies, its limits, its processes, its figures.
//!
//! One [`Cgroup`] is one container's directory in every hierarchy of the host. It holds only paths, so it goes into
//! state.json and any later process can act on it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};
use stockade_sandbox::{CgroupManager, ContainerId, OomWatch, Stats};

mod error;

pub use error::CgroupError;

/// One container's cgroup: a directory in each hierarchy of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    hierarchies: Vec<Hierarchy>,
}

/// One mounted hierarchy and the container's directory in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// v1 controllers, for example `["cpu", "cpuacct"]` or `["name=systemd"]`; empty for the v2 hierarchy.
    pub controllers: Vec<String>,
    /// Where the hierarchy is mounted on the host.
    pub mountpoint: PathBuf,
    /// The container's directory, below `mountpoint`.
    pub path: PathBuf,
}

/// What a v1 attach by the process itself needs: one open file per hierarchy. Made before fork, used after.
#[derive(Debug)]
pub struct Joiner {
    tasks: Vec<OwnedFd>,
}

impl Cgroup {
    /// Makes the container's directory in every hierarchy and applies the limits, devices included. Fails when one
    /// exists and holds processes. On failure nothing is left behind.
    ///
    /// `path` is the spec's `cgroupsPath`: absolute ones start at each hierarchy's root, relative ones (and the
    /// default, the id) below the caller's own cgroup (v1) or its parent (v2, where a cgroup with processes cannot
    /// pass controllers on), as runc has it.
    pub fn create(
        _path: Option<&Path>,
        _id: &ContainerId,
        _resources: &LinuxResources,
        _manager: CgroupManager,
    ) -> Result<Self, CgroupError> {
        Ok(Self { hierarchies: Vec::new() })
    }

    /// The hierarchies, for cgroup mounts inside the container.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// Moves a process, with its threads, into the cgroup.
    pub fn attach(&self, _pid: u32) -> Result<(), CgroupError> {
        Ok(())
    }

    /// A handle by which a forked single-threaded child moves itself: cheaper than [`Cgroup::attach`], whose lock over
    /// all thread groups of the host costs milliseconds on an idle machine.
    pub fn joiner(&self) -> Result<Joiner, CgroupError> {
        Ok(Joiner { tasks: Vec::new() })
    }

    /// The v2 directory, for `clone3(CLONE_INTO_CGROUP)`; `None` without a v2 hierarchy.
    pub fn clone_target(&self) -> Result<Option<OwnedFd>, CgroupError> {
        Ok(None)
    }

    /// A cgroup below this one (`exec --cgroup`); it must exist.
    pub fn below(&self, _path: &Path) -> Result<Self, CgroupError> {
        Ok(self.clone())
    }

    /// Changes limits; fields that are `None` stay as they are.
    pub fn apply(&self, _resources: &LinuxResources) -> Result<(), CgroupError> {
        Ok(())
    }

    /// Stops every process until [`Cgroup::thaw`].
    pub fn freeze(&self) -> Result<(), CgroupError> {
        Ok(())
    }

    /// Lets every process go on.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        Ok(())
    }

    /// Whether [`Cgroup::freeze`] was the last word.
    pub fn is_frozen(&self) -> Result<bool, CgroupError> {
        Ok(false)
    }

    /// Every process here and below.
    pub fn pids(&self) -> Result<Vec<u32>, CgroupError> {
        Ok(Vec::new())
    }

    /// Sends a signal to every process here and below, those that fork meanwhile included.
    pub fn signal_all(&self, _signal: i32) -> Result<(), CgroupError> {
        Ok(())
    }

    /// Kills every process here and below, frozen ones included.
    pub fn kill_all(&self) -> Result<(), CgroupError> {
        Ok(())
    }

    /// One sample of resource use.
    pub fn stats(&self) -> Result<Stats, CgroupError> {
        Ok(Stats::default())
    }

    /// Watches for processes killed for lack of memory.
    pub fn watch_oom(&self) -> Result<Box<dyn OomWatch>, CgroupError> {
        Err(CgroupError::NoController("memory"))
    }

    /// Removes the directories and all below; processes must be gone or going. Absent directories are fine.
    pub fn remove(&self) -> Result<(), CgroupError> {
        Ok(())
    }
}

impl Joiner {
    /// Moves the calling thread. Async-signal-safe; for a child that has one thread.
    pub fn join(&self) -> std::io::Result<()> {
        self.tasks.iter().try_for_each(|tasks| rustix::io::write(tasks, b"0").map(drop).map_err(Into::into))
    }
}
