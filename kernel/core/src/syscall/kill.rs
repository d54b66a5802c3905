//! Sending signals: kill(2), tkill(2), tgkill(2), rt_sigqueueinfo(2), rt_tgsigqueueinfo(2).

use alloc::sync::Arc;

use super::Call;
use crate::Errno;
use crate::fs::process_of_directory;
use crate::signal::{Signal, SignalInfo};
use crate::task::{Capabilities, Pid, Process, Task};
use crate::wait::Stop;

impl Task {
    /// Whether it may send a signal to a process (kill(2), "permission to send").
    pub(crate) fn check_signal(&self, target: &Process, signal: Option<Signal>) -> Result<(), Errno> {
        if core::ptr::eq(target, &raw const **self.process()) {
            return Ok(());
        }
        let Some(other) = target.leader() else { return Ok(()) };
        let (mine, theirs) = (self.credentials(), other.credentials());
        let same_user = [mine.euid, mine.uid].iter().any(|uid| [theirs.suid, theirs.uid].contains(uid));
        if same_user || mine.has(Capabilities::KILL) {
            return Ok(());
        }
        let same_session = || Arc::ptr_eq(&self.session(), &other.session());
        if signal == Some(Signal::CONT) && same_session() { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn sender_info(&self, signal: Signal) -> SignalInfo {
        SignalInfo::user(signal, self.process().pid(), self.credentials().uid)
    }
}

/// kill(2)
pub fn kill(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let pids = task.process().pids();
    let signal = Signal::optional(call.int(1));
    match call.int(0) {
        number if number > 0 => {
            let target = Pid::new(number).and_then(|pid| process_with(task, pid)).ok_or(Errno::ESRCH)?;
            Ok(send(task, &target, signal?)?)
        }
        0 => send_to_all(task, pids.group(task.group()), signal?),
        -1 => {
            let others = |process: &Arc<Process>| !process.is_init() && !Arc::ptr_eq(process, task.process());
            send_to_all(task, pids.processes().into_iter().filter(others).collect(), signal?)
        }
        i32::MIN => Err(Errno::ESRCH.into()),
        number => {
            let group = Pid::new(-number).ok_or(Errno::ESRCH)?;
            send_to_all(task, pids.group(group), signal?)
        }
    }
}

/// The process with an id; that of one of its tasks will do, as on Linux.
fn process_with(task: &Task, pid: Pid) -> Option<Arc<Process>> {
    let pids = task.process().pids();
    pids.process(pid).or_else(|| Some(pids.task(pid)?.process().clone()))
}

fn send(task: &Arc<Task>, target: &Arc<Process>, signal: Option<Signal>) -> Result<(), Errno> {
    task.check_signal(target, signal)?;
    match signal {
        Some(signal) => target.try_send(task.sender_info(signal)),
        None => Ok(()),
    }
}

/// Succeeds if one could be sent, as on Linux.
fn send_to_all(task: &Arc<Task>, targets: alloc::vec::Vec<Arc<Process>>, signal: Option<Signal>) -> Result<(), Stop> {
    let mut result = Err(Errno::ESRCH);
    for target in targets {
        let sent = send(task, &target, signal);
        if result != Ok(()) {
            result = sent;
        }
    }
    Ok(result?)
}

/// tkill(2)
pub fn tkill(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    Ok(send_to_task(task, None, call.int(0), call.int(1))?)
}

/// tgkill(2)
pub fn tgkill(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let group = Pid::new(call.int(0)).ok_or(Errno::EINVAL)?;
    Ok(send_to_task(task, Some(group), call.int(1), call.int(2))?)
}

fn send_to_task(task: &Arc<Task>, group: Option<Pid>, tid: i32, signal: i32) -> Result<(), Errno> {
    let target = find_task(task, group, tid)?;
    let signal = Signal::optional(signal)?;
    task.check_signal(target.process(), signal)?;
    match signal {
        Some(signal) => target.try_send(SignalInfo::thread(signal, task.process().pid(), task.credentials().uid)),
        None => Ok(()),
    }
}

fn find_task(task: &Task, group: Option<Pid>, tid: i32) -> Result<Arc<Task>, Errno> {
    let tid = Pid::new(tid).ok_or(Errno::EINVAL)?;
    let target = task.process().pids().task(tid).ok_or(Errno::ESRCH)?;
    match group {
        Some(group) if target.process().pid() != group => Err(Errno::ESRCH),
        _ => Ok(target),
    }
}

/// rt_sigqueueinfo(2)
pub fn rt_sigqueueinfo(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let info = read_info(task, call.int(1), call.arg(2));
    let target = Pid::new(call.int(0)).and_then(|pid| process_with(task, pid));
    let info = info?;
    if Pid::new(call.int(0)) != Some(task.process().pid()) {
        info.1.check_forgery()?;
    }
    let target = target.ok_or(Errno::ESRCH)?;
    queue(task, &target, info, |info| target.try_send(info))
}

/// rt_tgsigqueueinfo(2)
pub fn rt_tgsigqueueinfo(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let info = read_info(task, call.int(2), call.arg(3))?;
    let group = Pid::new(call.int(0)).ok_or(Errno::EINVAL)?;
    let tid = Pid::new(call.int(1)).ok_or(Errno::EINVAL)?;
    if tid != task.tid() {
        info.1.check_forgery()?;
    }
    let target = find_task(task, Some(group), call.int(1))?;
    queue(task, target.process(), info, |info| target.try_send(info))
}

/// The signal, `None` for 0, and its information.
type Queueable = (Option<Signal>, SignalInfo);

fn read_info(task: &Task, signal: i32, address: u64) -> Result<Queueable, Errno> {
    let mut bytes = [0; SignalInfo::LEN];
    task.memory().read_bytes(address, &mut bytes)?;
    let signal = Signal::optional(signal)?;
    Ok((signal, SignalInfo::from_user(signal.unwrap_or(Signal::HUP), &bytes)))
}

fn queue(
    task: &Arc<Task>,
    target: &Process,
    (signal, info): Queueable,
    send: impl FnOnce(SignalInfo) -> Result<(), Errno>,
) -> Result<(), Stop> {
    task.check_signal(target, signal)?;
    if signal.is_some() {
        send(info)?;
    }
    Ok(())
}

/// pidfd_send_signal(2)
pub fn pidfd_send_signal(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let flags = call.uint(3);
    // PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP, PIDFD_SIGNAL_PROCESS_GROUP: one at most.
    if flags & !7 != 0 || flags.count_ones() > 1 {
        return Err(Errno::EINVAL.into());
    }
    let file = task.files().get(call.int(0))?;
    // A directory /proc/PID will do as well.
    let target = super::pidfd::process_of(&file).or_else(|_| process_of_directory(file.inode()))?;
    if target.is_gone() {
        return Err(Errno::ESRCH.into());
    }
    if call.arg(2) == 0 {
        let signal = Signal::optional(call.int(1))?;
        return match flags {
            4 => send_to_all(task, task.process().pids().group(target.group()), signal),
            _ => Ok(send(task, &target, signal)?),
        };
    }
    let info = read_info(task, call.int(1), call.arg(2))?;
    if info.0.is_some_and(|signal| signal.raw() != info_signal(task, call.arg(2))) {
        return Err(Errno::EINVAL.into());
    }
    if !Arc::ptr_eq(&target, task.process()) {
        info.1.check_forgery()?;
    }
    queue(task, &target, info, |info| target.try_send(info))
}

/// `si_signo` as the application gave it.
fn info_signal(task: &Task, address: u64) -> i32 {
    task.memory().read_struct(address).unwrap_or(0)
}
