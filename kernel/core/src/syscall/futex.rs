//! futex(2) as far as the host does not serve it: locks with priority inheritance. Waiting for words and waking who
//! waits is native, and so are the newer calls, futex_waitv(2) and its like: they touch only their caller's words.

use alloc::sync::Arc;
use core::time::Duration;

use linux_raw_sys::general as abi;

use super::{Call, Outcome};
use crate::Errno;
use crate::abi::Timespec;
use crate::futex::{Key, LockPi};
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
