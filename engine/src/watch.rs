//! Waits for changes in a directory, with inotify(7).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::StateError;

/// A directory under watch.
#[derive(Debug)]
pub(crate) struct Watch(OwnedFd);

impl Watch {
    /// Watches what is written, made, moved or removed in a directory, and the directory itself.
    pub(crate) fn directory(path: &Path) -> Result<Self, StateError> {
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVE_SELF
            | WatchFlags::DELETE_SELF;
        let watch = || {
            let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            inotify::add_watch(&fd, path, flags)?;
            Ok(Self(fd))
        };
        watch().map_err(StateError::io::<Errno>("watch", path))
    }

    /// Waits for a change, or until the time is over. Changes before the call count.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Result<(), StateError> {
        self.wait_also(None, timeout)
    }

    /// As [`Watch::wait`], and until `other` is readable or closed at its far end.
    pub(crate) fn wait_also(&self, other: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> Result<(), StateError> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut fds = vec![PollFd::new(&self.0, PollFlags::IN)];
        fds.extend(other.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(StateError::io("watch", Path::new("a directory"))(error)),
        }
        // Which changes there were does not matter.
        let mut events = [0; 4096];
        while rustix::io::read(self.0.as_fd(), &mut events).is_ok_and(|length| length > 0) {}
        Ok(())
    }
}
