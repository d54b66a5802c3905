//! The `exec` verb: one more process in a container.
//!
//! The child is cloned straight into the container's pid namespace, where processes of the container may see it before
//! it has dropped anything. So it is made non-dumpable before it exists: they can neither trace it nor open its
//! descriptors or its program through /proc.

use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use oci_spec::runtime::Process;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{
    DumpableBehavior, Signal, dumpable_behavior, set_dumpable_behavior, set_parent_process_death_signal, umask,
};
use stockade_sandbox::{Error, ExecRequest, Result, Stdio, Terminal};

use crate::cgroup::{Cgroup, Joiner};
use crate::console::Pty;
use crate::create::{check_terminal, send_listener};
use crate::fail::Context;
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
pub(crate) fn exec(dir: &Dir, record: &Record, request: ExecRequest) -> Result<u32> {
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
            personality: None,
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
    let pid = launch(&plan, &cgroup, &ours, &theirs)?;
    drop((plan.joiner, plan.console, plan.stdio, theirs));
    let finished = finish(pid, &ours, &process, seccomp.as_ref(), record);
    let told = || request.pid_file.as_ref().map_or(Ok(()), |path| replace_file(path, pid.to_string().as_bytes()));
    finished.and_then(|()| told()).inspect_err(|_| kill_and_reap(pid))?;
    Ok(pid)
}

/// What the process does not say is as it is for the container's init.
fn with_defaults(mut process: Process, defaults: &ProcessDefaults) -> Process {
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
    let before = dumpable_behavior().at("read dumpable")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at("become non-dumpable")?;
    let pid = in_pid_namespace(plan, || {
        clone3(CloneFlags::empty(), target.as_ref().map(AsFd::as_fd), || run(plan, ours, theirs)).at("clone")
    });
    set_dumpable_behavior(before).at("restore dumpable")?;
    pid
}

fn in_pid_namespace(plan: &Plan<'_>, clone: impl FnOnce() -> Result<u32>) -> Result<u32> {
    if !plan.namespaces().contains(CloneFlags::NEWPID) {
        return clone();
    }
    let own = std::fs::File::open("/proc/self/ns/pid").at("open the own pid namespace")?;
    setns(&plan.init, CloneFlags::NEWPID).map_err(gone_or("join the container's pid namespace"))?;
    let pid = clone();
    setns(own, CloneFlags::NEWPID).at("go back to the own pid namespace")?;
    pid
}

/// ESRCH from a pidfd: the init has ended meanwhile.
fn gone_or(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| match error.raw_os_error() {
        Some(libc::ESRCH) => Error::NotRunning,
        _ => Error::os(what, error),
    }
}

fn run(plan: &Plan<'_>, ours: &Channel, theirs: &Channel) -> Infallible {
    ours.close_copy();
    let error = become_workload(plan, theirs);
    let _ = theirs.send(&Message::Failed(error.into()));
    exit(1)
}

/// Returns only on failure.
fn become_workload(plan: &Plan<'_>, channel: &Channel) -> Error {
    let prepare = || -> Result<_> {
        close_inherited(plan, channel)?;
        set_parent_process_death_signal(Some(Signal::KILL)).at("tie the process to the runtime's")?;
        reset_signals().at("reset signals")?;
        channel.wait_for_go()?;
        let affinity = plan.workload.process.exec_cpu_affinity().as_ref();
        schedule::pin(affinity.and_then(|affinity| affinity.initial().as_ref()))?;
        plan.joiner.join().at("join the container's cgroup")?;
        schedule::pin(affinity.and_then(|affinity| affinity.cpu_affinity_final().as_ref()))?;
        let procfs = ProcFs::open()?;
        enter(plan)?;
        let _ = rustix::process::setsid();
        init::join_keyring(&plan.record.id)?;
        umask(Mode::empty());
        take_streams(plan)?;
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

fn enter(plan: &Plan<'_>) -> Result<()> {
    let wanted = plan.namespaces() - CloneFlags::NEWPID;
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
