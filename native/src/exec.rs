//! The `exec` verb: one more process in a container.
//!
//! The process is born in the container's pid namespace, where processes of the container may see it before it has
//! dropped anything. So it is made non-dumpable before it exists: they can neither trace it nor open its descriptors or
//! its program through /proc. That does not stop those with CAP_SYS_PTRACE (ptrace(2)). So an intermediate process,
//! which they do not see, closes the host's files and enters the container first: there is nothing of the host's in
//! the new process's root directory, working directory and descriptors.

use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use oci_spec::runtime::Process;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Signal, set_parent_process_death_signal, umask};
use stockade_sandbox::{Error, ExecRequest, Result, Stdio, Terminal};

use crate::cgroup::{Cgroup, Joiner};
use crate::console::Pty;
use crate::create::{check_terminal, send_listener};
use crate::fail::Context;
use crate::launch::undumpable;
use crate::pid::{self, kill_and_reap};
use crate::process::Workload;
use crate::procfs::ProcFs;
use crate::root::Root;
use crate::seccomp::{self, Program};
use crate::state::{Dir, ProcessDefaults, Record, replace_file};
use crate::sys::clone::{CloneFlags, clone3, setns};
use crate::sys::process::{exit, reset_signals};
use crate::wire::{Channel, Message};
use crate::{init, limits, schedule, streams};

/// Runs a process in the container and returns its host pid once it has become the program.
pub(crate) fn exec(dir: &Dir, record: &Record, request: ExecRequest, patience: Option<Duration>) -> Result<u32> {
    streams::check_preserved(request.preserve_fds)?;
    check_terminal(&request.process, &request.terminal)?;
    let init = record.init.and_then(|init| init.open()).ok_or(Error::NotRunning)?;
    let process = with_defaults(request.process, &record.defaults);
    limits::check_rlimits(process.rlimits().as_deref().unwrap_or_default())?;
    let seccomp = dir.read_seccomp()?.as_ref().map(seccomp::compile).transpose()?.flatten();
    let cgroup = match &request.sub_cgroup {
        Some(path) => record.cgroup.below(path)?,
        None => record.cgroup.clone(),
    };
    let plan = Plan {
        record,
        init,
        joiner: cgroup.joiner()?,
        workload: Workload {
            process: &process,
            personality: record.defaults.personality.as_ref(),
            user: request.user.as_deref(),
            seccomp: seccomp.as_ref(),
            preserve_fds: request.preserve_fds,
        },
        console: match request.terminal {
            Terminal::Console(socket) => Some(socket),
            Terminal::None => None,
        },
        stdio: request.stdio,
    };
    let (ours, theirs) = Channel::pair()?;
    patience.map_or(Ok(()), |patience| ours.set_patience(patience))?;
    let pid = launch(&plan, &cgroup, &ours, &theirs)?;
    drop((plan.joiner, plan.console, plan.stdio, theirs));
    let finished = finish(pid, &ours, &process, seccomp.as_ref(), record);
    let told = || request.pid_file.as_ref().map_or(Ok(()), |path| replace_file(path, pid.to_string().as_bytes()));
    finished.and_then(|()| told()).inspect_err(|_| kill_and_reap(pid))?;
    Ok(pid)
}

/// What the process does not say is as it is for the container's init.
pub(crate) fn with_defaults(mut process: Process, defaults: &ProcessDefaults) -> Process {
    macro_rules! inherit {
        ($get:ident, $set:ident) => {
            if process.$get().is_none() {
                process.$set(defaults.$get.clone());
            }
        };
    }
    inherit!(capabilities, set_capabilities);
    inherit!(rlimits, set_rlimits);
    inherit!(apparmor_profile, set_apparmor_profile);
    inherit!(selinux_label, set_selinux_label);
    inherit!(no_new_privileges, set_no_new_privileges);
    inherit!(oom_score_adj, set_oom_score_adj);
    process
}

/// All that the child needs, computed before it was cloned.
#[derive(Debug)]
struct Plan<'a> {
    record: &'a Record,
    init: OwnedFd,
    joiner: Joiner,
    workload: Workload<'a>,
    console: Option<UnixStream>,
    stdio: Stdio,
}

impl Plan<'_> {
    fn namespaces(&self) -> CloneFlags {
        CloneFlags::from_bits_truncate(self.record.namespaces)
    }
}

fn launch(plan: &Plan<'_>, cgroup: &Cgroup, ours: &Channel, theirs: &Channel) -> Result<u32> {
    let target = cgroup.clone_target()?;
    let target = target.as_ref().map(AsFd::as_fd);
    let stage = undumpable(|| clone3(CloneFlags::empty(), target, || stage(plan, ours, theirs)).at("clone"))?;
    let answer = ours.receive();
    pid::reap(stage);
    match answer? {
        Some(Message::Pid(pid)) => Ok(pid),
        Some(Message::Failed(failure)) => Err(failure.into()),
        _ => Err(Error::Other("the first stage ended without a word".into())),
    }
}

/// Enters the container, all but its pid namespace, and clones the process as its own sibling.
fn stage(plan: &Plan<'_>, ours: &Channel, theirs: &Channel) -> Infallible {
    ours.close_copy();
    let clone = || -> Result<u32> {
        close_inherited(plan, theirs)?;
        die_with_parent()?;
        let wanted = plan.namespaces() - LATE;
        setns(&plan.init, wanted).map_err(gone_or("join the container's namespaces"))?;
        clone3(CloneFlags::PARENT, None, || run(plan, theirs)).at("clone")
    };
    let message = clone().map_or_else(|error| Message::Failed(error.into()), Message::Pid);
    let _ = theirs.send(&message);
    exit(0)
}

/// What the process enters itself: it joins the v1 cgroups with the privilege that the user namespace ends.
const LATE: CloneFlags = CloneFlags::NEWUSER.union(CloneFlags::NEWCGROUP);

/// ESRCH from a pidfd: the init has ended meanwhile.
fn gone_or(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| match error.raw_os_error() {
        Some(libc::ESRCH) => Error::NotRunning,
        _ => Error::os(what, error),
    }
}

fn run(plan: &Plan<'_>, channel: &Channel) -> Infallible {
    let error = become_workload(plan, channel);
    let _ = channel.send(&Message::Failed(error.into()));
    exit(1)
}

fn die_with_parent() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).at("tie the process to the runtime's")
}

/// Returns only on failure.
fn become_workload(plan: &Plan<'_>, channel: &Channel) -> Error {
    let prepare = || -> Result<_> {
        die_with_parent()?;
        reset_signals().at("reset signals")?;
        channel.wait_for_go()?;
        let affinity = plan.workload.process.exec_cpu_affinity().as_ref();
        schedule::pin(affinity.and_then(|affinity| affinity.initial().as_ref()))?;
        plan.joiner.join().at("join the container's cgroup")?;
        schedule::pin(affinity.and_then(|affinity| affinity.cpu_affinity_final().as_ref()))?;
        enter_late(plan)?;
        let _ = rustix::process::setsid();
        init::join_keyring(&plan.record.id)?;
        umask(Mode::empty());
        take_streams(plan)?;
        let procfs = plan.workload.is_labelled().then(ProcFs::detached).transpose()?;
        let armed = plan.workload.arm(procfs, channel, Vec::new())?;
        set_parent_process_death_signal(None).at("outlive the runtime process")?;
        Ok(armed)
    };
    match prepare() {
        Ok(armed) => armed.exec(channel),
        Err(error) => error,
    }
}

/// As for the init: no directory of the host may be open while a path of the container's is followed.
fn close_inherited(plan: &Plan<'_>, channel: &Channel) -> Result<()> {
    let stdio = [&plan.stdio.stdin, &plan.stdio.stdout, &plan.stdio.stderr];
    let files = [&plan.init].into_iter().chain(stdio.into_iter().flatten()).map(AsRawFd::as_raw_fd);
    let sockets = plan.console.iter().map(AsRawFd::as_raw_fd);
    let kept = files.chain(sockets).chain(plan.joiner.descriptors()).map(RawFd::unsigned_abs);
    streams::close_others(3 + plan.workload.preserve_fds, kept.chain([channel.number()]).collect())
}

fn enter_late(plan: &Plan<'_>) -> Result<()> {
    let wanted = plan.namespaces() & LATE;
    if !wanted.is_empty() {
        setns(&plan.init, wanted).map_err(gone_or("join the container's namespaces"))?;
    }
    if wanted.contains(CloneFlags::NEWUSER) { init::become_root() } else { Ok(()) }
}

fn take_streams(plan: &Plan<'_>) -> Result<()> {
    let Some(socket) = &plan.console else { return streams::set_given(&plan.stdio) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let pty = Pty::open(&Root::new(open("/", flags, Mode::empty()).at("open /")?))?;
    pty.resize(plan.workload.process.console_size())?;
    pty.send_master(socket)?;
    pty.take()
}

fn finish(pid: u32, channel: &Channel, process: &Process, seccomp: Option<&Program>, record: &Record) -> Result<()> {
    if let Some(score) = process.oom_score_adj() {
        limits::set_oom_score(pid, score)?;
    }
    limits::set_rlimits(pid::raw(pid), process.rlimits().iter().flatten())?;
    channel.send(&Message::Go)?;
    loop {
        match channel.receive()? {
            // Closed by execve.
            None => return Ok(()),
            Some(Message::Listener(number)) => send_listener(pid, number, seccomp, record)?,
            Some(Message::Failed(failure)) => return Err(failure.into()),
            Some(_) => return Err(Error::Other("the new process said something unexpected".into())),
        }
        channel.send(&Message::Go)?;
    }
}
