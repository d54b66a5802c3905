//! Processes named in a way that survives reuse of their pid.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};
use serde::{Deserialize, Serialize};

use crate::procfs::process_start;
use crate::sys::process::send_signal;

/// A process as state.json names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub pid: u32,
    /// Start time in clock ticks since boot: a later process with the same pid has another one.
    pub start_ticks: u64,
}

impl Process {
    /// The process that has this pid now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        process_start(pid).map(|start| Self { pid, start_ticks: start.ticks })
    }

    /// Whether it runs: neither gone nor a zombie.
    pub(crate) fn is_alive(&self) -> bool {
        process_start(self.pid).is_some_and(|start| start.ticks == self.start_ticks && !start.ended)
    }

    /// A handle on exactly this process, if it still runs.
    pub(crate) fn open(&self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Only now is the pid pinned: a check before could have looked at a predecessor.
        self.is_alive().then_some(pidfd)
    }

    /// Sends a signal, 0 to ask only; false when the process is gone.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<bool> {
        let Some(pidfd) = self.open() else { return Ok(false) };
        match send_signal(&pidfd, signal) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            answer => answer.map(|()| true),
        }
    }

    /// Waits until the process has ended; false when that takes longer than `limit`. An init that only awaits that
    /// others reap what was in its pid namespace counts as ended: a process that was exec'd there is reaped from
    /// outside, after seconds where the host's reaper is slow.
    pub(crate) fn wait_end(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let Some(pidfd) = self.open() else { return true };
            let left = deadline.saturating_duration_since(Instant::now());
            if wait_readable(&pidfd, Some(left.min(SPENT_CHECK))) || self.is_spent() {
                return true;
            }
            if left.is_zero() {
                return false;
            }
        }
    }

    fn is_spent(&self) -> bool {
        process_start(self.pid).is_none_or(|start| start.ticks != self.start_ticks || start.spent)
    }
}

/// How often a process that does not end is looked at.
const SPENT_CHECK: Duration = Duration::from_millis(20);

/// Waits until a pidfd's process ends; false on timeout.
pub(crate) fn wait_readable(pidfd: &OwnedFd, limit: Option<Duration>) -> bool {
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    loop {
        match poll(&mut fds, limit.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            answer => return answer.is_ok_and(|ready| ready > 0),
        }
    }
}

/// A pid as rustix wants it.
pub(crate) fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Waits for a child of ours and forgets how it ended.
pub(crate) fn reap(pid: u32) {
    let Some(pid) = raw(pid) else { return };
    while matches!(waitpid(Some(pid), WaitOptions::empty()), Err(rustix::io::Errno::INTR)) {}
}

/// Ends a child of ours.
pub(crate) fn kill_and_reap(pid: u32) {
    if let Some(raw) = raw(pid) {
        let _ = kill_process(raw, Signal::KILL);
        reap(pid);
    }
}
