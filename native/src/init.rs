//! The life of a container's init until it becomes the workload.

use std::convert::Infallible;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use oci_spec::runtime::{Hook, Spec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal, umask};
use stockade_sandbox::{ContainerId, Error, Result, Status, Stdio};

use crate::cgroup::Joiner;
use crate::clocks;
use crate::console::Pty;
use crate::fail::{Context, invalid};
use crate::namespaces::Namespaces;
use crate::process::{Armed, Workload};
use crate::procfs::ProcFs;
use crate::root;
use crate::state::Record;
use crate::sys::clone::{CloneFlags, unshare};
use crate::sys::process::{exit, join_session_keyring, reset_signals};
use crate::wire::{Channel, Message};
use crate::{hooks, limits, streams, sysctl};

/// All that the init needs, computed before it was cloned.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub spec: &'a Spec,
    pub record: &'a Record,
    pub namespaces: &'a Namespaces,
    pub joiner: Joiner,
    pub root: root::Plan<'a>,
    pub workload: Workload<'a>,
    pub console: Option<UnixStream>,
    pub stdio: Stdio,
    pub keyring: bool,
    pub fifo: OwnedFd,
}

/// Runs the init: the body of the cloned process.
pub(crate) fn run(plan: &Plan<'_>, channel: &Channel) -> Infallible {
    match prepare(plan, channel) {
        Ok(armed) => {
            let error = start(plan, &armed, channel);
            // The creator is gone; the workload's standard error is all that is left to tell.
            let _ = rustix::io::write(rustix::stdio::stderr(), format!("{error}\n").as_bytes());
            exit(if matches!(error, Error::NotExecutable { .. }) { 126 } else { 1 })
        }
        Err(error) => {
            let _ = channel.send(&Message::Failed(error.into()));
            exit(1)
        }
    }
}

fn prepare<'a>(plan: &'a Plan<'a>, channel: &Channel) -> Result<Armed<'a>> {
    close_inherited(plan, channel)?;
    die_with_parent()?;
    channel.check_peer()?;
    plan.joiner.join().at("join the container's cgroup")?;
    enter_namespaces(plan, channel)?;
    let _ = rustix::process::setsid();
    if plan.keyring {
        join_keyring(&plan.record.id)?;
    }
    let procfs = ProcFs::open()?;
    set_names(plan)?;
    umask(Mode::empty());
    let root = build_root(plan, channel)?;
    sysctl::write(&procfs, plan.spec.linux().as_ref().and_then(|linux| linux.sysctl().as_ref()))?;
    take_streams(plan, &root)?;
    drop(root);
    set_rlimits(plan, channel)?;
    let armed = plan.workload.arm(Some(procfs), channel, vec![number(&plan.fifo)])?;
    // Changing credentials cleared it (prctl(2)); from `Ready` on the container stands without its creator.
    set_parent_process_death_signal(None).at("outlive the runtime process")?;
    channel.send(&Message::Ready)?;
    Ok(armed)
}

/// Closes all that the init does not need: the creator's lock, the cgroup it was cloned into, what a careless caller
/// left open. A directory of the host among them would be a way out for every path that the container chooses, by
/// /proc/self/fd (CVE-2024-21626).
fn close_inherited(plan: &Plan<'_>, channel: &Channel) -> Result<()> {
    let stdio = [&plan.stdio.stdin, &plan.stdio.stdout, &plan.stdio.stderr];
    let namespaces = plan.namespaces.joined.iter().map(|(_, file)| file);
    let files = [&plan.fifo].into_iter().chain(namespaces).chain(plan.root.trees()).chain(stdio.into_iter().flatten());
    let sockets = plan.console.iter().map(AsRawFd::as_raw_fd);
    let kept = files.map(AsRawFd::as_raw_fd).chain(sockets).chain(plan.joiner.descriptors());
    let kept = kept.map(RawFd::unsigned_abs).chain([channel.number()]).collect();
    streams::close_others(3 + plan.workload.preserve_fds, kept)
}

fn number(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

/// Until it is handed over, the init ends with the process that made it.
fn die_with_parent() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).at("tie the init to the runtime process")?;
    reset_signals().at("reset signals")
}

fn enter_namespaces(plan: &Plan<'_>, channel: &Channel) -> Result<()> {
    if plan.namespaces.user() {
        channel.wait_for_go()?;
        become_root()?;
    }
    if !plan.namespaces.needs_stage() {
        plan.namespaces.join_all()?;
    }
    let late = plan.namespaces.new & (CloneFlags::NEWCGROUP | CloneFlags::NEWTIME);
    if !late.is_empty() {
        unshare(late).at("make cgroup and time namespaces")?;
    }
    if late.contains(CloneFlags::NEWTIME) {
        clocks::enter(&plan.spec.linux().as_ref().map_or(Ok(Vec::new()), clocks::offsets_of)?)?;
    }
    // What shares a pid namespace with us must not trace us or open our descriptors and binary.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at("become non-dumpable")
}

/// The user namespace's root, if it maps one.
pub(crate) fn become_root() -> Result<()> {
    use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let _ = set_thread_groups(&[]);
    match set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT) {
        Err(rustix::io::Errno::INVAL) => return Ok(()),
        answer => answer.at("setgid 0 in the user namespace")?,
    }
    match set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT) {
        Err(rustix::io::Errno::INVAL) => Ok(()),
        answer => answer.at("setuid 0 in the user namespace"),
    }?;
    set_parent_process_death_signal(Some(Signal::KILL)).at("tie the init to the runtime process")
}

/// Joins the container's session keyring, made if it is not there: keys of the caller's stay its own.
pub(crate) fn join_keyring(id: &ContainerId) -> Result<()> {
    let name = std::ffi::CString::new(format!("_ses.{id}")).map_err(|error| invalid(error.to_string()))?;
    match join_session_keyring(&name) {
        // A kernel without keyrings has nothing to separate.
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        answer => answer.at("create session keyring"),
    }
}

fn set_names(plan: &Plan<'_>) -> Result<()> {
    if let Some(name) = plan.spec.hostname().as_deref().filter(|name| !name.is_empty()) {
        rustix::system::sethostname(name.as_bytes()).at("sethostname")?;
    }
    if let Some(name) = plan.spec.domainname().as_deref().filter(|name| !name.is_empty()) {
        rustix::system::setdomainname(name.as_bytes()).at("setdomainname")?;
    }
    if plan.namespaces.new.contains(CloneFlags::NEWNET) {
        crate::network::loopback_up()?;
    }
    Ok(())
}

fn build_root(plan: &Plan<'_>, channel: &Channel) -> Result<root::Root> {
    let built = plan.root.build()?;
    let all = plan.spec.hooks().as_ref();
    if all.is_some_and(has_runtime_hooks) {
        channel.send(&Message::Hooks)?;
        channel.wait_for_go()?;
    }
    run_hooks(plan, "createContainer", all.and_then(|hooks| hooks.create_container().as_ref()), Status::Creating)?;
    let root = built.enter(&plan.root)?;
    make_directory(plan, &root)?;
    plan.root.restrict(&root)?;
    Ok(root)
}

/// While the process still is root: its creator could set the limits of another user's process only with
/// CAP_SYS_RESOURCE. In a user namespace only the creator may raise them.
fn set_rlimits(plan: &Plan<'_>, channel: &Channel) -> Result<()> {
    let limits = plan.workload.process.rlimits();
    if limits::set_rlimits(None, limits.iter().flatten()).is_ok() {
        return Ok(());
    }
    channel.send(&Message::Limits)?;
    channel.wait_for_go()
}

/// Whether there are hooks that the runtime process runs between the mounts and pivot_root.
pub(crate) fn has_runtime_hooks(hooks: &oci_spec::runtime::Hooks) -> bool {
    let any = |list: &Option<Vec<Hook>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let prestart = any(hooks.prestart());
    prestart || any(hooks.create_runtime())
}

fn run_hooks(plan: &Plan<'_>, kind: &str, list: Option<&Vec<Hook>>, status: Status) -> Result<()> {
    match list.filter(|list| !list.is_empty()) {
        Some(list) => {
            let pid = rustix::process::getpid().as_raw_nonzero().get().unsigned_abs();
            hooks::run(kind, Some(list), &hooks::state_json(plan.record, status, Some(pid)))
        }
        None => Ok(()),
    }
}

/// The working directory is made if it is absent, as runc does. Only what lies in the root is: the way there must not
/// lead through a descriptor.
fn make_directory(plan: &Plan<'_>, root: &root::Root) -> Result<()> {
    let path = plan.workload.process.cwd();
    if !path.is_absolute() {
        return Err(Error::Other("Cwd must be an absolute path".into()));
    }
    if let Ok(None) = root.find(path) {
        // If this fails, entering it will, with the better text.
        let _ = root.make_dir(path);
    }
    Ok(())
}

fn take_streams(plan: &Plan<'_>, root: &root::Root) -> Result<()> {
    let Some(socket) = &plan.console else { return streams::set_given(&plan.stdio) };
    let pty = Pty::open(root)?;
    pty.resize(plan.workload.process.console_size())?;
    pty.bind_console(root)?;
    pty.send_master(socket)?;
    pty.take()
}

/// Waits for `start` and becomes the workload; returns only on failure.
fn start(plan: &Plan<'_>, armed: &Armed<'_>, channel: &Channel) -> Error {
    let wait = || -> Result<()> {
        await_start(&plan.fifo)?;
        let list = plan.spec.hooks().as_ref().and_then(|hooks| hooks.start_container().as_ref());
        run_hooks(plan, "startContainer", list, Status::Created)
    };
    match wait() {
        Ok(()) => armed.exec(channel),
        Err(error) => error,
    }
}

/// Blocks until someone writes to the fifo. Opened without blocking, it shows no end of file before the first writer.
fn await_start(fifo: &OwnedFd) -> Result<()> {
    loop {
        match poll(&mut [PollFd::new(fifo, PollFlags::IN)], None) {
            Err(rustix::io::Errno::INTR) => continue,
            answer => answer.at("wait for start")?,
        };
        match rustix::io::read(fifo, &mut [0u8; 1]) {
            Ok(1) => return Ok(()),
            // A writer that came and went without a word.
            Ok(_) => std::thread::sleep(std::time::Duration::from_millis(1)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::os("read exec.fifo", errno)),
        }
    }
}
