//! What a task does about signals: rt_sigaction(2), rt_sigprocmask(2), rt_sigpending(2), rt_sigsuspend(2),
//! rt_sigtimedwait(2), rt_sigreturn(2), sigaltstack(2), pause(2).

use alloc::sync::Arc;

use super::{Call, Outcome};
use crate::Errno;
use crate::abi::Timespec;
use crate::platform::{Form, Reply};
use crate::signal::{Action, AlternateStack, Signal, SignalInfo, SignalSet, StackAbi};
use crate::task::Task;
use crate::wait::{SharedQueue, Stop};

/// `sizeof(sigset_t)` of the kernel.
const SET_BYTES: u64 = 8;

fn check_set_len(len: u64) -> Result<(), Errno> {
    if len == SET_BYTES { Ok(()) } else { Err(Errno::EINVAL) }
}

/// rt_sigaction(2)
pub fn rt_sigaction(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    check_set_len(call.arg(3))?;
    let memory = task.memory();
    let new: Option<Action> = memory.read_optional(call.arg(1))?;
    let signal = Signal::new(call.int(0))?;
    if new.is_some() && SignalSet::UNBLOCKABLE.contains(signal) {
        return Err(Errno::EINVAL.into());
    }
    let old = match new {
        Some(new) => task.process().set_action(signal, new),
        None => task.process().action(signal),
    };
    Ok(memory.write_optional(call.arg(2), &old)?)
}

/// rt_sigprocmask(2)
pub fn rt_sigprocmask(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    check_set_len(call.arg(3))?;
    let memory = task.memory();
    let old = task.signals.blocked();
    if call.arg(1) != 0 {
        let given = SignalSet::mask(memory.read_struct(call.arg(1))?);
        task.set_blocked(match call.int(0) {
            0 => old.union(given),
            1 => old.without(given),
            2 => given,
            _ => return Err(Errno::EINVAL.into()),
        });
    }
    Ok(memory.write_optional(call.arg(2), &old.bits())?)
}

/// rt_sigpending(2)
pub fn rt_sigpending(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let len = call.arg(1);
    if len > SET_BYTES {
        return Err(Errno::EINVAL.into());
    }
    let pending = task.waiting_signals().intersection(task.signals.blocked()).bits().to_le_bytes();
    let bytes = &pending[..usize::try_from(len).unwrap_or(0)];
    Ok(task.memory().write_bytes(call.arg(0), bytes)?)
}

/// rt_sigsuspend(2)
pub fn rt_sigsuspend(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    check_set_len(call.arg(1))?;
    if call.resume.state == 0 {
        call.resume.state = 1;
        let mask = SignalSet::mask(task.memory().read_struct(call.arg(0))?);
        task.replace_mask(mask);
    }
    Err(Stop::WaitNoRestart)
}

/// pause(2)
pub fn pause(_: &Arc<Task>, _: &mut Call) -> Result<u64, Stop> {
    Err(Stop::WaitNoRestart)
}

/// rt_sigtimedwait(2)
pub fn rt_sigtimedwait(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    check_set_len(call.arg(3))?;
    let memory = task.memory();
    let wanted = SignalSet::mask(memory.read_struct(call.arg(0))?);
    let timeout: Option<Timespec> = memory.read_optional(call.arg(2))?;
    let timeout = timeout.map(Timespec::duration).transpose()?;
    if let Some(info) = task.take_signal(wanted) {
        task.look_again();
        if call.arg(1) != 0 {
            memory.write_bytes(call.arg(1), &info.to_abi())?;
        }
        return Ok(u64::from(info.signal.raw().unsigned_abs()));
    }
    if timeout.is_some_and(|timeout| call.times_out(task, timeout)) {
        return Err(Errno::EAGAIN.into());
    }
    let queue: SharedQueue = task.process().signals.queue.clone();
    call.watch(task, &queue);
    Err(Stop::WaitNoRestart)
}

/// rt_sigreturn(2)
pub fn rt_sigreturn(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    if call.form == Form::Direct {
        return Err(Errno::ENOSYS.into());
    }
    let thread = task.thread().ok_or(Errno::ESRCH)?;
    let current = thread.frame()?;
    match task.leave_handler(&current) {
        Ok(frame) => thread.set_frame(&frame)?,
        Err(_) => task.force_signal(SignalInfo::kernel(Signal::SEGV)),
    }
    Ok(Outcome::Reply(Reply::Resume))
}

/// sigaltstack(2)
///
/// Its caller's stack pointer is only known when the call came with a frame; else the stack counts as not in use.
pub fn sigaltstack(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let memory = task.memory();
    let new: Option<StackAbi> = memory.read_optional(call.arg(0))?;
    let stack_pointer = stack_pointer(task, call);
    let old = *task.signals.stack.lock();
    if let Some(new) = new {
        if old.is_in_use(stack_pointer) {
            return Err(Errno::EPERM.into());
        }
        let min_len = task.kernel().machine().info().min_signal_stack_bytes.max(MIN_STACK_BYTES);
        *task.signals.stack.lock() = AlternateStack::from_abi(new, min_len)?;
    }
    Ok(memory.write_optional(call.arg(1), &old.to_abi(stack_pointer))?)
}

/// MINSIGSTKSZ
const MIN_STACK_BYTES: u64 = 2048;

fn stack_pointer(task: &Task, call: &Call) -> u64 {
    let frame = || task.thread().and_then(|thread| thread.frame().ok());
    if call.form == Form::Trapped { frame().map_or(0, |frame| frame.registers.rsp) } else { 0 }
}
