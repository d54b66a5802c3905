//! How a process ended, and what its parent hears.

use core::fmt::Debug;
use core::time::Duration;

use crate::signal::{Signal, code};

/// Whether the process would have dumped core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump {
    /// Its status says so.
    Core,
    /// It does not.
    None,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// exit(2) with this status.
    Exited(u8),
    /// By a signal.
    Killed(Signal, Dump),
}

impl ExitStatus {
    /// As wait(2) stores it.
    pub fn raw(self) -> i32 {
        match self {
            ExitStatus::Exited(status) => i32::from(status) << 8,
            ExitStatus::Killed(signal, Dump::Core) => signal.raw() | 0x80,
            ExitStatus::Killed(signal, Dump::None) => signal.raw(),
        }
    }

    /// `si_code` and `si_status` for the parent.
    pub fn child_code(self) -> (i32, i32) {
        match self {
            ExitStatus::Exited(status) => (code::CLD_EXITED, status.into()),
            ExitStatus::Killed(signal, Dump::Core) => (code::CLD_DUMPED, signal.raw()),
            ExitStatus::Killed(signal, Dump::None) => (code::CLD_KILLED, signal.raw()),
        }
    }
}

/// CPU time used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// In the application.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

impl CpuTime {
    /// From (user, system).
    pub fn new((user, system): (Duration, Duration)) -> Self {
        Self { user, system }
    }

    /// The sum.
    pub fn total(self) -> Duration {
        self.user + self.system
    }
}

impl core::ops::AddAssign for CpuTime {
    fn add_assign(&mut self, other: Self) {
        self.user += other.user;
        self.system += other.system;
    }
}

/// Clock ticks of `times(2)` and siginfo: USER_HZ is 100.
pub fn ticks(time: Duration) -> i64 {
    i64::try_from(time.as_millis() / 10).unwrap_or(i64::MAX)
}

/// Hears when a process ends that has no parent in the sandbox: a container's init, or one that `exec` started.
pub trait ProcessWatcher: Debug + Send + Sync {
    /// It ended. Called once, without locks held; must not block.
    fn ended(&self, status: ExitStatus);
}
