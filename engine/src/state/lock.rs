//! The two locks of a container.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock, flock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::StateError;

/// Held while a container's files change. It belongs to the open file, so a child that inherits it goes on holding it.
#[derive(Debug)]
pub(crate) struct ContainerLock(OwnedFd);

impl ContainerLock {
    /// Takes over a lock that a parent handed down as a descriptor.
    pub(crate) fn from_inherited(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// The descriptor to hand down.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Ends the lock, also for processes that inherited the descriptor.
    pub(crate) fn release(self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Opens a lock file.
fn open(path: &Path) -> Result<File, StateError> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    file.map_err(StateError::io("open", path))
}

/// Waits for the flock on a file, which is made when absent.
pub(crate) fn flock_path(path: &Path) -> Result<ContainerLock, StateError> {
    let file = open(path)?;
    loop {
        match flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(ContainerLock(file.into())),
            Err(Errno::INTR) => {}
            Err(error) => return Err(StateError::io("lock", path)(error)),
        }
    }
}

/// Takes the flock on a file if nobody has it.
pub(crate) fn try_flock_path(path: &Path) -> Result<Option<ContainerLock>, StateError> {
    let file = open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(ContainerLock(file.into()))),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(StateError::io("lock", path)(error)),
    }
}

/// Held by a supervisor for as long as it lives. It belongs to the process: children do not inherit it, so it ends with
/// the supervisor whatever its container does.
#[derive(Debug)]
pub(crate) struct SupervisorLock {
    _file: File,
}

impl SupervisorLock {
    /// Takes it; `None` when another supervisor has it.
    pub(crate) fn acquire(path: &Path) -> Result<Option<Self>, StateError> {
        let file = open(path)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
            Err(error) => Err(StateError::io("lock", path)(error)),
        }
    }

    /// The pid of the living supervisor. A supervisor must not ask this of its own lock: closing the file would end it.
    pub(crate) fn holder(path: &Path) -> Result<Option<u32>, StateError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateError::io("open", path)(error)),
        };
        let holder = probe(file.as_fd()).map_err(StateError::io("probe", path))?;
        // A holder in another pid namespace has pid 0 here and is alive all the same.
        Ok(holder.map(|lock| lock.pid.map_or(0, |pid| u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0))))
    }
}

/// The lock that would stop us from locking the whole file for writing.
fn probe(fd: BorrowedFd<'_>) -> Result<Option<Flock>, Errno> {
    fcntl_getlk(fd, &Flock::from(FlockType::WriteLock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_lock_excludes_until_it_is_released() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = flock_path(&path).unwrap();
        assert!(try_flock_path(&path).unwrap().is_none());
        held.release();
        assert!(try_flock_path(&path).unwrap().is_some());
    }

    #[test]
    fn nobody_holds_a_new_supervisor_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("supervisor.lock");
        assert_eq!(SupervisorLock::holder(&path).unwrap(), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(SupervisorLock::holder(&path).unwrap(), None);
    }
}
