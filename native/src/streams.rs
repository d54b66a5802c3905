//! Standard streams and what else a workload inherits.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{FileType, Gid, Uid, fchown, fstat};
use rustix::io::Errno;
use stockade_sandbox::{Error, Result, Stdio};

use crate::fail::Context;
use crate::sys::process::{close_range, dup2};

/// Makes these the standard streams.
pub(crate) fn set(streams: [&OwnedFd; 3]) -> Result<()> {
    (0..).zip(streams).try_for_each(|(number, stream)| dup2(stream.as_raw_fd(), number)).at("set the standard streams")
}

/// Makes those that are given the standard streams. None of them has a number below 3 unless it is at its place.
pub(crate) fn set_given(stdio: &Stdio) -> Result<()> {
    for (number, stream) in [(0, &stdio.stdin), (1, &stdio.stdout), (2, &stdio.stderr)] {
        if let Some(stream) = stream {
            dup2(stream.as_raw_fd(), number).at("set the standard streams")?;
        }
    }
    Ok(())
}

/// Checks that the descriptors to be preserved are there: a gap would be filled by a descriptor of ours.
pub(crate) fn check_preserved(count: u32) -> Result<()> {
    for number in (3..).take(usize::try_from(count).unwrap_or(usize::MAX)) {
        if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
            return Err(Error::Other(format!("unable to stat preserved-fd {number} (of {count})")));
        }
    }
    Ok(())
}

/// Gives the standard streams to the container's user, so that it can reopen /dev/stdout. What the host forbids, and
/// the null device, stay as they are.
pub(crate) fn give_to(uid: u32) -> Result<()> {
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let stat = match fstat(stream) {
            Err(Errno::BADF) => continue,
            answer => answer.at("stat a standard stream")?,
        };
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        let is_null = is_device && stat.st_rdev == rustix::fs::makedev(1, 3);
        if stat.st_uid == uid || is_null {
            continue;
        }
        match fchown(stream, Some(Uid::from_raw(uid)), Some(Gid::from_raw(stat.st_gid))) {
            // An unmapped owner, a read-only file system, a socket of another one.
            Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => {}
            Err(errno) => return Err(Error::os("give a standard stream to the user", errno)),
        }
    }
    Ok(())
}

/// Closes every descriptor from `first` on but those in `kept`. Directories of the host must not survive until exec,
/// close-on-exec or not: a path like /proc/self/fd/7 could name one (CVE-2024-21626).
pub(crate) fn close_others(first: u32, mut kept: Vec<u32>) -> Result<()> {
    kept.retain(|number| *number >= first);
    kept.sort_unstable();
    let mut next = first;
    for number in kept {
        if number > next {
            close_range(next, number - 1).at("close descriptors")?;
        }
        next = number + 1;
    }
    close_range(next, u32::MAX).at("close descriptors")
}
