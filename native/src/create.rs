//! The `create` verb: from a bundle to an init that waits for `start`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_spec::runtime::{Linux, Process, Spec};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use stockade_sandbox::{ContainerId, CreateRequest, Error, Result, Rootfs, SessionKeyring, Status, Terminal};

use crate::cgroup::{Cgroup, Making};
use crate::fail::{Context, invalid};
use crate::idmap::IdMaps;
use crate::layers::Layers;
use crate::namespaces::Namespaces;
use crate::pid::{self, kill_and_reap};
use crate::process::Workload;
use crate::seccomp::{self, Program};
use crate::state::{Dir, ProcessDefaults, Record, replace_file};
use crate::sys::clone::CloneFlags;
use crate::wire::{Channel, Message};
use crate::{caps, clock, delete, hooks, init, launch, limits, root, streams, sysctl};

/// Makes the container; on failure nothing of it is left.
pub(crate) fn create(state_root: &Path, id: &ContainerId, request: CreateRequest) -> Result<u32> {
    streams::check_preserved(request.preserve_fds)?;
    let bundle = request.bundle.canonicalize().at_with(|| format!("open bundle {}", request.bundle.display()))?;
    let checked = Checked::new(&request)?;
    let dir = Dir::of(state_root, id);
    let lock = claim(state_root, &dir, id)?;
    let made = Creation { state_root, id, dir: &dir, bundle, checked }.run(request);
    if made.is_err()
        && let Err(error) = delete::clear(state_root, &dir, id)
    {
        tracing::warn!("cannot clear away the failed container {id}: {error}");
    }
    drop(lock);
    made
}

/// Takes the id, over the remains of a creator that was killed if need be.
pub(crate) fn claim(state_root: &Path, dir: &Dir, id: &ContainerId) -> Result<OwnedFd> {
    if let Some(lock) = dir.make()? {
        return Ok(lock);
    }
    for _ in 0..CLAIM_ATTEMPTS_MAX {
        if !dir.is_half_made() {
            return Err(Error::AlreadyExists);
        }
        if dir.try_lock()?.is_some() {
            tracing::warn!("clearing away the half-made container {id}");
            delete::clear(state_root, dir, id)?;
        }
        if let Some(lock) = dir.make()? {
            return Ok(lock);
        }
        std::thread::sleep(CLAIM_PAUSE);
    }
    Err(Error::AlreadyExists)
}

/// How often, and after what pause, the lock of a half-made container is tried: the clone of a creator that was killed
/// holds it for the moment that it has left to live.
const CLAIM_ATTEMPTS_MAX: u32 = 20;
const CLAIM_PAUSE: Duration = Duration::from_millis(5);

/// What can be computed and refused before anything is made.
pub(crate) struct Checked {
    linux: Linux,
    process: Process,
    pub namespaces: Namespaces,
    maps: IdMaps,
    seccomp: Option<Program>,
}

impl Checked {
    pub(crate) fn new(request: &CreateRequest) -> Result<Self> {
        let spec = &request.spec;
        let linux = spec.linux().clone().ok_or_else(|| invalid("linux is missing"))?;
        let process = spec.process().clone().ok_or_else(|| invalid("process is missing"))?;
        let namespaces = Namespaces::from_spec(&linux)?;
        check_spec(spec, &linux, &process, &namespaces)?;
        check_terminal(&process, &request.terminal)?;
        if !namespaces.user() {
            caps::warn_of_missing(process.capabilities().as_ref())?;
        }
        let maps = IdMaps::new(linux.uid_mappings(), linux.gid_mappings());
        let seccomp = linux.seccomp().as_ref().map(seccomp::compile).transpose()?.flatten();
        Ok(Self { linux, process, namespaces, maps, seccomp })
    }

    fn locate_cgroup(&self, request: &CreateRequest, id: &ContainerId) -> Result<Cgroup> {
        let path = self.linux.cgroups_path().as_deref();
        Ok(Cgroup::locate(path, id, request.cgroup_manager)?.with_parent(request.cgroup_parent))
    }

    pub(crate) fn make_cgroup(&self, dir: &Dir, record: &mut Record) -> Result<()> {
        let mut groups = self.groups(record);
        let made = groups.finish();
        if made.is_err() {
            give_up_groups(&mut groups, dir, record)?;
        }
        Ok(made?)
    }

    /// The control groups that the record names, yet to be made.
    pub(crate) fn groups(&self, record: &Record) -> Making {
        Making::new(record.cgroup.clone(), self.linux.resources().clone().unwrap_or_default())
    }

    /// Where the container's cgroup will be is written down before it is made.
    pub(crate) fn record(&self, request: &CreateRequest, bundle: &Path, id: &ContainerId) -> Result<Record> {
        let spec = &request.spec;
        let process = &self.process;
        let joined = self.namespaces.joined.iter().map(|(flag, _)| *flag);
        Ok(Record {
            oci_version: spec.version().clone(),
            id: id.clone(),
            bundle: bundle.to_owned(),
            rootfs: spec.root().as_ref().map(|root| bundle.join(root.path())).unwrap_or_default(),
            created: clock::now(),
            annotations: spec.annotations().clone().unwrap_or_default(),
            init: None,
            cgroup: self.locate_cgroup(request, id)?,
            namespaces: joined.fold(self.namespaces.new, |all, flag| all | flag).bits(),
            image_layers: matches!(request.rootfs, Rootfs::Layers { .. }),
            hooks: spec.hooks().clone(),
            defaults: ProcessDefaults {
                capabilities: process.capabilities().clone(),
                rlimits: process.rlimits().clone(),
                apparmor_profile: process.apparmor_profile().clone(),
                selinux_label: process.selinux_label().clone(),
                no_new_privileges: process.no_new_privileges(),
                oom_score_adj: process.oom_score_adj(),
                personality: self.linux.personality().clone(),
            },
        })
    }
}

/// Groups that cannot be made may be another container's, so clearing up must not find them.
pub(crate) fn give_up_groups(groups: &mut Making, dir: &Dir, record: &mut Record) -> Result<()> {
    groups.undo();
    record.cgroup = Cgroup::none();
    dir.write(record)
}

fn check_spec(spec: &Spec, linux: &Linux, process: &Process, namespaces: &Namespaces) -> Result<()> {
    let named = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
    let own_names = namespaces.new.contains(CloneFlags::NEWUTS) || namespaces.has(CloneFlags::NEWUTS);
    if (named(spec.hostname()) || named(spec.domainname())) && !own_names {
        return Err(invalid("unable to set hostname without a private UTS namespace"));
    }
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        return Err(invalid("process.args is empty"));
    }
    if linux.intel_rdt().is_some() {
        return Err(invalid("intelRdt is not supported: remove it from the config"));
    }
    if linux.memory_policy().is_some() {
        return Err(invalid("memoryPolicy is not supported: use resources.cpu.mems"));
    }
    if linux.net_devices().as_ref().is_some_and(|devices| !devices.is_empty()) {
        return Err(invalid("netDevices is not supported: move the device into the network namespace before create"));
    }
    limits::check_rlimits(process.rlimits().as_deref().unwrap_or_default())?;
    sysctl::check(linux.sysctl().as_ref(), namespaces)
}

/// A terminal and a socket to send it over come together (runc's texts).
pub(crate) fn check_terminal(process: &Process, terminal: &Terminal) -> Result<()> {
    match (process.terminal().unwrap_or(false), terminal) {
        (true, Terminal::None) => {
            Err(Error::Other("cannot allocate tty if runc will detach without setting console socket".into()))
        }
        (false, Terminal::Console(_)) => {
            Err(Error::Other("cannot use console socket if runc will not detach or allocate tty".into()))
        }
        _ => Ok(()),
    }
}

/// A `create` whose id is claimed.
struct Creation<'a> {
    state_root: &'a Path,
    id: &'a ContainerId,
    dir: &'a Dir,
    bundle: PathBuf,
    checked: Checked,
}

impl Creation<'_> {
    fn run(self, request: CreateRequest) -> Result<u32> {
        let fifo = self.dir.make_fifo()?;
        let source = self.open_rootfs(&request)?;
        let mut record = self.checked.record(&request, &self.bundle, self.id)?;
        self.dir.write(&record)?;
        self.checked.make_cgroup(self.dir, &mut record)?;
        if let Some(profile) = self.checked.linux.seccomp() {
            self.dir.write_seccomp(profile)?;
        }
        let creator = record.clone();
        let mut plan = self.plan(&request.spec, &creator, source, fifo, request.pivot_root)?;
        plan.workload.user = request.user.as_deref();
        plan.workload.preserve_fds = request.preserve_fds;
        plan.keyring = request.keyring == SessionKeyring::New;
        plan.stdio = request.stdio;
        plan.console = match request.terminal {
            Terminal::Console(socket) => Some(socket),
            Terminal::None => None,
        };
        plan.root.open_for_user_namespace()?;
        let (ours, theirs) = Channel::pair()?;
        let pid = launch::init(&plan, &self.checked.maps, &ours, &theirs)?;
        drop((plan, theirs));
        self.finish(pid, &ours, &mut record, request.pid_file.as_deref()).inspect_err(|_| kill_and_reap(pid))
    }

    fn open_rootfs(&self, request: &CreateRequest) -> Result<root::Source> {
        match &request.rootfs {
            Rootfs::Bundle => Ok(root::Source::Directory(self.rootfs_path(&request.spec)?)),
            Rootfs::Layers { blobs, writable } => {
                let layers = Layers::new(self.state_root).acquire(self.id, blobs)?;
                let maps = self.checked.namespaces.user().then_some(&self.checked.maps);
                Ok(root::Source::Tree(root::overlay::mount(&layers, writable, maps)?))
            }
        }
    }

    fn rootfs_path(&self, spec: &Spec) -> Result<PathBuf> {
        let root = spec.root().as_ref().ok_or_else(|| invalid("root is missing"))?;
        let path = self.bundle.join(root.path());
        path.canonicalize().at_with(|| format!("open rootfs {}", path.display()))
    }

    fn plan<'a>(
        &'a self,
        spec: &'a Spec,
        record: &'a Record,
        source: root::Source,
        fifo: OwnedFd,
        pivot: stockade_sandbox::PivotRoot,
    ) -> Result<init::Plan<'a>> {
        let Checked { linux, process, namespaces, maps, seccomp } = &self.checked;
        Ok(init::Plan {
            spec,
            record,
            namespaces,
            joiner: record.cgroup.joiner()?,
            root: root::Plan {
                spec,
                linux,
                bundle: &self.bundle,
                source,
                mounts: root::Prepared::all(spec.mounts().as_ref())?,
                cgroup: &record.cgroup,
                maps,
                user_namespace: namespaces.user(),
                pivot,
            },
            workload: Workload {
                process,
                personality: linux.personality().as_ref(),
                user: None,
                seccomp: seccomp.as_ref(),
                preserve_fds: 0,
            },
            console: None,
            stdio: Default::default(),
            keyring: true,
            fifo,
        })
    }

    /// What the creator does while the init sets itself up, until that is ready.
    fn finish(&self, pid: u32, channel: &Channel, record: &mut Record, pid_file: Option<&Path>) -> Result<u32> {
        let process = &self.checked.process;
        if let Some(score) = process.oom_score_adj() {
            limits::set_oom_score(pid, score)?;
        }
        record.init = pid::Process::of(pid);
        self.dir.write(record)?;
        self.serve(pid, channel, record)?;
        if let Some(path) = pid_file {
            replace_file(path, pid.to_string().as_bytes())?;
        }
        self.dir.finish_creation()?;
        Ok(pid)
    }

    fn serve(&self, pid: u32, channel: &Channel, record: &Record) -> Result<()> {
        loop {
            match channel.receive()? {
                Some(Message::Ready) => return Ok(()),
                Some(Message::Failed(failure)) => return Err(failure.into()),
                Some(Message::Hooks) => self.run_hooks(pid, record)?,
                Some(Message::Limits) => {
                    limits::set_rlimits(pid::raw(pid), self.checked.process.rlimits().iter().flatten())?;
                }
                Some(Message::Listener(number)) => {
                    send_listener(pid, number, self.checked.seccomp.as_ref(), record)?;
                }
                _ => return Err(Error::Other("the container's init ended before it was ready".into())),
            }
            channel.send(&Message::Go)?;
        }
    }

    fn run_hooks(&self, pid: u32, record: &Record) -> Result<()> {
        let Some(all) = &record.hooks else { return Ok(()) };
        let state = hooks::state_json(record, Status::Creating, Some(pid));
        hooks::run("prestart", all.prestart().as_ref(), &state)?;
        hooks::run("createRuntime", all.create_runtime().as_ref(), &state)
    }
}

/// Fetches a process's seccomp listener and sends it to the agent that the profile names (OCI runtime spec, "The
/// Container Process State").
pub(crate) fn send_listener(pid: u32, number: i32, program: Option<&Program>, record: &Record) -> Result<()> {
    let path = program.and_then(Program::listener_path).ok_or_else(|| invalid("seccomp.listenerPath is missing"))?;
    let metadata = program.map_or("", Program::listener_metadata);
    let process = pid::raw(pid).ok_or_else(|| invalid("pid"))?;
    let pidfd = pidfd_open(process, PidfdFlags::empty()).at("open the process")?;
    let listener = pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()).at("fetch the seccomp listener")?;
    let socket = std::os::unix::net::UnixStream::connect(path).at_with(|| format!("connect to {}", path.display()))?;
    let state = hooks::process_state_json(record, pid, metadata);
    crate::console::send_descriptor(&socket, &state, &listener).at_with(|| format!("send to {}", path.display()))
}
