//! Cloning: a container's init, and its identity maps.

use std::convert::Infallible;

use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
use stockade_sandbox::{Error, Result};

use crate::fail::Context;
use crate::idmap::IdMaps;
use crate::init::{self, Plan};
use crate::namespaces::Namespaces;
use crate::pid::{kill_and_reap, reap};
use crate::sys::clone::{CloneFlags, clone3, setns};
use crate::sys::process::exit;
use crate::wire::{Channel, Message};

/// Clones the init, which is then a child of the calling process, and returns its pid.
pub(crate) fn init(plan: &Plan<'_>, maps: &IdMaps, ours: &Channel, theirs: &Channel) -> Result<u32> {
    let namespaces = plan.namespaces;
    let stage = namespaces.needs_stage();
    let pid = undumpable(|| if stage { staged(plan, ours, theirs) } else { direct(plan, ours, theirs) })?;
    if namespaces.user() {
        release(namespaces, maps, pid, ours).inspect_err(|_| kill_and_reap(pid))?;
    }
    Ok(pid)
}

/// Clones while non-dumpable, so that processes which share a pid namespace with the new one cannot reach the host
/// through it: not for a moment, not even as root of a user namespace that it enters or makes (ptrace(2)).
pub(crate) fn undumpable<T>(clone: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = dumpable_behavior().at("read dumpable")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at("become non-dumpable")?;
    let cloned = clone();
    set_dumpable_behavior(before).at("restore dumpable")?;
    cloned
}

fn release(namespaces: &Namespaces, maps: &IdMaps, pid: u32, ours: &Channel) -> Result<()> {
    if namespaces.new.contains(CloneFlags::NEWUSER) {
        maps.write(pid)?;
    }
    ours.send(&Message::Go)
}

/// The namespaces that clone makes; cgroup and time namespaces take effect only later in the process itself.
fn at_clone(namespaces: &Namespaces) -> CloneFlags {
    namespaces.new - (CloneFlags::NEWCGROUP | CloneFlags::NEWTIME)
}

fn direct(plan: &Plan<'_>, ours: &Channel, theirs: &Channel) -> Result<u32> {
    let cgroup = plan.record.cgroup.clone_target()?;
    in_pid_namespace(plan.namespaces, || {
        clone3(at_clone(plan.namespaces), cgroup.as_ref().map(std::os::fd::AsFd::as_fd), || run(plan, ours, theirs))
            .at("clone the container's init")
    })
}

fn run(plan: &Plan<'_>, ours: &Channel, theirs: &Channel) -> Infallible {
    ours.close_copy();
    init::run(plan, theirs)
}

/// Calls `clone` with children going into the pid namespace to join, if there is one.
fn in_pid_namespace(namespaces: &Namespaces, clone: impl FnOnce() -> Result<u32>) -> Result<u32> {
    let Some(joined) = namespaces.joined_pid() else { return clone() };
    let own = std::fs::File::open("/proc/self/ns/pid").at("open the own pid namespace")?;
    setns(joined, CloneFlags::NEWPID).at("join the pid namespace")?;
    let pid = clone();
    setns(own, CloneFlags::NEWPID).at("go back to the own pid namespace")?;
    pid
}

/// An intermediate process joins, then clones the init as its sibling.
fn staged(plan: &Plan<'_>, ours: &Channel, theirs: &Channel) -> Result<u32> {
    let cgroup = plan.record.cgroup.clone_target()?;
    let cgroup = cgroup.as_ref().map(std::os::fd::AsFd::as_fd);
    let stage = clone3(CloneFlags::empty(), cgroup, || stage(plan, ours, theirs)).at("clone the first stage")?;
    let answer = ours.receive();
    reap(stage);
    match answer? {
        Some(Message::Pid(pid)) => Ok(pid),
        Some(Message::Failed(failure)) => Err(failure.into()),
        _ => Err(Error::Other("the first stage ended without a word".into())),
    }
}

fn stage(plan: &Plan<'_>, ours: &Channel, theirs: &Channel) -> Infallible {
    let clone = || -> Result<u32> {
        if let Some(joined) = plan.namespaces.joined_pid() {
            setns(joined, CloneFlags::NEWPID).at("join the pid namespace")?;
        }
        plan.namespaces.join_all()?;
        let flags = at_clone(plan.namespaces) | CloneFlags::PARENT;
        clone3(flags, None, || run(plan, ours, theirs)).at("clone the container's init")
    };
    let message = clone().map_or_else(|error| Message::Failed(error.into()), Message::Pid);
    let _ = theirs.send(&message);
    exit(0)
}
