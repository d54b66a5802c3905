//! Clocks and sleeps: clock_gettime(2), clock_getres(2), gettimeofday(2), time(2), adjtimex(2), nanosleep(2),
//! clock_nanosleep(2).

use alloc::sync::Arc;
use core::time::Duration;

use super::{Call, TimeForm};
use crate::Errno;
use crate::abi::{Encoder, Timespec, Timeval};
use crate::platform::HostClock;
use crate::task::Task;
use crate::time::Clock;
use crate::wait::Stop;

/// clock_gettime(2)
pub fn clock_gettime(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let now = Clock::new(task, call.int(0))?.now(task.kernel());
    Ok(task.memory().write_struct(call.arg(1), &Timespec::from(now))?)
}

/// clock_getres(2)
pub fn clock_getres(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let resolution = Clock::new(task, call.int(0))?.resolution();
    Ok(task.memory().write_optional(call.arg(1), &Timespec::from(resolution))?)
}

fn realtime(task: &Task) -> Duration {
    task.kernel().machine().now(HostClock::Realtime)
}

/// gettimeofday(2)
pub fn gettimeofday(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let now = realtime(task);
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    task.memory().write_optional(call.arg(0), &Timeval { seconds, microseconds: now.subsec_micros().into() })?;
    Ok(task.memory().write_optional(call.arg(1), &[0_u32, 0])?)
}

/// time(2)
pub fn time(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let now = realtime(task).as_secs();
    task.memory().write_optional(call.arg(0), &now)?;
    Ok(now)
}

/// TIME_ERROR: the clock is not known to be synchronised.
const UNSYNCHRONISED: u64 = 5;

/// adjtimex(2): looking is allowed.
pub fn adjtimex(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    adjust(task, call.arg(0))
}

/// clock_adjtime(2): the same, for CLOCK_REALTIME.
pub fn clock_adjtime(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    match call.int(0) {
        0 => adjust(task, call.arg(1)),
        1..=11 => Err(Errno::EOPNOTSUPP.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// Bytes of `struct timex`.
const TIMEX_BYTES: usize = 208;

fn adjust(task: &Task, address: u64) -> Result<u64, Stop> {
    let memory = task.memory();
    let modes: u32 = memory.read_struct(address)?;
    if modes != 0 {
        return Err(Errno::EPERM.into());
    }
    let now = realtime(task);
    let mut to = Encoder::with_capacity(TIMEX_BYTES);
    // modes, offset, freq, maxerror, esterror, status (STA_UNSYNC), constant, precision, tolerance, time, tick.
    to.put(0_u64).put([0_i64, 0, 16_000_000, 16_000_000]).put(0x40_u64).put([2_i64, 1, 32_768_000]);
    to.put(now.as_secs()).put(u64::from(now.subsec_micros())).put(10_000_u64);
    let len = to.len();
    to.zeros(TIMEX_BYTES - len);
    memory.write_bytes(address, &to.finish())?;
    Ok(UNSYNCHRONISED)
}

/// nanosleep(2)
pub fn nanosleep(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let wanted: Timespec = task.memory().read_struct(call.arg(0))?;
    sleep_for(task, call, wanted.duration()?, call.arg(1))
}

fn sleep_for(task: &Task, call: &mut Call, time: Duration, remainder: u64) -> Result<(), Stop> {
    if call.times_out(task, time) {
        return Ok(());
    }
    call.report_remainder(remainder, TimeForm::Timespec);
    Err(Stop::WaitNoRestart)
}

/// TIMER_ABSTIME
const ABSOLUTE: u32 = 1;
/// CLOCK_THREAD_CPUTIME_ID, which nobody can sleep on: it does not pass meanwhile.
const OWN_CPU: i32 = 3;

/// clock_nanosleep(2)
pub fn clock_nanosleep(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.int(0) == OWN_CPU {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let clock = Clock::new(task, call.int(0))?;
    if matches!(clock, Clock::Coarse(_)) || call.int(0) == 4 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let wanted: Timespec = task.memory().read_struct(call.arg(2))?;
    let wanted = wanted.duration()?;
    let absolute = call.uint(1) & ABSOLUTE != 0;
    match (&clock, absolute) {
        (Clock::Wall(_), false) => sleep_for(task, call, wanted, call.arg(3)),
        (Clock::Wall(_), true) => sleep_until(task, call, &clock, wanted),
        // What it must reach is kept in nanoseconds.
        (_, false) => {
            let start = clock.now(task.kernel());
            if call.resume.state == 0 {
                let end = start.saturating_add(wanted).as_nanos();
                call.resume.state = u64::try_from(end).unwrap_or(u64::MAX).max(1);
            }
            let end = Duration::from_nanos(call.resume.state);
            sleep_until(task, call, &clock, end)
        }
        (_, true) => sleep_until(task, call, &clock, wanted),
    }
}

/// Sleeps until a clock has reached a time; it is looked at anew whenever it may have.
fn sleep_until(task: &Task, call: &mut Call, clock: &Clock, time: Duration) -> Result<(), Stop> {
    if clock.now(task.kernel()) >= time {
        return Ok(());
    }
    call.wake_at(task, clock.look_at(task.kernel(), time));
    Err(Stop::WaitNoRestart)
}
