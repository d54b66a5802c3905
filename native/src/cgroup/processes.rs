//! The processes of a cgroup and of those below it.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Cgroup, CgroupError, Version, file, freeze, sys};

/// How often a signal goes round again for processes that were forked meanwhile, where they cannot be frozen.
const ROUNDS_MAX: usize = 64;
/// How many processes are held open at once: far below the usual limit of 1,024 descriptors.
const BATCH: usize = 256;

/// Every process here and below, in no order. A thread group split over cgroups counts once per cgroup.
pub(super) fn all(dir: &Path) -> Result<Vec<u32>, CgroupError> {
    let mut pids = own(dir)?;
    for child in children(dir)? {
        pids.extend(all(&child)?);
    }
    Ok(pids)
}

fn own(dir: &Path) -> Result<Vec<u32>, CgroupError> {
    match file::read_if_present(dir, "cgroup.procs")? {
        Some(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        None => Ok(Vec::new()),
    }
}

/// The cgroups directly below.
pub(super) fn children(dir: &Path) -> Result<Vec<PathBuf>, CgroupError> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| CgroupError::file("list", dir, error))?,
    };
    let is_dir = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(entries.filter_map(Result::ok).filter(is_dir).map(|entry| entry.path()).collect())
}

/// Signals every process. Freezing first keeps a fork bomb from outrunning us; without a freezer, rounds do.
pub(super) fn signal_all(cgroup: &Cgroup, signal: i32) -> Result<(), CgroupError> {
    let signal = sys::signal(signal)?;
    let freezer = cgroup.freezer().ok().filter(|home| !freeze::is_frozen(*home).unwrap_or(true));
    let frozen = freezer.is_some_and(|home| freeze::request(home).is_ok());
    let outcome = signal_in_rounds(cgroup, signal);
    match freezer.filter(|_| frozen) {
        Some(home) => outcome.and(thaw_unless_gone(home)),
        None => outcome,
    }
}

fn thaw_unless_gone(home: super::Home<'_>) -> Result<(), CgroupError> {
    match freeze::thaw(home) {
        Err(error) if error.is_gone() => Ok(()),
        other => other,
    }
}

fn signal_in_rounds(cgroup: &Cgroup, signal: Signal) -> Result<(), CgroupError> {
    let mut reached = HashSet::new();
    for _ in 0..ROUNDS_MAX {
        let news: Vec<u32> = cgroup.pids()?.into_iter().filter(|pid| reached.insert(*pid)).collect();
        if news.is_empty() {
            break;
        }
        for batch in news.chunks(BATCH) {
            signal_batch(cgroup, batch, signal)?;
        }
    }
    Ok(())
}

/// A number read a moment ago may be another process's by now, outside the cgroup. So: first hold the process by a
/// descriptor, then see that the number is still in the cgroup, then signal by the descriptor.
fn signal_batch(cgroup: &Cgroup, pids: &[u32], signal: Signal) -> Result<(), CgroupError> {
    let held: Vec<_> = pids.iter().filter_map(|pid| Some((*pid, open(*pid)?))).collect();
    let still_there: HashSet<u32> = cgroup.pids()?.into_iter().collect();
    for (pid, process) in held.iter().filter(|(pid, _)| still_there.contains(pid)) {
        match pidfd_send_signal(process, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(CgroupError::file("signal", Path::new(&format!("/proc/{pid}")), error)),
        }
    }
    Ok(())
}

fn open(pid: u32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()
}

/// v2 has one write for it (Linux 5.14), which reaches frozen and forking processes alike.
pub(super) fn kill_all(cgroup: &Cgroup) -> Result<(), CgroupError> {
    if let Some(main) = cgroup.main().filter(|main| main.version == Version::V2) {
        match file::write_if_present(&main.path, "cgroup.kill", "1")? {
            file::Presence::Present => return Ok(()),
            file::Presence::Absent if !main.path.exists() => return Ok(()),
            file::Presence::Absent => {}
        }
    }
    if cgroup.pids()?.is_empty() {
        return Ok(());
    }
    signal_all(cgroup, libc::SIGKILL)?;
    // What was frozen by a pause dies only once it may run.
    cgroup.freezer().map_or(Ok(()), thaw_unless_gone)
}
