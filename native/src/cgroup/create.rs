//! Making the directories, with what the kernel wants done before a process may enter.

use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use rustix::fs::Mode;
use rustix::io::Errno;

use super::{Cgroup, CgroupError, Hierarchy, Version, file, host, limits, processes};

/// Makes every directory, applies every limit; on failure removes what it made.
pub(super) fn make(cgroup: &Cgroup, resources: &LinuxResources) -> Result<(), CgroupError> {
    let mut making = Making::new(cgroup.clone(), resources.clone());
    making.finish().inspect_err(|_| making.undo())
}

/// A cgroup in the making.
#[derive(Debug)]
pub(crate) struct Making {
    cgroup: Cgroup,
    resources: LinuxResources,
    made: Made,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Nothing,
    Begun,
    Whole,
}

impl Making {
    pub(crate) fn new(cgroup: Cgroup, resources: LinuxResources) -> Self {
        Self { cgroup, resources, made: Made::default(), stage: Stage::Nothing }
    }

    /// Makes what a process is cloned into. The rest may be made while it starts.
    pub(crate) fn begin(&mut self) -> Result<(), CgroupError> {
        if self.stage == Stage::Nothing {
            self.made.hierarchies(&self.cgroup, Version::V2, &self.resources)?;
            self.stage = Stage::Begun;
        }
        Ok(())
    }

    /// Makes all else, and applies every limit.
    pub(crate) fn finish(&mut self) -> Result<(), CgroupError> {
        self.begin()?;
        self.made.hierarchies(&self.cgroup, Version::V1, &self.resources)?;
        self.cgroup.has_v1("cpuset").and_then(Path::parent).map_or(Ok(()), inherit_cpuset)?;
        configure(&self.cgroup, &self.resources)?;
        self.stage = Stage::Whole;
        Ok(())
    }

    /// Whether all of it is there.
    pub(crate) fn is_whole(&self) -> bool {
        self.stage == Stage::Whole
    }

    /// Removes what was made. Nobody may be in it any more.
    pub(crate) fn undo(&mut self) {
        self.made.undo();
        // The first error is the one to report.
        let _ = self.cgroup.remove_parents();
    }
}

/// How often parents that vanish are made again. Each time someone else's removal came through, so this ends.
const TRIES_MAX: u32 = 1000;

/// Repeats a step for as long as the last container of a shared parent takes it away under our feet.
fn while_parents_vanish(mut step: impl FnMut() -> Result<(), CgroupError>) -> Result<(), CgroupError> {
    for _ in 1..TRIES_MAX {
        match step() {
            Err(error) if error.is_gone() => {}
            outcome => return outcome,
        }
    }
    step()
}

fn configure(cgroup: &Cgroup, resources: &LinuxResources) -> Result<(), CgroupError> {
    limits::apply(cgroup, resources)?;
    if let Some(dir) = cgroup.has_v1("cpuset") {
        inherit_cpuset(dir)?;
    }
    crate::device::apply(cgroup, resources.devices().as_deref().unwrap_or_default())
}

/// A v1 CPU set starts empty, and an empty one takes no process.
fn inherit_cpuset(dir: &Path) -> Result<(), CgroupError> {
    ["cpuset.cpus", "cpuset.mems"].into_iter().try_for_each(|name| inherit(dir, name).map(drop))
}

/// Fills an empty value from the parent's, itself filled first.
fn inherit(dir: &Path, name: &str) -> Result<String, CgroupError> {
    let value = file::read(dir, name)?.trim().to_owned();
    let Some(parent) = dir.parent().filter(|_| value.is_empty()) else { return Ok(value) };
    let value = inherit(parent, name)?;
    file::write(dir, name, &value)?;
    Ok(value)
}

/// The directories made so far, in order.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Made {
    fn hierarchies(
        &mut self,
        cgroup: &Cgroup,
        version: Version,
        resources: &LinuxResources,
    ) -> Result<(), CgroupError> {
        let chain = cgroup.is_pure_v2() || resources.hugepage_limits().is_some();
        cgroup.hierarchies.iter().filter(|own| own.version == version).try_for_each(|own| {
            while_parents_vanish(|| match own.version {
                // On a hybrid host v2 has controllers that few ask for: the walk down to pass them on is then saved.
                Version::V2 if chain => self.v2_chain(own, resources).and_then(|()| self.hierarchy(own)),
                _ => self.hierarchy(own),
            })
        })
    }

    fn hierarchy(&mut self, own: &Hierarchy) -> Result<(), CgroupError> {
        match self.dir_and_parents(&own.path)? {
            Novelty::New => Ok(()),
            Novelty::Existing => refuse_in_use(own),
        }
    }

    /// From the root of the hierarchy down: pass controllers on, make the next directory.
    fn v2_chain(&mut self, own: &Hierarchy, resources: &LinuxResources) -> Result<(), CgroupError> {
        let parent = own.path.parent().unwrap_or(&own.mountpoint);
        let mut current = own.mountpoint.clone();
        pass_on(&current)?;
        for part in parent.strip_prefix(&own.mountpoint).unwrap_or(Path::new("")) {
            current.push(part);
            self.dir(&current)?;
            settle_type(&current, resources)?;
            pass_on(&current)?;
        }
        self.dir(&own.path)?;
        settle_type(&own.path, resources)
    }

    /// Makes the directory, and its parents only when they turn out to be missing.
    fn dir_and_parents(&mut self, dir: &Path) -> Result<Novelty, CgroupError> {
        match self.dir(dir) {
            Err(error) if error.is(Errno::NOENT) => {
                let parent = dir.parent().ok_or(error)?;
                self.dir_and_parents(parent)?;
                self.dir(dir)
            }
            other => other,
        }
    }

    fn dir(&mut self, dir: &Path) -> Result<Novelty, CgroupError> {
        match rustix::fs::mkdir(dir, Mode::from_raw_mode(0o755)) {
            Ok(()) => {
                self.0.push(dir.to_owned());
                Ok(Novelty::New)
            }
            Err(Errno::EXIST) if self.0.iter().any(|made| made == dir) => Ok(Novelty::New),
            Err(Errno::EXIST) => Ok(Novelty::Existing),
            Err(error) => Err(CgroupError::file("mkdir", dir, error)),
        }
    }

    /// Newest first, so that children go before parents. Parents that others use by now stay.
    fn undo(&mut self) {
        for dir in self.0.drain(..).rev() {
            let _ = rustix::fs::rmdir(dir);
        }
    }
}

#[derive(PartialEq, Eq)]
enum Novelty {
    New,
    Existing,
}

/// A directory left by a crash, or made by the caller, is fine; a live container's is not.
pub(super) fn refuse_in_use(own: &Hierarchy) -> Result<(), CgroupError> {
    match processes::all(&own.path)?.len() {
        0 => Ok(()),
        pids => Err(CgroupError::NotEmpty { path: own.path.clone(), pids }),
    }
}

/// Enables for the children every controller that this cgroup itself has. Those that cannot be (an ancestor's
/// processes, a rootless caller) are missed only by the limit that needs them, which then says so.
fn pass_on(dir: &Path) -> Result<(), CgroupError> {
    let enabled = file::read(dir, "cgroup.subtree_control")?;
    let missing: Vec<_> = host::v2_controllers(dir)?
        .into_iter()
        .filter(|controller| !enabled.split_whitespace().any(|other| other == controller))
        .map(|controller| format!("+{controller}"))
        .collect();
    if missing.is_empty() || file::write(dir, "cgroup.subtree_control", &missing.join(" ")).is_ok() {
        return Ok(());
    }
    missing.iter().for_each(|one| drop(file::write(dir, "cgroup.subtree_control", one)));
    Ok(())
}

/// A cgroup below one with processes is no domain of its own: threaded mode will do unless a limit needs a domain.
fn settle_type(dir: &Path, resources: &LinuxResources) -> Result<(), CgroupError> {
    let kind = file::read_if_present(dir, "cgroup.type")?.unwrap_or_default();
    match kind.trim() {
        "domain invalid" | "domain threaded" | "threaded" if limits::need_domain(resources) => {
            Err(CgroupError::Unsupported {
                what: format!("set memory, CPU, I/O or huge page limits in {}", dir.display()),
                why: format!("it is in {} mode: choose a cgroupsPath whose parents hold no processes", kind.trim()),
            })
        }
        "domain invalid" => file::write(dir, "cgroup.type", "threaded"),
        _ => Ok(()),
    }
}
