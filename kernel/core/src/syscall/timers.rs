//! Timers: timer_create(2) and its like, setitimer(2), getitimer(2), alarm(2), timerfd_create(2) and its like.

use alloc::sync::Arc;
use core::time::Duration;

use super::Call;
use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder, Timespec, Timeval};
use crate::signal::Signal;
use crate::task::{Capabilities, Pid, Resource, Task};
use crate::time::{Alarm, Clock, Interval, Setting, Target, TimerFd};
use crate::vfs::{FdFlags, OpenFlags};
use crate::wait::Stop;

/// `struct itimerspec`: interval, then value.
#[derive(Clone, Copy, Debug)]
struct Spec {
    interval: Timespec,
    value: Timespec,
}

impl Abi for Spec {
    const LEN: usize = 32;

    fn decode(from: &mut Decoder<'_>) -> Self {
        Self { interval: from.take(), value: from.take() }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.interval).put(self.value);
    }
}

impl Spec {
    fn checked(self) -> Result<Setting, Errno> {
        Ok(Setting { left: self.value.duration()?, interval: self.interval.duration()? })
    }
}

impl From<Setting> for Spec {
    fn from(setting: Setting) -> Self {
        Self { interval: setting.interval.into(), value: setting.left.into() }
    }
}

/// `sigev_notify`
const SIGEV_SIGNAL: i32 = 0;
const SIGEV_NONE: i32 = 1;
const SIGEV_THREAD: i32 = 2;
const SIGEV_THREAD_ID: i32 = 4;

/// timer_create(2)
pub fn timer_create(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let clock = timer_clock(task, call.int(0))?;
    let event = read_event(task, call.arg(1))?;
    let process = task.process();
    let limit = process.limit(Resource::PendingSignals).soft;
    if (process.timers.count() + process.pending_count()) as u64 >= limit {
        return Err(Errno::EAGAIN.into());
    }
    let id = process.timers.add(|id| Alarm::new(process, clock, event.target(id)));
    if let Err(errno) = task.memory().write_struct(call.arg(2), &id) {
        process.timers.remove(task.kernel(), id)?;
        return Err(errno.into());
    }
    Ok(())
}

fn timer_clock(task: &Arc<Task>, id: i32) -> Result<Clock, Errno> {
    match Clock::new(task, id)? {
        Clock::Coarse(_) => Err(Errno::EOPNOTSUPP),
        _ if id == 4 => Err(Errno::EOPNOTSUPP),
        clock => Ok(clock),
    }
}

/// What timer_create asks for.
struct Event {
    /// `None` for SIGEV_NONE.
    signal: Option<Signal>,
    /// `None` for the timer's id.
    value: Option<u64>,
    task: Option<Arc<Task>>,
}

impl Event {
    fn target(self, id: i32) -> Target {
        let Some(signal) = self.signal else { return Target::Nothing };
        let value = self.value.unwrap_or(u64::from(id.unsigned_abs()));
        Target::Posix { id, signal, value, task: self.task.map(|task| Arc::downgrade(&task)) }
    }
}

fn read_event(task: &Arc<Task>, address: u64) -> Result<Event, Errno> {
    if address == 0 {
        return Ok(Event { signal: Some(Signal::ALRM), value: None, task: None });
    }
    let bytes = task.memory().read_vec(address, 64)?;
    let mut from = Decoder::new(&bytes);
    let (value, number, notify, tid): (u64, i32, i32, i32) = (from.take(), from.take(), from.take(), from.take());
    let value = Some(value);
    match notify {
        SIGEV_NONE => Ok(Event { signal: None, value, task: None }),
        SIGEV_SIGNAL | SIGEV_THREAD => Ok(Event { signal: Some(Signal::new(number)?), value, task: None }),
        SIGEV_THREAD_ID => {
            let other = Pid::new(tid).and_then(|tid| task.process().pids().task(tid)).ok_or(Errno::EINVAL)?;
            if !Arc::ptr_eq(other.process(), task.process()) {
                return Err(Errno::EINVAL);
            }
            Ok(Event { signal: Some(Signal::new(number)?), value, task: Some(other) })
        }
        _ => Err(Errno::EINVAL),
    }
}

/// TIMER_ABSTIME, TFD_TIMER_ABSTIME
const ABSOLUTE: u32 = 1;
/// TFD_TIMER_CANCEL_ON_SET: nobody can set the clock.
const CANCEL_ON_SET: u32 = 2;

/// When a new setting expires, on its clock.
fn expiry(task: &Task, clock: &Clock, setting: Setting, absolute: bool) -> Option<Duration> {
    let start = if absolute { Duration::ZERO } else { clock.now(task.kernel()) };
    (!setting.left.is_zero()).then(|| start.saturating_add(setting.left))
}

/// timer_settime(2)
pub fn timer_settime(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.arg(2) == 0 {
        return Err(Errno::EINVAL.into());
    }
    let new = task.memory().read_struct::<Spec>(call.arg(2))?.checked()?;
    let alarm = task.process().timers.get(call.int(0))?;
    let expires = expiry(task, alarm.clock(), new, call.uint(1) & ABSOLUTE != 0);
    let old = alarm.set(task.kernel(), expires, if expires.is_some() { new.interval } else { Duration::ZERO });
    Ok(task.memory().write_optional(call.arg(3), &Spec::from(old))?)
}

/// timer_gettime(2)
pub fn timer_gettime(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let setting = task.process().timers.get(call.int(0))?.setting(task.kernel());
    Ok(task.memory().write_struct(call.arg(1), &Spec::from(setting))?)
}

/// timer_getoverrun(2)
pub fn timer_getoverrun(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    Ok(u64::from(task.process().timers.get(call.int(0))?.overrun().unsigned_abs()))
}

/// timer_delete(2)
pub fn timer_delete(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    Ok(task.process().timers.remove(task.kernel(), call.int(0))?)
}

/// `struct itimerval`: interval, then value.
fn read_interval(task: &Task, address: u64) -> Result<Setting, Errno> {
    let [interval, left]: [Timeval; 2] = task.memory().read_struct(address)?;
    Ok(Setting { left: microseconds(left)?, interval: microseconds(interval)? })
}

fn microseconds(time: Timeval) -> Result<Duration, Errno> {
    if time.microseconds >= 1_000_000 { Err(Errno::EINVAL) } else { time.duration() }
}

fn write_interval(task: &Task, address: u64, setting: Setting) -> Result<(), Errno> {
    let rounded = |time: Duration| {
        let micros = u64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
        let timeval = Timespec::from(Duration::from_micros(micros));
        Timeval { seconds: timeval.seconds, microseconds: timeval.nanoseconds / 1000 }
    };
    task.memory().write_struct(address, &[rounded(setting.interval), rounded(setting.left)])
}

/// setitimer(2)
pub fn setitimer(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let new = if call.arg(1) == 0 { Setting::default() } else { read_interval(task, call.arg(1))? };
    let which = Interval::new(call.int(0))?;
    let old = task.process().set_interval(which, new);
    if call.arg(2) != 0 {
        write_interval(task, call.arg(2), old)?;
    }
    Ok(())
}

/// getitimer(2)
pub fn getitimer(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let setting = task.process().interval(Interval::new(call.int(0))?);
    Ok(write_interval(task, call.arg(1), setting)?)
}

/// alarm(2)
pub fn alarm(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let new = Setting { left: Duration::from_secs(call.uint(0).into()), interval: Duration::ZERO };
    let left = task.process().set_interval(Interval::Real, new).left;
    let up = left.subsec_micros() >= 500_000 || left.as_secs() == 0 && !left.is_zero();
    Ok(left.as_secs() + u64::from(up))
}

/// timerfd_create(2)
pub fn timerfd_create(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let flags = OpenFlags::from_bits_retain(call.uint(1));
    if !(OpenFlags::NONBLOCK | OpenFlags::CLOSE_ON_EXEC).contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    let id = call.int(0);
    let clock = match id {
        0 | 1 | 7 => id,
        8 | 9 if !task.credentials().has(Capabilities::WAKE_ALARM) => return Err(Errno::EPERM.into()),
        // CLOCK_REALTIME_ALARM and CLOCK_BOOTTIME_ALARM: there is no suspended machine to wake.
        8 => 0,
        9 => 7,
        _ => return Err(Errno::EINVAL.into()),
    };
    let timer = TimerFd::new(task.kernel(), Clock::new(task, clock)?, id);
    let owner = task.credentials();
    let status = flags.difference(OpenFlags::CLOSE_ON_EXEC) | OpenFlags::READ_WRITE;
    let file = task.kernel().vfs().open_anonymous("[timerfd]", timer, status, &owner)?;
    let close = flags.contains(OpenFlags::CLOSE_ON_EXEC);
    let own = if close { FdFlags::CLOSE_ON_EXEC } else { FdFlags::empty() };
    let fd = task.files().insert(file, own, 0, task.process().limit(Resource::Files).soft)?;
    Ok(u64::from(fd.unsigned_abs()))
}

/// timerfd_settime(2)
pub fn timerfd_settime(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.uint(1) & !(ABSOLUTE | CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let new = task.memory().read_struct::<Spec>(call.arg(2))?.checked()?;
    let file = task.files().get(call.int(0))?;
    let timer = file.downcast::<TimerFd>().ok_or(Errno::EINVAL)?;
    let expires = expiry(task, timer.clock(), new, call.uint(1) & ABSOLUTE != 0);
    let old = timer.set(task.kernel(), expires, new.interval, call.uint(1));
    Ok(task.memory().write_optional(call.arg(3), &Spec::from(old))?)
}

/// timerfd_gettime(2)
pub fn timerfd_gettime(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get(call.int(0))?;
    let timer = file.downcast::<TimerFd>().ok_or(Errno::EINVAL)?;
    Ok(task.memory().write_struct(call.arg(1), &Spec::from(timer.look(task.kernel())))?)
}
