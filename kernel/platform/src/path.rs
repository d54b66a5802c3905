//! Which variant of the trap path the host can do.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::sys::seccomp;

/// SECCOMP_FILTER_FLAG_NEW_LISTENER
const NEW_LISTENER: u64 = 8;
/// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
const WAIT_KILLABLE: u64 = 32;

/// Variants, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrapPath {
    /// Linux 5.14: a signal cancels a call that waits for its reply, so interrupts wait for the reply, and a reply that
    /// comes too late is put into the frame of the handler.
    Interruptible,
    /// Linux 5.19: a call that was received waits for its reply whatever signals come. Thread and receiver share a
    /// processor, because a reply does not choose one.
    Pinned,
    /// Linux 6.6: the same, and a reply wakes its thread on the replier's processor.
    Sync,
}

impl TrapPath {
    /// The variant with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [TrapPath::Interruptible, TrapPath::Pinned, TrapPath::Sync].into_iter().find(|path| path.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            TrapPath::Interruptible => "interruptible",
            TrapPath::Pinned => "pinned",
            TrapPath::Sync => "sync",
        }
    }

    /// The best that the host can do.
    pub fn of_host() -> io::Result<Self> {
        static BEST: OnceLock<TrapPath> = OnceLock::new();
        match BEST.get() {
            Some(best) => Ok(*best),
            None => Self::probe().map(|best| *BEST.get_or_init(|| best)),
        }
    }

    fn probe() -> io::Result<Self> {
        if !seccomp::knows_flags(NEW_LISTENER | WAIT_KILLABLE) {
            return Ok(TrapPath::Interruptible);
        }
        // Whoever has it by its version need not ask, which takes a thread.
        match release() >= (6, 6) || seccomp::knows_sync_wake_up()? {
            true => Ok(TrapPath::Sync),
            false => Ok(TrapPath::Pinned),
        }
    }

    /// Flags of a thread's listener.
    pub(crate) fn listener_flags(self) -> u64 {
        match self {
            TrapPath::Interruptible => NEW_LISTENER,
            TrapPath::Pinned | TrapPath::Sync => NEW_LISTENER | WAIT_KILLABLE,
        }
    }

    /// Puts an application thread and the calling receiver where the path wants them.
    pub(crate) fn place(self, tid: i32) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        if self == TrapPath::Sync {
            return;
        }
        let placed = one_cpu(NEXT.fetch_add(1, Ordering::Relaxed)).and_then(|set| {
            sched_setaffinity(None, &set)?;
            sched_setaffinity(Pid::from_raw(tid), &set)
        });
        if let Err(error) = placed {
            tracing::debug!(%error, "a thread and its receiver may run on different processors");
        }
    }
}

/// The host's version, or 0.0.
fn release() -> (u32, u32) {
    let uname = rustix::system::uname();
    let mut numbers = uname.release().to_str().unwrap_or_default().split('.').map_while(|number| number.parse().ok());
    numbers.next().zip(numbers.next()).unwrap_or_default()
}

/// The one at this place, round and round, of those that this thread may use.
fn one_cpu(place: usize) -> rustix::io::Result<CpuSet> {
    let allowed = sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let mut set = CpuSet::new();
    set.set(cpus[place % cpus.len().max(1)]);
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_says_no_more_than_the_host_does() {
        assert!(release() > (5, 0), "{:?}", release());
        assert!(release() < (6, 6) || seccomp::knows_sync_wake_up().unwrap());
    }
}
