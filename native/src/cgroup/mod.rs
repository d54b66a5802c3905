//! Control groups: where a container's cgroup lies, its limits, its processes, its figures.
//!
//! One [`Cgroup`] is one container's directory in every hierarchy of the host. It holds only paths, so it goes into
//! state.json and any later process can act on it. A host is v1, v2 or hybrid (cgroups(7)); nothing here asks which:
//! each operation looks up the hierarchy that has its controller and speaks that hierarchy's version.
//!
//! Invariant: no cgroup but the container's own is ever frozen, signalled or limited. Above it, directories are
//! made, and v2 controllers and v1 CPU sets are passed down, but nothing is taken away, save a parent that containers
//! share with nobody else ([`CgroupParent::Shared`]) when the last of them goes.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use oci_spec::runtime::LinuxResources;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use stockade_sandbox::{CgroupManager, CgroupParent, ContainerId, OomWatch, Stats};

mod create;
mod error;
mod file;
mod freeze;
mod host;
mod limits;
mod locate;
mod oom;
mod parts;
mod processes;
mod remove;
mod stats;
mod sys;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod v2_tests;

pub(crate) use create::Making;
pub use error::CgroupError;
pub(crate) use file::{read, write_each};
pub use limits::cpu::weight;

/// One container's cgroup: a directory in each hierarchy of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    hierarchies: Vec<Hierarchy>,
    #[serde(default)]
    parent: CgroupParent,
}

/// One mounted hierarchy and the container's directory in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// Its version.
    pub version: Version,
    /// Its controllers, for example `["cpu", "cpuacct"]` or, for a v1 hierarchy without any, `["name=systemd"]`.
    pub controllers: Vec<String>,
    /// Where the hierarchy is mounted on the host.
    pub mountpoint: PathBuf,
    /// The container's directory, below `mountpoint`.
    pub path: PathBuf,
}

/// The two interfaces of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// One hierarchy per controller or group of them.
    V1,
    /// The unified hierarchy.
    V2,
}

/// The directory of the hierarchy that has a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home<'a> {
    V1(&'a Path),
    V2(&'a Path),
}

/// How a forked child with one thread moves itself into the v1 hierarchies. Made before fork, used after.
#[derive(Debug)]
pub struct Joiner {
    tasks: Vec<OwnedFd>,
}

impl Cgroup {
    /// Makes the container's directory in every hierarchy and applies the limits and device rules. Fails when one
    /// exists and holds processes. On failure nothing is left behind.
    ///
    /// `path` is the spec's `cgroupsPath`: absolute ones start at each hierarchy's root, relative ones (and the
    /// default, the id) below the caller's own cgroup (v1) or its parent (v2, where a cgroup with processes cannot
    /// pass controllers on), as runc has it.
    pub fn create(
        path: Option<&Path>,
        id: &ContainerId,
        resources: &LinuxResources,
        manager: CgroupManager,
    ) -> Result<Self, CgroupError> {
        let cgroup = Self::locate(path, id, manager)?;
        cgroup.make(resources)?;
        Ok(cgroup)
    }

    /// Where [`Cgroup::create`] would make it; fails when a directory there holds processes. A creator writes this
    /// down before [`Cgroup::make`], so that whoever clears up after its death knows what to remove.
    pub fn locate(path: Option<&Path>, id: &ContainerId, manager: CgroupManager) -> Result<Self, CgroupError> {
        let wanted = locate::wanted(path, id, manager)?;
        let hierarchies = host::detect()?.into_iter().map(|mounted| locate::place(mounted, &wanted)).collect();
        let cgroup = Self { hierarchies, parent: CgroupParent::Foreign };
        cgroup.hierarchies.iter().filter(|own| own.path.exists()).try_for_each(create::refuse_in_use)?;
        Ok(cgroup)
    }

    /// Says whose the directories above are.
    pub fn with_parent(self, parent: CgroupParent) -> Self {
        Self { parent, ..self }
    }

    /// The second half of [`Cgroup::create`].
    pub fn make(&self, resources: &LinuxResources) -> Result<(), CgroupError> {
        create::make(self, resources)
    }

    /// A cgroup in no hierarchy.
    pub fn none() -> Self {
        Self { hierarchies: Vec::new(), parent: CgroupParent::Foreign }
    }

    /// The hierarchies, for cgroup mounts inside the container.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// Moves a process, with its threads, into the cgroup.
    ///
    /// Costs milliseconds on an idle host: a write to `cgroup.procs` takes a lock over the forks of all processes. A
    /// child that is yet to be forked gets there for microseconds, by [`Cgroup::clone_target`] and [`Cgroup::joiner`].
    pub fn attach(&self, pid: u32) -> Result<(), CgroupError> {
        self.hierarchies.iter().try_for_each(|own| file::write(&own.path, "cgroup.procs", &pid.to_string()))
    }

    /// The v2 directory, for `clone3` with `CLONE_INTO_CGROUP` (Linux 5.7); `None` without a v2 hierarchy.
    pub fn clone_target(&self) -> Result<Option<OwnedFd>, CgroupError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.v2()
            .map(|own| {
                rustix::fs::open(&own.path, flags, Mode::empty())
                    .map_err(|error| CgroupError::file("open", &own.path, error))
            })
            .transpose()
    }

    /// A handle by which a child that [`Cgroup::clone_target`] put into the v2 hierarchy moves itself into the v1
    /// ones. Empty, and cheap, on a v2 host.
    pub fn joiner(&self) -> Result<Joiner, CgroupError> {
        let v1 = self.hierarchies.iter().filter(|own| own.version == Version::V1);
        let tasks = v1.map(|own| file::open_for_write(&own.path.join("tasks"))).collect::<Result<_, _>>()?;
        Ok(Joiner { tasks })
    }

    /// The part of it that is in the v2 hierarchy.
    pub(crate) fn without_v1(&self) -> Self {
        let v2 = self.v2().cloned().into_iter().collect();
        Self { hierarchies: v2, ..Self::none() }
    }

    /// Whether a process can be cloned into it, and go on, before its v1 directories and its parts are made.
    pub fn takes_early(&self) -> bool {
        !self.is_pure_v2() && self.v2().is_none_or(|own| !own.is_parted())
    }

    /// An existing cgroup below this one, in every hierarchy (`exec --cgroup`).
    pub fn below(&self, path: &Path) -> Result<Self, CgroupError> {
        let path = locate::without_traversal(path)?;
        let mut hierarchies = self.hierarchies.clone();
        hierarchies
            .iter_mut()
            .for_each(|own| own.path.extend(path.components().filter(|part| *part != Component::RootDir)));
        Ok(Self { hierarchies, parent: CgroupParent::Foreign })
    }

    /// Changes limits; fields that are `None` stay as they are. Device rules change when there are any.
    pub fn apply(&self, resources: &LinuxResources) -> Result<(), CgroupError> {
        limits::apply(self, resources)?;
        match resources.devices().as_deref() {
            None | Some([]) => Ok(()),
            Some(rules) => crate::device::apply(self, rules),
        }
    }

    /// Stops every process until [`Cgroup::thaw`].
    pub fn freeze(&self) -> Result<(), CgroupError> {
        freeze::freeze(self.freezer()?)
    }

    /// Asks for the same without waiting until all have stopped.
    pub fn request_freeze(&self) -> Result<(), CgroupError> {
        freeze::request(self.freezer()?)
    }

    /// Lets every process go on.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        freeze::thaw(self.freezer()?)
    }

    /// Whether [`Cgroup::freeze`] was the last word; false when the cgroup is gone.
    pub fn is_frozen(&self) -> Result<bool, CgroupError> {
        freeze::is_frozen(self.freezer()?)
    }

    /// Every process here and below; none when the cgroup is gone.
    pub fn pids(&self) -> Result<Vec<u32>, CgroupError> {
        self.main().map_or(Ok(Vec::new()), |own| processes::all(&own.path))
    }

    /// Whether its processes, those below included, go by themselves in time.
    pub fn is_empty_within(&self, limit: Duration) -> Result<bool, CgroupError> {
        self.main().map_or(Ok(true), |own| remove::is_empty_within(&own.path, limit))
    }

    /// Sends a signal to every process here and below, those that fork meanwhile included.
    pub fn signal_all(&self, signal: i32) -> Result<(), CgroupError> {
        processes::signal_all(self, signal)
    }

    /// Kills every process here and below, frozen ones included. They may take a while to go.
    pub fn kill_all(&self) -> Result<(), CgroupError> {
        processes::kill_all(self)
    }

    /// One sample of resource use.
    pub fn stats(&self) -> Result<Stats, CgroupError> {
        stats::sample(self)
    }

    /// Watches for processes killed for lack of memory.
    pub fn watch_oom(&self) -> Result<Box<dyn OomWatch>, CgroupError> {
        oom::watch(self.home("memory").ok_or(CgroupError::NoController("memory"))?)
    }

    /// Removes the directories and all below; waits, for seconds at most, until dying processes have gone.
    /// Absent directories are fine.
    pub fn remove(&self) -> Result<(), CgroupError> {
        self.hierarchies.iter().try_for_each(|own| remove::tree(&own.path))?;
        self.remove_parents()
    }

    /// Removes the directories above, if they are ours and empty.
    fn remove_parents(&self) -> Result<(), CgroupError> {
        match self.parent {
            CgroupParent::Foreign => Ok(()),
            CgroupParent::Shared => self.hierarchies.iter().try_for_each(remove::parent),
        }
    }

    /// Where a controller lives. `io` is looked up by its v1 name, `blkio`.
    pub(crate) fn has_v1(&self, controller: &str) -> Option<&Path> {
        let holds = |own: &&Hierarchy| own.version == Version::V1 && own.controllers.iter().any(|c| c == controller);
        self.hierarchies.iter().find(holds).map(|own| own.path.as_path())
    }

    /// The v2 hierarchy, whatever its controllers.
    pub(crate) fn v2(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|own| own.version == Version::V2)
    }

    fn home(&self, controller: &str) -> Option<Home<'_>> {
        let v2_name = if controller == "blkio" { "io" } else { controller };
        let v2 = || self.v2().filter(|own| own.controllers.iter().any(|c| c == v2_name));
        self.has_v1(controller).map(Home::V1).or_else(|| v2().map(|own| Home::V2(&own.path)))
    }

    /// Where processes are frozen; every v2 hierarchy can.
    fn freezer(&self) -> Result<Home<'_>, CgroupError> {
        let v2 = || self.v2().map(|own| Home::V2(&own.path));
        self.has_v1("freezer").map(Home::V1).or_else(v2).ok_or(CgroupError::NoController("freezer"))
    }

    /// The hierarchy that is asked for processes: one that every attach reaches. `None` for a cgroup in no hierarchy.
    fn main(&self) -> Option<&Hierarchy> {
        let v1 = |own: &&Hierarchy| own.version == Version::V1;
        self.hierarchies.iter().find(v1).or(self.hierarchies.first())
    }

    /// Whether the host has no v1 hierarchies beside v2.
    fn is_pure_v2(&self) -> bool {
        self.main().is_some_and(|own| own.version == Version::V2)
    }
}

impl Joiner {
    /// The descriptors that [`Joiner::join`] writes to.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.tasks.iter().map(AsRawFd::as_raw_fd)
    }

    /// The same in a process that got [`Joiner::tasks`].
    pub(crate) fn of(tasks: Vec<OwnedFd>) -> Self {
        Self { tasks }
    }

    /// What [`Joiner::join`] writes to.
    pub(crate) fn tasks(&self) -> &[OwnedFd] {
        &self.tasks
    }

    /// Moves the calling thread. Async-signal-safe; for a child that has one thread.
    ///
    /// Writing `0` to `tasks` is the one way into a v1 cgroup that takes no lock over all forks of the host
    /// (cgroup_procs_write_start in kernel/cgroup/cgroup.c): 0.3 ms for nine hierarchies instead of 7 to 20.
    pub fn join(&self) -> std::io::Result<()> {
        self.tasks.iter().try_for_each(|tasks| rustix::io::write(tasks, b"0").map(drop).map_err(Into::into))
    }
}
