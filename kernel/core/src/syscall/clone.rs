//! How tasks begin and end: clone(2), clone3(2), fork(2), vfork(2), exit(2), exit_group(2), unshare(2), setns(2),
//! set_tid_address(2), set_robust_list(2), get_robust_list(2).

use alloc::sync::Arc;

use super::{Call, Outcome, pidfd};
use crate::Errno;
use crate::abi::Abi;
use crate::fs::OpenNamespace;
use crate::platform::Reply;
use crate::signal::Signal;
use crate::task::{Capabilities, Clone, CloneFlags, ExitStatus, Pid, ROBUST_HEAD_BYTES, RobustList, Task};
use crate::wait::Stop;

/// CSIGNAL: the exit signal in the flags of clone(2).
const EXIT_SIGNAL: u64 = 0xff;
/// Namespaces of their own: refused to everybody, as a host without nested namespaces does.
const NAMESPACES: CloneFlags = CloneFlags::NEWNS
    .union(CloneFlags::NEWCGROUP)
    .union(CloneFlags::NEWUTS)
    .union(CloneFlags::NEWIPC)
    .union(CloneFlags::NEWUSER)
    .union(CloneFlags::NEWPID)
    .union(CloneFlags::NEWNET)
    .union(CloneFlags::NEWTIME);
/// Set in `Resume::state` once the child was made; its id is below.
const MADE: u64 = 1 << 32;

/// clone(2)
pub fn clone(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let raw = call.arg(0) & 0xffff_ffff;
    let flags = CloneFlags::from_bits_retain(raw & !EXIT_SIGNAL);
    let parent_tid = call.arg(2);
    if flags.contains(CloneFlags::PIDFD | CloneFlags::PARENT_SETTID) {
        return Err(Errno::EINVAL.into());
    }
    let request = Clone {
        flags,
        exit_signal: exit_signal(raw & EXIT_SIGNAL)?,
        stack: call.arg(1),
        parent_tid,
        child_tid: call.arg(3),
        tls: call.arg(4),
        pidfd: parent_tid,
        wanted: None,
    };
    run(task, call, &request)
}

/// fork(2)
pub fn fork(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    run(task, call, &Clone::process(CloneFlags::empty()))
}

/// vfork(2)
pub fn vfork(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    run(task, call, &Clone::process(CloneFlags::VM | CloneFlags::VFORK))
}

/// CLONE_ARGS_SIZE_VER0 and the size that is known here (VER2).
const ARGS_BYTES: core::ops::RangeInclusive<usize> = 64..=88;
/// The page size, which bounds what clone3 looks at.
const ARGS_BYTES_MAX: usize = 4096;

/// clone3(2)
pub fn clone3(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let request = clone3_request(task, call.arg(0), call.size(1))?;
    run(task, call, &request)
}

fn clone3_request(task: &Task, address: u64, len: usize) -> Result<Clone, Errno> {
    if len > ARGS_BYTES_MAX {
        return Err(Errno::E2BIG);
    }
    if len < *ARGS_BYTES.start() {
        return Err(Errno::EINVAL);
    }
    let mut bytes = task.memory().read_vec(address, len)?;
    if bytes.iter().skip(*ARGS_BYTES.end()).any(|byte| *byte != 0) {
        return Err(Errno::E2BIG);
    }
    bytes.resize(*ARGS_BYTES.end(), 0);
    let [flags, pidfd, child_tid, parent_tid, signal, stack, stack_len, tls, set_tid, set_tid_len, _cgroup] =
        <[u64; 11]>::from_bytes(&bytes);
    let flags = CloneFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let consistent = !flags.contains(CloneFlags::DETACHED)
        && !flags.contains(CloneFlags::INTO_CGROUP)
        && (stack == 0) == (stack_len == 0)
        && signal & !EXIT_SIGNAL == 0
        && !(signal != 0 && flags.intersects(CloneFlags::THREAD | CloneFlags::PARENT));
    if !consistent {
        return Err(Errno::EINVAL);
    }
    Ok(Clone {
        flags,
        exit_signal: exit_signal(signal)?,
        stack: stack.wrapping_add(stack_len),
        parent_tid,
        child_tid,
        tls,
        pidfd,
        wanted: wanted(task, set_tid, set_tid_len)?,
    })
}

/// `set_tid` of clone3: one id at most, as there is one pid namespace.
fn wanted(task: &Task, address: u64, count: u64) -> Result<Option<Pid>, Errno> {
    match (address, count) {
        (0, 0) => Ok(None),
        (0, _) | (_, 0) | (_, 2..) => Err(Errno::EINVAL),
        (_, 1) => {
            let pid = Pid::new(task.memory().read_struct(address)?).ok_or(Errno::EINVAL)?;
            let allowed = task.credentials().has(crate::task::Capabilities::CHECKPOINT_RESTORE)
                || task.credentials().has(crate::task::Capabilities::SYS_ADMIN);
            if allowed { Ok(Some(pid)) } else { Err(Errno::EPERM) }
        }
    }
}

fn exit_signal(number: u64) -> Result<Option<Signal>, Errno> {
    Signal::optional(i32::try_from(number).map_err(|_| Errno::EINVAL)?)
}

fn run(task: &Arc<Task>, call: &mut Call, request: &Clone) -> Result<u64, Stop> {
    if call.resume.state & MADE != 0 {
        return wait_for_vfork(task, call);
    }
    request.check()?;
    if request.flags.intersects(NAMESPACES) {
        return Err(Errno::EPERM.into());
    }
    if request.flags.contains(CloneFlags::PARENT) && task.process().is_init() {
        return Err(Errno::EINVAL.into());
    }
    let child = task.clone_task(request)?;
    let tid = child.tid();
    if request.flags.contains(CloneFlags::PIDFD)
        && let Err(errno) = pidfd::give(task, &child, request.pidfd)
    {
        child.discard();
        return Err(errno.into());
    }
    if !request.flags.contains(CloneFlags::VFORK) {
        child.start();
        return Ok(tid.into());
    }
    call.watch(task, &child.process().vfork.queue);
    call.resume.state = MADE | u64::from(tid);
    call.keep(child.process().clone());
    child.start();
    wait_for_vfork(task, call)
}

/// The parent waits until the child has memory of its own, or has ended.
fn wait_for_vfork(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let child = call.kept::<Arc<crate::task::Process>>().cloned();
    match child {
        Some(child) if !child.vfork.is_released() => Err(call.wait_killable(task, &child.vfork.queue)),
        _ => Ok(call.resume.state & 0xffff_ffff),
    }
}

/// exit(2)
pub fn exit(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    call.stop_waiting(task);
    task.exit(call.arguments[0].to_le_bytes()[0]);
    Ok(Outcome::Gone)
}

/// exit_group(2)
pub fn exit_group(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    call.stop_waiting(task);
    task.process().end(ExitStatus::Exited(call.arguments[0].to_le_bytes()[0]));
    task.end_politely();
    Ok(Outcome::Gone)
}

/// set_tid_address(2)
///
/// The host clears the word and wakes its waiters, who wait there.
pub fn set_tid_address(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let address = call.arg(0);
    task.settings.lock().clear_child_tid = address;
    let Some(call) = task.clear_tid_call() else { return Ok(Outcome::Value(task.tid().into())) };
    let calls = alloc::vec![call];
    Ok(Outcome::Reply(Reply::Layout { calls, value: i64::from(task.tid().raw()) }))
}

/// set_robust_list(2)
pub fn set_robust_list(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.arg(1) != ROBUST_HEAD_BYTES {
        return Err(Errno::EINVAL.into());
    }
    task.settings.lock().robust_list = RobustList { head: call.arg(0) };
    Ok(())
}

/// get_robust_list(2)
pub fn get_robust_list(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let of = match call.int(0) {
        0 => task.clone(),
        tid => task.process().pids().task(Pid::new(tid).ok_or(Errno::ESRCH)?).ok_or(Errno::ESRCH)?,
    };
    task.check_inspect(&of)?;
    let head = of.settings.lock().robust_list.head;
    task.memory().write_struct(call.arg(2), &ROBUST_HEAD_BYTES)?;
    Ok(task.memory().write_struct(call.arg(1), &head)?)
}

/// unshare(2)
pub fn unshare(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let known = CloneFlags::FS
        | CloneFlags::FILES
        | CloneFlags::SYSVSEM
        | CloneFlags::THREAD
        | CloneFlags::SIGHAND
        | CloneFlags::VM
        | NAMESPACES;
    let flags = CloneFlags::from_bits(u64::from(call.uint(0))).filter(|flags| known.contains(*flags));
    let flags = flags.ok_or(Errno::EINVAL)?;
    if flags.intersects(NAMESPACES) {
        return Err(Errno::EPERM.into());
    }
    if flags.intersects(CloneFlags::THREAD | CloneFlags::SIGHAND | CloneFlags::VM) && task.process().task_count() > 1 {
        return Err(Errno::EINVAL.into());
    }
    if flags.contains(CloneFlags::FS) {
        task.replace_fs(task.fs().copy());
    }
    if flags.contains(CloneFlags::FILES) {
        task.replace_files(task.files().copy());
    }
    Ok(())
}

/// setns(2): there is nothing to move to.
pub fn setns(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get(call.int(0))?;
    let is_allowed = task.credentials().has(Capabilities::SYS_ADMIN);
    let refused = file.downcast::<OpenNamespace>().is_some() && !is_allowed;
    Err(if refused { Errno::EPERM } else { Errno::EINVAL }.into())
}
