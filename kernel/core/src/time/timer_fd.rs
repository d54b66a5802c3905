//! Timers as files: timerfd_create(2).

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::mem;
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use super::{Clock, Setting, TimerKey};
use crate::io::Sink;
use crate::vfs::{FileObject, PollEvents};
use crate::wait::{SharedQueue, Waiter};
use crate::{Errno, Kernel};

/// A timer whose expiries are read. It rests from an expiry until that was read, and then counts what it missed.
#[derive(Debug)]
pub(crate) struct TimerFd {
    me: Weak<TimerFd>,
    kernel: Weak<Kernel>,
    clock: Clock,
    /// `clockid_t` that was asked for.
    clock_id: i32,
    state: Mutex<State>,
    queue: SharedQueue,
}

#[derive(Debug, Default)]
struct State {
    expires: Option<Duration>,
    interval: Duration,
    /// Expiries before, which timerfd_gettime(2) went past and nobody read.
    passed: u64,
    /// How it was set.
    flags: u32,
    key: Option<TimerKey>,
}

impl TimerFd {
    pub fn new(kernel: &Arc<Kernel>, clock: Clock, clock_id: i32) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            kernel: Arc::downgrade(kernel),
            clock,
            clock_id,
            state: Mutex::default(),
            queue: SharedQueue::default(),
        })
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Arms it for a time on its clock, or disarms it; gives what was set before.
    pub fn set(&self, kernel: &Kernel, expires: Option<Duration>, interval: Duration, flags: u32) -> Setting {
        let old = self.setting(kernel);
        let new = State { expires, interval, flags, ..State::default() };
        let before = mem::replace(&mut *self.state.lock(), new);
        before.key.into_iter().for_each(|key| kernel.remove_timer(key));
        self.arm(kernel);
        old
    }

    /// What is set now, for timerfd_gettime(2): one that is due goes on.
    pub fn look(&self, kernel: &Kernel) -> Setting {
        let now = self.clock.now(kernel);
        let went_on = self.state.lock().go_on(now);
        if went_on {
            self.arm(kernel);
        }
        self.setting(kernel)
    }

    /// What is set now.
    fn setting(&self, kernel: &Kernel) -> Setting {
        let now = self.clock.now(kernel);
        let state = self.state.lock();
        let Some(expires) = state.expires else { return Setting { interval: state.interval, ..Setting::default() } };
        let next = if expires > now || state.interval.is_zero() { expires } else { state.next(expires, now).1 };
        Setting { left: next.saturating_sub(now), interval: state.interval }
    }

    fn arm(&self, kernel: &Kernel) {
        let expires = self.state.lock().expires;
        let (Some(expires), Some(me)) = (expires, self.me.upgrade()) else { return };
        let waiter: Arc<dyn Waiter> = me;
        let key = kernel.add_timer(self.clock.look_at(kernel, expires), &waiter);
        let old = self.state.lock().key.replace(key);
        if let Some(old) = old {
            kernel.remove_timer(old);
        }
    }

    /// Takes the expiries so far.
    fn take(&self, kernel: &Kernel) -> Result<u64, Errno> {
        let now = self.clock.now(kernel);
        let count = {
            let mut state = self.state.lock();
            let went_on = state.go_on(now);
            let passed = mem::take(&mut state.passed);
            match (went_on, passed) {
                (false, 0) if !state.is_due(now) => return Err(Errno::EAGAIN),
                (false, 0) => {
                    state.expires = None;
                    return Ok(1);
                }
                (false, passed) => return Ok(passed),
                (true, passed) => passed,
            }
        };
        self.arm(kernel);
        Ok(count)
    }

    fn is_due(&self) -> bool {
        let Some(kernel) = self.kernel.upgrade() else { return false };
        let now = self.clock.now(&kernel);
        let state = self.state.lock();
        state.passed > 0 || state.is_due(now)
    }
}

impl State {
    fn is_due(&self, now: Duration) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Goes past the expiries so far, if it repeats; says whether there were any.
    fn go_on(&mut self, now: Duration) -> bool {
        let Some(expires) = self.expires.filter(|expires| *expires <= now && !self.interval.is_zero()) else {
            return false;
        };
        let (count, next) = self.next(expires, now);
        self.passed = self.passed.saturating_add(count);
        self.expires = Some(next);
        true
    }

    /// How many expiries there were by now, and the first one after.
    fn next(&self, expires: Duration, now: Duration) -> (u64, Duration) {
        let (late, interval) = (now.saturating_sub(expires).as_nanos(), self.interval.as_nanos().max(1));
        let count = u64::try_from(late / interval).unwrap_or(u64::MAX).saturating_add(1);
        let steps = u32::try_from(count).unwrap_or(u32::MAX);
        (count, expires.saturating_add(self.interval.saturating_mul(steps)))
    }
}

impl Waiter for TimerFd {
    fn wake(self: Arc<Self>) {
        self.state.lock().key = None;
        if self.is_due() {
            self.queue.wake();
        } else if let Some(kernel) = self.kernel.upgrade() {
            self.arm(&kernel);
        }
    }
}

impl FileObject for TimerFd {
    /// One that is due stays so, as on Linux.
    fn describe(&self) -> String {
        let Some(kernel) = self.kernel.upgrade() else { return String::new() };
        let now = self.clock.now(&kernel);
        let state = self.state.lock();
        let pair = |time: Duration| alloc::format!("({}, {})", time.as_secs(), time.subsec_nanos());
        alloc::format!(
            "clockid: {}\nticks: {}\nsettime flags: 0{:o}\nit_value: {}\nit_interval: {}\n",
            self.clock_id,
            state.passed.saturating_add(state.is_due(now).into()),
            state.flags,
            pair(state.expires.unwrap_or_default().saturating_sub(now)),
            pair(state.interval)
        )
    }

    fn read(&self, sink: &mut dyn Sink, _at: u64) -> Result<usize, Errno> {
        if sink.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let kernel = self.kernel.upgrade().ok_or(Errno::EIO)?;
        let count = self.take(&kernel)?;
        sink.put(&count.to_le_bytes())
    }

    fn poll(&self) -> PollEvents {
        if self.is_due() { PollEvents::READABLE } else { PollEvents::empty() }
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.queue.clone())
    }
}

impl Drop for TimerFd {
    fn drop(&mut self) {
        if let (Some(key), Some(kernel)) = (self.state.lock().key.take(), self.kernel.upgrade()) {
            kernel.remove_timer(key);
        }
    }
}
