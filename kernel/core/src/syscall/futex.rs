//! futex(2) as far as the host does not serve it: locks with priority inheritance, and condition variables that go with
//! them. Waiting for words and waking who waits is native, and so are the newer calls, futex_waitv(2) and its like:
//! they touch only their caller's words. Of waits with a relative timeout the kernel hears.

use alloc::sync::Arc;
use core::time::Duration;

use linux_raw_sys::general as abi;

use super::{Call, Outcome};
use crate::Errno;
use crate::abi::Timespec;
use crate::futex::{Key, LockPi, Place, Word};
use crate::mm::Memory;
use crate::platform::{Form, HostClock, Reply};
use crate::task::Task;
use crate::wait::Stop;

const COMMAND: u32 = !(abi::FUTEX_PRIVATE_FLAG | abi::FUTEX_CLOCK_REALTIME);

/// futex(2)
pub fn futex(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    match call.uint(1) & COMMAND {
        abi::FUTEX_LOCK_PI => lock_pi(task, call, HostClock::Realtime),
        abi::FUTEX_LOCK_PI2 if call.uint(1) & abi::FUTEX_CLOCK_REALTIME != 0 => {
            lock_pi(task, call, HostClock::Realtime)
        }
        abi::FUTEX_LOCK_PI2 => lock_pi(task, call, HostClock::Monotonic),
        abi::FUTEX_TRYLOCK_PI => try_lock_pi(task, call),
        abi::FUTEX_UNLOCK_PI => unlock_pi(task, call),
        abi::FUTEX_WAIT_REQUEUE_PI => wait_requeue_pi(task, call),
        abi::FUTEX_CMP_REQUEUE_PI => requeue_pi(task, call),
        abi::FUTEX_WAIT if call.arg(3) != 0 => timed_wait(task, call),
        abi::FUTEX_WAIT
        | abi::FUTEX_WAKE
        | abi::FUTEX_REQUEUE
        | abi::FUTEX_CMP_REQUEUE
        | abi::FUTEX_WAKE_OP
        | abi::FUTEX_WAIT_BITSET
        | abi::FUTEX_WAKE_BITSET => native(call),
        _ => Err(Errno::ENOSYS.into()),
    }
}

/// futex_waitv(2)
pub fn futex_waitv(_: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    native(call)
}

/// futex_wake(2)
pub fn futex_wake(_: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    native(call)
}

/// futex_wait(2)
pub fn futex_wait(_: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    native(call)
}

/// futex_requeue(2)
pub fn futex_requeue(_: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    native(call)
}

/// Lets the host do a call that came without a frame.
fn native(call: &Call) -> Result<Outcome, Stop> {
    if call.form == Form::Direct { Ok(Outcome::Reply(Reply::Native)) } else { Err(Errno::ENOSYS.into()) }
}

/// FUTEX_WAIT with a timeout, which is relative: the host waits, and the kernel notes until when.
fn timed_wait(task: &Arc<Task>, call: &Call) -> Result<Outcome, Stop> {
    let outcome = native(call)?;
    let now = task.kernel().machine().now(HostClock::Monotonic);
    if let Some(deadline) = call.resume.deadline {
        if deadline <= now {
            return Err(Errno::ETIMEDOUT.into());
        }
        task.continue_timed_wait(call.arguments, deadline);
        return Ok(outcome);
    }
    // The host says what is wrong with a timeout.
    if let Ok(timeout) = task.memory().read_struct::<Timespec>(call.arg(3)).and_then(Timespec::duration) {
        task.begin_timed_wait(call.arguments, now.saturating_add(timeout));
    }
    Ok(outcome)
}

/// The word, which is aligned.
fn word(call: &Call) -> Result<u64, Errno> {
    if call.arg(0).is_multiple_of(4) { Ok(call.arg(0)) } else { Err(Errno::EINVAL) }
}

fn lock_pi(task: &Arc<Task>, call: &mut Call, clock: HostClock) -> Result<Outcome, Stop> {
    let word = word(call)?;
    let memory = task.memory();
    let timeout = memory.read_optional::<Timespec>(call.arg(3))?.map(Timespec::duration).transpose()?;
    let key = Key::of(&memory, word);
    let futexes = task.kernel().futexes();
    match futexes.lock_pi(&memory, key, word, task)? {
        LockPi::Taken => return Ok(Outcome::Value(0)),
        LockPi::Wait => {}
    }
    if let Some(at) = timeout
        && call.times_out(task, remaining(task, clock, at))
    {
        return match futexes.give_up_pi(key, task) {
            // It was handed over in the last moment.
            LockPi::Taken => Ok(Outcome::Value(0)),
            LockPi::Wait => Err(Errno::ETIMEDOUT.into()),
        };
    }
    Err(Stop::Wait)
}

/// FUTEX_WAIT_REQUEUE_PI: waits for a word, and has the lock when it returns.
fn wait_requeue_pi(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let memory = task.memory();
    let timeout = memory.read_optional::<Timespec>(call.arg(3))?.map(Timespec::duration).transpose()?;
    let (from, to) = two_words(&memory, call)?;
    let futexes = task.kernel().futexes();
    if futexes.wait_requeue(&memory, (from, call.uint(2)), to, task)? == LockPi::Taken {
        return Ok(Outcome::Value(0));
    }
    let realtime = call.uint(1) & abi::FUTEX_CLOCK_REALTIME != 0;
    let clock = if realtime { HostClock::Realtime } else { HostClock::Monotonic };
    if let Some(at) = timeout
        && call.times_out(task, remaining(task, clock, at))
    {
        return match futexes.give_up_requeue(from, to, task) {
            LockPi::Taken => Ok(Outcome::Value(0)),
            LockPi::Wait => Err(Errno::ETIMEDOUT.into()),
        };
    }
    if call.kept::<Place>().is_none() {
        call.keep(Place::new(task, from));
    }
    Err(Stop::Wait)
}

/// FUTEX_CMP_REQUEUE_PI: exactly one is woken, when it has the lock.
fn requeue_pi(task: &Arc<Task>, call: &Call) -> Result<Outcome, Stop> {
    let memory = task.memory();
    let more = usize::try_from(call.int(3)).map_err(|_| Errno::EINVAL)?;
    if call.int(2) != 1 {
        return Err(Errno::EINVAL.into());
    }
    let (from, to) = two_words(&memory, call)?;
    let value = call.uint(5);
    let count = task.kernel().futexes().requeue_pi(&memory, (from, value), to, more, task)?;
    Ok(Outcome::Value(count as u64))
}

/// The word that is waited for, and the lock, which must be another.
fn two_words(memory: &Memory, call: &Call) -> Result<(Word, Word), Errno> {
    let (from, to) = (Word::new(memory, call.arg(0))?, Word::new(memory, call.arg(4))?);
    if from.key == to.key { Err(Errno::EINVAL) } else { Ok((from, to)) }
}

/// Until a time on a clock.
fn remaining(task: &Task, clock: HostClock, at: Duration) -> Duration {
    at.saturating_sub(task.kernel().machine().now(clock))
}

fn try_lock_pi(task: &Arc<Task>, call: &Call) -> Result<Outcome, Stop> {
    let word = word(call)?;
    task.kernel().futexes().try_lock_pi(&task.memory(), word, task)?;
    Ok(Outcome::Value(0))
}

fn unlock_pi(task: &Arc<Task>, call: &Call) -> Result<Outcome, Stop> {
    let word = word(call)?;
    let memory = task.memory();
    task.kernel().futexes().unlock_pi(&memory, Key::of(&memory, word), word, task)?;
    Ok(Outcome::Value(0))
}
