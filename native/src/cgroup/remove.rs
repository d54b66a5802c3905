//! Removing a cgroup, which its dying processes may keep busy for a moment.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{CgroupError, Hierarchy, processes};

const PATIENCE: Duration = Duration::from_secs(5);
const STEP_MIN: Duration = Duration::from_micros(100);
const STEP_MAX: Duration = Duration::from_millis(100);

/// Removes a directory and all cgroups below.
pub(super) fn tree(dir: &Path) -> Result<(), CgroupError> {
    let deadline = Instant::now() + PATIENCE;
    let mut step = STEP_MIN;
    loop {
        match attempt(dir) {
            Err(Errno::BUSY) if Instant::now() < deadline => await_exit(dir, step, STEP_MAX),
            other => return other.map_err(|error| CgroupError::file("remove", dir, error)),
        }
        step = (step * 2).min(STEP_MAX);
    }
}

/// Whether all processes here and below go by themselves in time.
pub(super) fn is_empty_within(dir: &Path, limit: Duration) -> Result<bool, CgroupError> {
    let deadline = Instant::now() + limit;
    while !processes::all(dir)?.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        await_exit(dir, STEP_MIN, left);
    }
    Ok(true)
}

/// Leaves are tried first by their parents: most containers have no cgroups of their own.
fn attempt(dir: &Path) -> Result<(), Errno> {
    match rustix::fs::rmdir(dir) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::BUSY) => {
            for child in processes::children(dir).map_err(|_| Errno::BUSY)? {
                attempt(&child)?;
            }
            absent_is_fine(rustix::fs::rmdir(dir))
        }
        Err(error) => Err(error),
    }
}

/// Removes the directory above, if nobody is in it. Whoever makes one there at the same moment makes it anew
/// (`create::while_parents_vanish`).
pub(super) fn parent(own: &Hierarchy) -> Result<(), CgroupError> {
    let Some(dir) = own.path.parent().filter(|dir| *dir != own.mountpoint) else { return Ok(()) };
    match rustix::fs::rmdir(dir) {
        Ok(()) | Err(Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY) => Ok(()),
        Err(error) => Err(CgroupError::file("remove", dir, error)),
    }
}

fn absent_is_fine(outcome: Result<(), Errno>) -> Result<(), Errno> {
    if outcome == Err(Errno::NOENT) { Ok(()) } else { outcome }
}

/// Waits for one of the processes to go, or a little when they are gone and the kernel still tidies up.
fn await_exit(dir: &Path, step: Duration, limit: Duration) {
    let process = processes::all(dir).ok().and_then(|pids| i32::try_from(*pids.first()?).ok()).and_then(Pid::from_raw);
    match process.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) {
        Some(process) => {
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(limit.min(STEP_MAX).subsec_nanos()) };
            let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout));
        }
        None => std::thread::sleep(step),
    }
}
