//! The timers of a process: POSIX timers and interval timers.

use crate::Kernel;

/// Timers that signal their process.
#[derive(Debug, Default)]
pub(crate) struct ProcessTimers {}

impl ProcessTimers {
    /// The process ends.
    pub fn clear(&self, _kernel: &Kernel) {}

    /// The process runs another program: POSIX timers are deleted, interval timers stay (execve(2)).
    pub fn clear_posix(&self, _kernel: &Kernel) {}
}
