//! Instances within instances: never in a circle, and not too deep.

use alloc::vec::Vec;

use stockade_kernel_sync::{Mutex, MutexGuard};

use super::Epoll;
use crate::Errno;

/// EP_MAX_NESTS
const DEPTH_MAX: usize = 4;

/// Held while an instance is added to another, so that two that are added to each other see it.
static ADDING: Mutex<()> = Mutex::new(());

/// `ELOOP` when `outer` would contain itself by way of `inner`, or the nesting got too deep. The guard is to be held
/// until `inner` is in.
pub(super) fn check(outer: &Epoll, inner: &Epoll) -> Result<MutexGuard<'static, ()>, Errno> {
    let guard = ADDING.lock();
    let above = height_above(outer, 0)?;
    let below = depth_below(outer, inner, 0)?;
    if above + below + 1 > DEPTH_MAX { Err(Errno::ELOOP) } else { Ok(guard) }
}

/// How many instances lie below, at most.
fn depth_below(outer: &Epoll, inner: &Epoll, level: usize) -> Result<usize, Errno> {
    if core::ptr::eq(outer, inner) || level > DEPTH_MAX {
        return Err(Errno::ELOOP);
    }
    let files: Vec<_> = inner.state.lock().items.values().filter_map(|item| item.file()).collect();
    let nested = files.iter().filter_map(|file| file.downcast::<Epoll>());
    let mut deepest = 0;
    for epoll in nested {
        deepest = deepest.max(1 + depth_below(outer, epoll, level + 1)?);
    }
    Ok(deepest)
}

/// How many instances contain this one, one within the other.
fn height_above(epoll: &Epoll, level: usize) -> Result<usize, Errno> {
    if level > DEPTH_MAX {
        return Err(Errno::ELOOP);
    }
    let outer = epoll.containers();
    let mut highest = 0;
    for epoll in &outer {
        highest = highest.max(1 + height_above(epoll, level + 1)?);
    }
    Ok(highest)
}
