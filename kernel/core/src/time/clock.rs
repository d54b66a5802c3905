//! The clocks of clock_gettime(2).

use alloc::sync::Arc;
use core::time::Duration;

use crate::Errno;
use crate::Kernel;
use crate::platform::HostClock;
use crate::task::{Pid, Process, Task};

/// A clock.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// Of the machine.
    Wall(HostClock),
    /// The same, in steps of a tick.
    Coarse(HostClock),
    /// CPU time of a process.
    Process(Arc<Process>, CpuKind),
    /// CPU time of a task.
    Task(Arc<Task>, CpuKind),
}

/// Which CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CpuKind {
    /// In the application.
    User,
    /// In the application and in the kernel.
    Total,
}

/// A tick of the coarse clocks (CONFIG_HZ=250).
const TICK: Duration = Duration::from_millis(4);

impl Clock {
    /// From a `clockid_t`; `EINVAL` when there is no such clock. Those of alarms need a clock that wakes the machine.
    pub fn new(task: &Arc<Task>, id: i32) -> Result<Self, Errno> {
        Ok(match id {
            0 | 11 => Clock::Wall(HostClock::Realtime),
            1 | 4 => Clock::Wall(HostClock::Monotonic),
            2 => Clock::Process(task.process().clone(), CpuKind::Total),
            3 => Clock::Task(task.clone(), CpuKind::Total),
            5 => Clock::Coarse(HostClock::Realtime),
            6 => Clock::Coarse(HostClock::Monotonic),
            7 => Clock::Wall(HostClock::Boottime),
            id if id < 0 => Self::of_other(task, id)?,
            _ => return Err(Errno::EINVAL),
        })
    }

    /// clock_getcpuclockid(3): the id is in the upper bits, inverted.
    fn of_other(task: &Arc<Task>, id: i32) -> Result<Self, Errno> {
        let (pid, per_thread) = (!(id >> 3), id & 4 != 0);
        let kind = match id & 3 {
            0 | 2 => CpuKind::Total,
            1 => CpuKind::User,
            _ => return Err(Errno::EINVAL),
        };
        let found = match Pid::new(pid) {
            None if pid == 0 => Some(task.clone()),
            None => None,
            Some(pid) => task.process().pids().task(pid),
        };
        let found = found.ok_or(Errno::EINVAL)?;
        if per_thread {
            let same = Arc::ptr_eq(found.process(), task.process());
            if same { Ok(Clock::Task(found, kind)) } else { Err(Errno::EINVAL) }
        } else if pid == 0 || found.is_leader() {
            Ok(Clock::Process(found.process().clone(), kind))
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// The time on it.
    pub fn now(&self, kernel: &Kernel) -> Duration {
        match self {
            Clock::Wall(clock) | Clock::Coarse(clock) => kernel.machine().now(*clock),
            Clock::Process(process, CpuKind::Total) => process.cpu_total(),
            Clock::Process(process, CpuKind::User) => process.cpu_time().user,
            Clock::Task(task, CpuKind::Total) => task.cpu_total(),
            Clock::Task(task, CpuKind::User) => task.cpu_time().user,
        }
    }

    /// The length of its steps.
    pub fn resolution(&self) -> Duration {
        if matches!(self, Clock::Coarse(_)) { TICK } else { Duration::from_nanos(1) }
    }

    /// When to look, on the monotonic clock, whether it has reached a time.
    pub fn look_at(&self, kernel: &Kernel, time: Duration) -> Duration {
        let now = kernel.machine().now(HostClock::Monotonic);
        let left = time.saturating_sub(self.now(kernel));
        match self {
            Clock::Wall(HostClock::Monotonic) | Clock::Coarse(HostClock::Monotonic) => time,
            Clock::Wall(_) | Clock::Coarse(_) => now.saturating_add(left),
            Clock::Process(process, _) => now + per_cpu(left, process.task_count()),
            Clock::Task(..) => now + per_cpu(left, 1),
        }
    }
}

/// CPU time passes no faster than this; it is not looked at more often than each millisecond.
fn per_cpu(left: Duration, tasks: usize) -> Duration {
    let tasks = u32::try_from(tasks.max(1)).unwrap_or(u32::MAX);
    (left / tasks).max(Duration::from_millis(1))
}
