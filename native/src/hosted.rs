//! Containers whose workload runs in a monitor of another class.
//!
//! On the host such a container is its *proxy*: a small process that callers see live and end as they would see an
//! init, in the container's cgroup and network namespace: the one that its spec names, or the monitor's. All else is as
//! in class `native`: state on disk, exec fifo, hooks, limits. So every verb that does not reach into the
//! workload is [`crate::Native`]'s.

use std::cell::RefCell;
use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, Process, Spec};
use rustix::process::ioctl_tiocsctty;
use stockade_sandbox::{ContainerId, CreateRequest, Error, Result, Rootfs, Status};

use crate::cgroup::{Cgroup, Making};
use crate::create::{Checked, claim, give_up_groups};
use crate::fail::{Context, invalid};
use crate::helper::Helper;
use crate::idmap::IdMaps;
use crate::jail::Starting;
use crate::namespaces::Namespaces;
use crate::pid::{self, kill_and_reap};
use crate::root::{bind_source, clone_tree, fill};
pub use crate::state::replace_file;
use crate::state::{Dir, Record};
use crate::sys::clone::{CloneFlags, clone3, join, setns};
use crate::sys::mount::{Change, Depth, MountAttr, Propagation, set_attributes};
use crate::sys::process::{exit, reset_signals};
use crate::wire::{Channel, Message};
use crate::{delete, hooks, streams};

/// A container half made: what its launcher works with.
#[derive(Debug)]
pub struct Stage<'a> {
    /// Its directory of state; what the launcher puts there goes with the container.
    pub dir: PathBuf,
    /// The bundle, as an absolute path.
    pub bundle: &'a Path,
    /// Its cgroup, whose limits it has when it is made; proxies live in the monitor's part of it.
    pub cgroup: &'a Cgroup,
    /// Readable once the container is started.
    pub fifo: OwnedFd,
    namespaces: &'a Namespaces,
    groups: &'a RefCell<Making>,
}

/// Makes a container as [`crate::Native`] does, with `launch` in place of the init: it returns the pid of a proxy, a
/// child of the caller. It has the control groups made ([`Stage::make_groups`]). On failure nothing is left.
pub fn create(
    state_root: &Path,
    id: &ContainerId,
    mut request: CreateRequest,
    launch: impl FnOnce(Stage<'_>, &mut CreateRequest) -> Result<u32>,
) -> Result<u32> {
    streams::check_preserved(request.preserve_fds)?;
    let bundle = request.bundle.canonicalize().at_with(|| format!("open bundle {}", request.bundle.display()))?;
    let checked = Checked::new(&request)?;
    let dir = Dir::of(state_root, id);
    let lock = claim(state_root, &dir, id)?;
    let made = make(&dir, &bundle, &checked, id, &mut request, launch);
    if made.is_err()
        && let Err(error) = delete::clear(state_root, &dir, id)
    {
        tracing::warn!("cannot clear away the failed container {id}: {error}");
    }
    drop(lock);
    made
}

fn make(
    dir: &Dir,
    bundle: &Path,
    checked: &Checked,
    id: &ContainerId,
    request: &mut CreateRequest,
    launch: impl FnOnce(Stage<'_>, &mut CreateRequest) -> Result<u32>,
) -> Result<u32> {
    let fifo = dir.make_fifo()?;
    let mut record = checked.record(request, bundle, id)?;
    dir.write(&record)?;
    let (cgroup, groups) = (record.cgroup.clone(), RefCell::new(checked.groups(&record)));
    let (path, namespaces) = (dir.path().to_owned(), &checked.namespaces);
    let launched = launch(Stage { dir: path, bundle, cgroup: &cgroup, fifo, namespaces, groups: &groups }, request);
    let mut groups = groups.into_inner();
    if !groups.is_whole() {
        give_up_groups(&mut groups, dir, &mut record)?;
    }
    let proxy = launched?;
    finish(dir, &mut record, proxy, request.pid_file.as_deref()).inspect_err(|_| kill_and_reap(proxy))?;
    Ok(proxy)
}

fn finish(dir: &Dir, record: &mut Record, proxy: u32, pid_file: Option<&Path>) -> Result<()> {
    record.init = pid::Process::of(proxy);
    dir.write(record)?;
    if let Some(all) = &record.hooks {
        let state = hooks::state_json(record, Status::Creating, Some(proxy));
        hooks::run("prestart", all.prestart().as_ref(), &state)?;
        hooks::run("createRuntime", all.create_runtime().as_ref(), &state)?;
    }
    if let Some(path) = pid_file {
        replace_file(path, proxy.to_string().as_bytes())?;
    }
    dir.finish_creation()
}

impl Stage<'_> {
    /// Makes as much of the control groups as a process is cloned into.
    pub fn begin_groups(&self) -> Result<()> {
        Ok(self.groups.borrow_mut().begin()?)
    }

    /// Makes all of the control groups, with their limits.
    pub fn make_groups(&self) -> Result<()> {
        Ok(self.groups.borrow_mut().finish()?)
    }

    /// Starts the container's proxy in its cgroup and network namespace, a child of the caller, which must have one
    /// thread. `monitor` is the monitor that the container brings with it: a new network namespace is that one's.
    /// `terminal` becomes its controlling terminal.
    pub fn spawn_proxy(&self, helper: &Helper, monitor: Option<u32>, terminal: Option<&OwnedFd>) -> Result<u32> {
        self.begin_proxy(helper, monitor, terminal)?.wait()
    }

    /// The same without waiting until it runs.
    pub fn begin_proxy(&self, helper: &Helper, monitor: Option<u32>, terminal: Option<&OwnedFd>) -> Result<Starting> {
        begin_proxy(helper, self.cgroup, &Network::new(self.namespaces, monitor), terminal)
    }
}

/// The same for one more process of a container.
pub fn spawn_exec_proxy(helper: &Helper, cgroup: &Cgroup, terminal: Option<&OwnedFd>) -> Result<u32> {
    begin_proxy(helper, cgroup, &Network::Callers, terminal)?.wait()
}

/// A proxy's network namespace.
enum Network<'a> {
    Callers,
    New,
    Given(&'a OwnedFd),
    /// Of the monitor with this host pid.
    Monitors(u32),
}

impl<'a> Network<'a> {
    fn new(namespaces: &'a Namespaces, monitor: Option<u32>) -> Self {
        let given = namespaces.joined.iter().find(|(flag, _)| *flag == CloneFlags::NEWNET);
        match (given, monitor) {
            (Some((_, file)), _) => Self::Given(file),
            _ if !namespaces.new.contains(CloneFlags::NEWNET) => Self::Callers,
            (None, Some(monitor)) => Self::Monitors(monitor),
            (None, None) => Self::New,
        }
    }

    /// In the clone.
    fn enter(&self) -> Result<()> {
        match self {
            Self::Callers | Self::New => Ok(()),
            Self::Given(file) => setns(file, CloneFlags::NEWNET).at("join the network namespace"),
            Self::Monitors(pid) => join(*pid, CloneFlags::NEWNET).at("join the monitor's network namespace"),
        }
    }
}

fn begin_proxy(
    helper: &Helper,
    cgroup: &Cgroup,
    network: &Network<'_>,
    terminal: Option<&OwnedFd>,
) -> Result<Starting> {
    let (ours, theirs) = Channel::pair()?;
    let cgroup = cgroup.monitor();
    let target = cgroup.clone_target()?;
    let joiner = cgroup.joiner()?;
    let flags = if matches!(network, Network::New) { CloneFlags::NEWNET } else { CloneFlags::empty() };
    let pid = clone3(flags, target.as_ref().map(AsFd::as_fd), || -> Infallible {
        ours.close_copy();
        let joined = joiner.join().at("join the container's cgroup");
        let Err(error) = joined.and_then(|()| become_proxy(helper, network, terminal, &theirs));
        let _ = theirs.send(&Message::Failed(error.into()));
        exit(1)
    })
    .at("clone the container's proxy")?;
    drop(theirs);
    Ok(Starting::new(pid, ours))
}

fn become_proxy(
    helper: &Helper,
    network: &Network<'_>,
    terminal: Option<&OwnedFd>,
    channel: &Channel,
) -> Result<Infallible> {
    reset_signals().at("reset signals")?;
    rustix::process::setsid().at("make a session")?;
    network.enter()?;
    if let Some(terminal) = terminal {
        ioctl_tiocsctty(terminal).at("make the console the controlling terminal")?;
    }
    helper.prepare(channel)?.run()
}

/// A detached copy of what is mounted at a spec's root, for another process to serve: nothing in it is a way out, since
/// above its top there is nothing, links are not followed, and devices are dead.
pub fn root_tree(spec: &Spec, bundle: &Path) -> Result<OwnedFd> {
    let root = spec.root().as_ref().ok_or_else(|| invalid("root is missing"))?;
    let path = bundle.join(root.path());
    let path = path.canonicalize().at_with(|| format!("open rootfs {}", path.display()))?;
    let what = || format!("copy the mounts at {}", path.display());
    let tree = clone_tree(&path, Depth::All).at_with(what)?;
    make_harmless(&tree).at_with(what)?;
    Ok(tree)
}

/// The same of the source of a bind mount, with the mount's own options.
pub fn bind_tree(spec: &Spec, bundle: &Path, mount: &Mount) -> Result<OwnedFd> {
    let maps = spec.linux().as_ref().map(|linux| IdMaps::new(linux.uid_mappings(), linux.gid_mappings()));
    let tree = bind_source(bundle, mount, &maps.unwrap_or_default())?;
    make_harmless(&tree).at_with(|| format!("copy the mounts for {}", mount.destination().display()))?;
    Ok(tree)
}

fn make_harmless(tree: &OwnedFd) -> std::io::Result<()> {
    let change = Change {
        set: MountAttr::NOSYMFOLLOW | MountAttr::NODEV | MountAttr::NOSUID,
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    set_attributes(tree, Depth::All, &change)
}

/// What a volume that is to be filled from the image needs meanwhile, so that nobody else fills it: whoever fills it
/// may do so where locks of the host are not seen. `None` for one that is as it stays.
pub fn claim_volume(tree: impl AsFd) -> Result<Option<OwnedFd>> {
    fill::claim(tree).at("lock a volume")
}

/// Where a container of some class keeps its state, for what its class adds.
pub fn state_dir(state_root: &Path, id: &ContainerId) -> PathBuf {
    Dir::of(state_root, id).path().to_owned()
}

/// A live container's cgroup. [`Error::NotRunning`] where its proxy is gone.
pub fn live_cgroup(state_root: &Path, id: &ContainerId) -> Result<Cgroup> {
    let dir = Dir::of(state_root, id);
    let record = dir.read()?;
    match dir.status(&record) {
        Status::Stopped | Status::Creating => Err(Error::NotRunning),
        _ => Ok(record.cgroup),
    }
}

/// A process of `exec`: what it does not say is as it is for the container's init.
pub fn with_defaults(state_root: &Path, id: &ContainerId, process: Process) -> Result<Process> {
    Ok(crate::exec::with_defaults(process, &Dir::of(state_root, id).read()?.defaults))
}

/// Freezes a container whose processes cannot all be frozen: an application that waits for the monitor sleeps in a way
/// that the freezer does not interrupt, and goes nowhere while the monitor is frozen. So nothing is waited for.
pub fn pause(state_root: &Path, id: &ContainerId) -> Result<()> {
    let dir = Dir::of(state_root, id);
    let record = dir.read()?;
    match dir.status(&record) {
        Status::Stopped | Status::Creating => Err(Error::NotRunning),
        Status::Paused => Err(Error::Paused { verb: "pause" }),
        _ => Ok(record.cgroup.request_freeze()?),
    }
}

/// Writes a pid file atomically.
pub fn write_pid_file(path: &Path, pid: u32) -> Result<()> {
    replace_file(path, pid.to_string().as_bytes())
}

/// Whether the root file system comes from the image store.
pub fn layers(rootfs: &Rootfs) -> Option<&[PathBuf]> {
    match rootfs {
        Rootfs::Layers { blobs, .. } => Some(blobs),
        Rootfs::Bundle => None,
    }
}
