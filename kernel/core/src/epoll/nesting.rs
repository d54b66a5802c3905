//! Instances within instances: never in a circle, not too deep, and not on too many ways.
//!
//! Whoever asks an instance for its events asks those in it, on every way that leads down; so the ways are counted when
//! one is made longer.

use stockade_kernel_sync::{Mutex, MutexGuard};

use super::Epoll;
use crate::Errno;

/// EP_MAX_NESTS
const DEPTH_MAX: usize = 4;
/// How many ways may lead through a new place (Linux counts those that lead up from a file, by their length:
/// `path_limits` of fs/eventpoll.c).
const WAYS_MAX: usize = 500;

/// Held while an instance is added to another, so that two that are added to each other see it.
static ADDING: Mutex<()> = Mutex::new(());

/// `ELOOP` when `outer` would contain itself by way of `inner`, or the nesting got too deep; `EINVAL` when too many
/// ways would lead through. The guard is to be held until `inner` is in.
pub(super) fn check(outer: &Epoll, inner: &Epoll) -> Result<MutexGuard<'static, ()>, Errno> {
    let guard = ADDING.lock();
    let (mut above, mut below) = (Ways::default(), Ways::default());
    above.go_up(outer, 0)?;
    below.go_down(outer, inner, 0)?;
    if above.longest + below.longest + 1 > DEPTH_MAX {
        return Err(Errno::ELOOP);
    }
    if above.count * below.count > WAYS_MAX { Err(Errno::EINVAL) } else { Ok(guard) }
}

/// Ways from one instance on.
#[derive(Default)]
struct Ways {
    count: usize,
    longest: usize,
}

impl Ways {
    fn step(&mut self, level: usize) -> Result<(), Errno> {
        if level > DEPTH_MAX {
            return Err(Errno::ELOOP);
        }
        self.longest = self.longest.max(level);
        self.count += 1;
        if self.count > WAYS_MAX { Err(Errno::EINVAL) } else { Ok(()) }
    }

    /// Through the instances in `inner`.
    fn go_down(&mut self, outer: &Epoll, inner: &Epoll, level: usize) -> Result<(), Errno> {
        if core::ptr::eq(outer, inner) {
            return Err(Errno::ELOOP);
        }
        self.step(level)?;
        let nested = inner.nested();
        let mut instances = nested.iter().filter_map(|file| file.downcast::<Epoll>());
        instances.try_for_each(|epoll| self.go_down(outer, epoll, level + 1))
    }

    /// Through the instances that contain this one.
    fn go_up(&mut self, epoll: &Epoll, level: usize) -> Result<(), Errno> {
        self.step(level)?;
        epoll.containers().iter().try_for_each(|outer| self.go_up(outer, level + 1))
    }
}
