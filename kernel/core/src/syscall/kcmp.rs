//! kcmp(2).

use alloc::sync::Arc;
use core::cmp::Ordering;

use super::Call;
use crate::Errno;
use crate::task::{Pid, Task};
use crate::wait::Stop;

const FILE: i32 = 0;
const VM: i32 = 1;
const FILES: i32 = 2;
const FS: i32 = 3;
const SIGHAND: i32 = 4;
const IO: i32 = 5;
const SYSVSEM: i32 = 6;

/// kcmp(2)
pub fn kcmp(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let (one, other) = (find(task, call.int(0))?, find(task, call.int(1))?);
    task.check_inspect(&one)?;
    task.check_inspect(&other)?;
    Ok(match call.int(2) {
        FILE => {
            let file = |task: &Task, index: usize| task.files().get(i32::try_from(call.arg(index)).unwrap_or(-1));
            compare(&file(&one, 3)?, &file(&other, 4)?)
        }
        VM => compare(&one.memory(), &other.memory()),
        FILES => compare(&one.files(), &other.files()),
        FS => compare(&one.fs(), &other.fs()),
        SIGHAND => compare(&one.process().signals.actions(), &other.process().signals.actions()),
        // Nobody has a context for input and output.
        IO => 0,
        SYSVSEM => order(undo_list(&one), undo_list(&other)),
        _ => return Err(Errno::EINVAL.into()),
    })
}

fn find(task: &Task, pid: i32) -> Result<Arc<Task>, Errno> {
    Pid::new(pid).and_then(|pid| task.process().pids().task(pid)).ok_or(Errno::ESRCH)
}

/// What is undone of semaphores is a process's; who wants nothing undone has no list, as everybody else without one.
fn undo_list(task: &Task) -> usize {
    let process = task.process();
    let has_list = process.namespaces().ipc.semaphores.has_undo(process.pid());
    if has_list { Arc::as_ptr(process).addr() } else { 0 }
}

fn compare<T: ?Sized>(one: &Arc<T>, other: &Arc<T>) -> u64 {
    order(Arc::as_ptr(one).addr(), Arc::as_ptr(other).addr())
}

/// 0 for the same object, 1 and 2 for one that comes before or behind the other.
fn order(one: usize, other: usize) -> u64 {
    match one.cmp(&other) {
        Ordering::Equal => 0,
        Ordering::Less => 1,
        Ordering::Greater => 2,
    }
}
