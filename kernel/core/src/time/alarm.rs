//! Timers that send signals: timer_create(2), setitimer(2).
//!
//! A periodic POSIX timer rests from its expiry until its signal is taken, and then counts what it missed, as on Linux:
//! so no period, however short, keeps the machine busy.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;
use core::{mem, ptr};

use stockade_kernel_sync::Mutex;

use super::spenders::{Spenders, totals};
use super::{Clock, TimerKey};
use crate::Kernel;
use crate::signal::{Detail, Signal, SignalInfo, code};
use crate::task::{Process, Task};
use crate::wait::Waiter;

/// What an expiry does.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// An interval timer's signal.
    Interval(Signal),
    /// A POSIX timer's signal, to one task or to the process.
    Posix { id: i32, signal: Signal, value: u64, task: Option<Weak<Task>> },
    /// The signal of RLIMIT_CPU.
    CpuLimit,
    /// Nothing (SIGEV_NONE).
    Nothing,
}

/// When a timer expires next, and how often then: `struct itimerspec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Time left; zero when it is disarmed.
    pub left: Duration,
    pub interval: Duration,
}

/// A timer.
#[derive(Debug)]
pub(crate) struct Alarm {
    process: Weak<Process>,
    clock: Clock,
    target: Target,
    state: Mutex<State>,
    spenders: Mutex<Spenders>,
}

#[derive(Debug, Default)]
struct State {
    /// On its clock; `None` when disarmed.
    expires: Option<Duration>,
    interval: Duration,
    key: Option<TimerKey>,
    /// Its signal waits: it is armed again when that is taken.
    rests: bool,
    overrun: i32,
}

impl Alarm {
    pub fn new(process: &Arc<Process>, clock: Clock, target: Target) -> Arc<Self> {
        let process = Arc::downgrade(process);
        Arc::new(Self { process, clock, target, state: Mutex::default(), spenders: Mutex::default() })
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Arms it for a time on its clock, or disarms it; gives what was set before.
    pub fn set(self: &Arc<Self>, kernel: &Kernel, expires: Option<Duration>, interval: Duration) -> Setting {
        let old = self.setting(kernel);
        if let Some(totals) = expires.and_then(|_| self.totals()) {
            self.spenders.lock().begin(&totals);
        }
        let before = mem::replace(&mut *self.state.lock(), State { expires, interval, ..State::default() });
        before.key.into_iter().for_each(|key| kernel.remove_timer(key));
        self.arm(kernel);
        old
    }

    /// What is set now.
    pub fn setting(&self, kernel: &Kernel) -> Setting {
        let now = self.clock.now(kernel);
        let state = self.state.lock();
        let Some(mut expires) = state.expires else {
            return Setting { interval: state.interval, ..Setting::default() };
        };
        if expires <= now && !state.interval.is_zero() {
            expires = state.forwarded(now).1;
        }
        // A timer that is due and was not served yet has a moment left: zero would mean that it is disarmed.
        let least = if matches!(self.target, Target::Nothing) { Duration::ZERO } else { Duration::from_nanos(1) };
        Setting { left: expires.saturating_sub(now).max(least), interval: state.interval }
    }

    /// How often it expired beside the one whose signal was taken last (timer_getoverrun(2)).
    pub fn overrun(&self) -> i32 {
        self.state.lock().overrun
    }

    fn arm(self: &Arc<Self>, kernel: &Kernel) {
        if matches!(self.target, Target::Nothing) {
            return;
        }
        let Some(expires) = self.state.lock().expires else { return };
        let at = self.clock.look_at(kernel, expires);
        let waiter: Arc<dyn Waiter> = self.clone();
        let key = kernel.add_timer(at, &waiter);
        let old = self.state.lock().key.replace(key);
        if let Some(old) = old {
            kernel.remove_timer(old);
        }
    }

    /// Whether it expired by now. A timer of one shot is disarmed by that.
    fn expire(&self, now: Duration) -> Option<Expiry> {
        let mut state = self.state.lock();
        state.key = None;
        let expires = state.expires?;
        if now < expires || state.rests {
            return None;
        }
        if state.interval.is_zero() {
            state.expires = None;
            return Some(Expiry::Last);
        }
        if matches!(self.target, Target::Interval(_) | Target::CpuLimit) {
            let (_, next) = state.forwarded(now);
            state.expires = Some(next.max(now + INTERVAL_MIN));
            return Some(Expiry::Again);
        }
        state.rests = true;
        Some(Expiry::Rests)
    }

    /// Its signal was taken: counts what was missed, and arms it again.
    pub fn taken(self: &Arc<Self>, kernel: &Kernel) -> i32 {
        let now = self.clock.now(kernel);
        {
            let mut state = self.state.lock();
            if !core::mem::take(&mut state.rests) {
                state.overrun = 0;
                return 0;
            }
            let (missed, next) = state.forwarded(now);
            state.overrun = missed;
            state.expires = Some(next);
        }
        self.arm(kernel);
        self.overrun()
    }

    /// Nobody takes its signal, which is ignored: goes on with the first expiry that is a while away, since no signal
    /// paces it.
    fn passed_over(self: &Arc<Self>, kernel: &Kernel) {
        let after = self.clock.now(kernel).saturating_add(INTERVAL_MIN);
        {
            let mut state = self.state.lock();
            if !core::mem::take(&mut state.rests) {
                return;
            }
            state.expires = Some(state.forwarded(after).1);
        }
        self.arm(kernel);
    }

    fn send(self: &Arc<Self>, process: &Arc<Process>) {
        match &self.target {
            Target::Nothing => {}
            Target::CpuLimit => process.cpu_limit_reached(),
            Target::Interval(signal) => process.send_signal_near(SignalInfo::kernel(*signal), self.spender().as_ref()),
            Target::Posix { id, signal, value, task } => {
                let detail = Detail::Timer { id: *id, overrun: 0, value: *value };
                let info = SignalInfo { signal: *signal, errno: 0, code: code::SI_TIMER, detail };
                match task.as_ref().map(Weak::upgrade) {
                    Some(Some(task)) => task.send_signal(info),
                    Some(None) => {}
                    None => process.send_signal_near(info, self.spender().as_ref()),
                }
            }
        }
    }

    /// Of a timer on the CPU time of its own process: what each task spent.
    fn totals(&self) -> Option<Vec<(Arc<Task>, Duration)>> {
        let Clock::Process(process, _) = &self.clock else { return None };
        ptr::eq(self.process.as_ptr(), Arc::as_ptr(process)).then(|| totals(process.tasks()))
    }

    /// The task that its signal is for.
    fn spender(&self) -> Option<Arc<Task>> {
        let totals = self.totals()?;
        self.spenders.lock().next(&totals)
    }

    /// Whether its signal waits somewhere.
    fn is_waiting(&self, process: &Process) -> bool {
        let Target::Posix { id, task, .. } = &self.target else { return false };
        let mine = |info: &SignalInfo| matches!(info.detail, Detail::Timer { id: other, .. } if other == *id);
        match task.as_ref().map(Weak::upgrade) {
            Some(Some(task)) => task.signals.pending.lock().any(mine),
            Some(None) => true,
            None => process.signals.pending.lock().any(mine),
        }
    }
}

/// How an expiry goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Last,
    Again,
    Rests,
}

/// Interval timers do not fire more often: their signals do not queue anyway. Nor do those whose signal is ignored.
const INTERVAL_MIN: Duration = Duration::from_micros(100);

impl State {
    /// How many more expiries there were by now, and the first one after now.
    fn forwarded(&self, now: Duration) -> (i32, Duration) {
        let Some(expires) = self.expires else { return (0, now) };
        let (late, interval) = (now.saturating_sub(expires).as_nanos(), self.interval.as_nanos().max(1));
        let missed = late / interval;
        let count = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
        let next = expires.saturating_add(self.interval.saturating_mul(count));
        (i32::try_from(missed).unwrap_or(i32::MAX), next)
    }
}

impl Waiter for Alarm {
    fn wake(self: Arc<Self>) {
        let Some(process) = self.process.upgrade() else { return };
        let kernel = process.kernel().clone();
        match self.expire(self.clock.now(&kernel)) {
            // CPU clocks are looked at before they have come so far.
            None => {
                if !self.state.lock().rests {
                    self.arm(&kernel);
                }
            }
            Some(expiry) => {
                self.send(&process);
                if expiry == Expiry::Rests && !self.is_waiting(&process) {
                    self.passed_over(&kernel);
                } else if expiry == Expiry::Again {
                    self.arm(&kernel);
                }
            }
        }
    }
}
