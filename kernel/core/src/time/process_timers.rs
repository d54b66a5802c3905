//! The timers of a process: POSIX timers and interval timers.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use super::{Alarm, Clock, CpuKind, Setting, Target};
use crate::platform::HostClock;
use crate::signal::{Detail, Signal, SignalInfo};
use crate::task::{INFINITY, Process, Resource};
use crate::{Errno, Kernel};

/// Which interval timer; the numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interval {
    Real,
    Virtual,
    Profiling,
}

impl Interval {
    pub fn new(number: i32) -> Result<Self, Errno> {
        match number {
            0 => Ok(Interval::Real),
            1 => Ok(Interval::Virtual),
            2 => Ok(Interval::Profiling),
            _ => Err(Errno::EINVAL),
        }
    }

    fn clock(self, process: &Arc<Process>) -> Clock {
        match self {
            Interval::Real => Clock::Wall(HostClock::Monotonic),
            Interval::Virtual => Clock::Process(process.clone(), CpuKind::User),
            Interval::Profiling => Clock::Process(process.clone(), CpuKind::Total),
        }
    }

    fn signal(self) -> Signal {
        match self {
            Interval::Real => Signal::ALRM,
            Interval::Virtual => Signal::VTALRM,
            Interval::Profiling => Signal::PROF,
        }
    }
}

/// Timers that signal their process.
#[derive(Debug, Default)]
pub(crate) struct ProcessTimers {
    intervals: Mutex<[Option<Arc<Alarm>>; 3]>,
    posix: Mutex<Posix>,
    cpu_limit: Mutex<Option<Arc<Alarm>>>,
}

#[derive(Debug, Default)]
struct Posix {
    timers: BTreeMap<i32, Arc<Alarm>>,
    next: i32,
}

impl ProcessTimers {
    /// The process ends.
    pub fn clear(&self, kernel: &Kernel) {
        self.clear_posix(kernel);
        let intervals = core::mem::take(&mut *self.intervals.lock());
        let cpu_limit = self.cpu_limit.lock().take();
        for alarm in intervals.into_iter().flatten().chain(cpu_limit) {
            alarm.set(kernel, None, Duration::ZERO);
        }
    }

    /// The process runs another program: POSIX timers are deleted, interval timers stay (execve(2)).
    pub fn clear_posix(&self, kernel: &Kernel) {
        let timers = core::mem::take(&mut self.posix.lock().timers);
        for alarm in timers.into_values() {
            alarm.set(kernel, None, Duration::ZERO);
        }
    }

    /// Adds a POSIX timer under a new id.
    pub fn add(&self, make: impl FnOnce(i32) -> Arc<Alarm>) -> i32 {
        let mut posix = self.posix.lock();
        let id = posix.next;
        posix.next = id.wrapping_add(1).max(0);
        posix.timers.insert(id, make(id));
        id
    }

    /// A POSIX timer: `EINVAL` when there is none with this id.
    pub fn get(&self, id: i32) -> Result<Arc<Alarm>, Errno> {
        self.posix.lock().timers.get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// Deletes a POSIX timer.
    pub fn remove(&self, kernel: &Kernel, id: i32) -> Result<(), Errno> {
        let alarm = self.posix.lock().timers.remove(&id).ok_or(Errno::EINVAL)?;
        alarm.set(kernel, None, Duration::ZERO);
        Ok(())
    }

    /// How many POSIX timers there are.
    pub fn count(&self) -> usize {
        self.posix.lock().timers.len()
    }
}

impl Process {
    /// What is set for an interval timer.
    pub(crate) fn interval(&self, which: Interval) -> Setting {
        let alarm = self.timers.intervals.lock()[which as usize].clone();
        alarm.map_or_else(Setting::default, |alarm| alarm.setting(self.kernel()))
    }

    /// Sets an interval timer and gives what was set before.
    pub(crate) fn set_interval(self: &Arc<Self>, which: Interval, new: Setting) -> Setting {
        let alarm = {
            let mut intervals = self.timers.intervals.lock();
            let make = || Alarm::new(self, which.clock(self), Target::Interval(which.signal()));
            intervals[which as usize].get_or_insert_with(make).clone()
        };
        let expires = (!new.left.is_zero()).then(|| alarm.clock().now(self.kernel()).saturating_add(new.left));
        alarm.set(self.kernel(), expires, new.interval)
    }

    /// Keeps its CPU time within RLIMIT_CPU: SIGXCPU at the soft limit and every second from then on, SIGKILL at the
    /// hard one (setrlimit(2)).
    pub(crate) fn watch_cpu_limit(self: &Arc<Self>) {
        let soft = self.limit(Resource::Cpu).soft;
        let alarm = {
            let mut alarm = self.timers.cpu_limit.lock();
            if soft == INFINITY && alarm.is_none() {
                return;
            }
            let clock = Clock::Process(self.clone(), CpuKind::Total);
            alarm.get_or_insert_with(|| Alarm::new(self, clock, Target::CpuLimit)).clone()
        };
        let expires = (soft != INFINITY).then(|| Duration::from_secs(soft.max(1)));
        alarm.set(self.kernel(), expires, Duration::from_secs(1));
    }

    /// Its CPU time reached the soft limit, or a second more.
    pub(crate) fn cpu_limit_reached(self: &Arc<Self>) {
        let hard = Duration::from_secs(self.limit(Resource::Cpu).hard);
        let signal = if self.cpu_total() >= hard { Signal::KILL } else { Signal::XCPU };
        self.send_signal(SignalInfo::kernel(signal));
    }

    /// A signal was taken: if a timer sent it, that learns of it, and the signal of what it missed.
    pub(crate) fn timer_signal_taken(&self, info: &mut SignalInfo) {
        if let Detail::Timer { id, overrun, .. } = &mut info.detail
            && let Ok(alarm) = self.timers.get(*id)
        {
            *overrun = alarm.taken(self.kernel());
        }
    }
}
