//! Process groups and sessions: setpgid(2), getpgid(2), getpgrp(2), setsid(2), getsid(2).

use alloc::sync::Arc;

use super::Call;
use crate::Errno;
use crate::task::{Pid, Session, Task};
use crate::wait::Stop;

/// The id that an argument names; 0 is the caller's process.
fn target(task: &Task, number: i32) -> Result<Pid, Errno> {
    match number {
        0 => Ok(task.process().pid()),
        _ => Pid::new(number).ok_or(Errno::ESRCH),
    }
}

/// setpgid(2)
pub fn setpgid(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.int(1) < 0 {
        return Err(Errno::EINVAL.into());
    }
    let me = task.process().pid();
    let pid = target(task, call.int(0))?;
    let group = Pid::new(call.int(1)).unwrap_or(pid);
    let mut tree = task.process().pids().tree();
    let mine = tree.node(me).ok_or(Errno::ESRCH)?.session.clone();
    let node = tree.node(pid).ok_or(Errno::ESRCH)?;
    if pid != me {
        if node.parent != me {
            return Err(Errno::ESRCH.into());
        }
        if !Arc::ptr_eq(&node.session, &mine) {
            return Err(Errno::EPERM.into());
        }
        if node.executed {
            return Err(Errno::EACCES.into());
        }
    }
    let leads = node.session.id() == pid;
    let exists = || tree.nodes().any(|other| other.group == group && Arc::ptr_eq(&other.session, &mine));
    if leads || group != pid && !exists() {
        return Err(Errno::EPERM.into());
    }
    tree.set_group(pid, group);
    Ok(())
}

/// getpgid(2)
pub fn getpgid(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let process = task.process().pids().process(target(task, call.int(0))?).ok_or(Errno::ESRCH)?;
    Ok(process.group().into())
}

/// getpgrp(2)
pub fn getpgrp(task: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    Ok(task.group().into())
}

/// getsid(2)
pub fn getsid(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let tree = task.process().pids().tree();
    let node = tree.node(target(task, call.int(0))?).ok_or(Errno::ESRCH)?;
    Ok(node.session.id().into())
}

/// setsid(2)
pub fn setsid(task: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    let me = task.process().pid();
    let mut tree = task.process().pids().tree();
    if tree.has_group(me) {
        return Err(Errno::EPERM.into());
    }
    tree.set_session(me, Session::new(me));
    tree.set_group(me, me);
    Ok(me.into())
}
