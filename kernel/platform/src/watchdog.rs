//! Ends processes that do not take their kick. An application can block the signal by a frame that it forged; it would
//! then be out of the kernel's reach as long as it makes no call. So would a copy's thread that began at once, when its
//! process said another's id.
//!
//! The watchdog runs only while a kick is under way. It counts its own turns and not time: who was frozen together with
//! it (a freezer, a suspended machine) has missed none. Its lock is taken with a thread's `state` held, and not the
//! other way round.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rustix::event::{Timespec, poll};

use crate::thread::{Inner, Kicked};

const TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
/// A healthy thread takes a kick as soon as the host lets it run.
const TURNS_MAX: u32 = 20;
/// Bringing in the pages of a large mapping takes time,
const TURNS_IN_BATCH_MAX: u32 = 480;
/// but the host's and not the application's: who uses more than this is not in the handler any more.
const USER_TIME_IN_BATCH_MAX: Duration = Duration::from_secs(1);

/// Threads whose kick is on its way.
#[derive(Debug, Default)]
pub(crate) struct Watchdog(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    kicks: Vec<Kick>,
    runs: bool,
}

#[derive(Debug)]
struct Kick {
    thread: Weak<Inner>,
    turns: u32,
    /// CPU time of the application's code at the first look.
    user_before: Option<Duration>,
}

impl Watchdog {
    /// Looks after a thread's kick until the thread takes it, waits for the kernel, or is gone.
    pub(crate) fn watch(self: &Arc<Self>, thread: Weak<Inner>) {
        let mut watched = self.watched();
        watched.kicks.push(Kick { thread, turns: 0, user_before: None });
        if !watched.runs {
            watched.runs = self.spawn();
        }
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without a thread now, the next kick tries again.
    fn spawn(self: &Arc<Self>) -> bool {
        let watchdog = self.clone();
        let builder = thread::Builder::new().name("kick-watchdog".into()).stack_size(crate::THREAD_STACK_BYTES);
        builder.spawn(move || while watchdog.turn() {}).is_ok()
    }

    /// Says whether anything is left to be watched.
    fn turn(&self) -> bool {
        // The monitor's filter allows no other sleep.
        let _over = poll(&mut [], Some(&TURN));
        let mut kicks = std::mem::take(&mut self.watched().kicks);
        kicks.retain_mut(Kick::goes_on);
        let mut watched = self.watched();
        watched.kicks.append(&mut kicks);
        watched.runs = !watched.kicks.is_empty();
        watched.runs
    }
}

impl Kick {
    fn goes_on(&mut self) -> bool {
        let Some(thread) = self.thread.upgrade() else { return false };
        self.turns += 1;
        if self.turns == 1 {
            self.user_before = Some(thread.user_time());
        }
        let late = self.turns > TURNS_MAX;
        let is_lost = match thread.look_at_kick() {
            Kicked::Over => return false,
            Kicked::InBatch if late => self.has_left_batch(&thread) && thread.blocks_kick(),
            Kicked::Running if late => thread.blocks_kick(),
            Kicked::Unheard if late => !thread.awaits_kick(),
            Kicked::InBatch | Kicked::Running | Kicked::Unheard => false,
        };
        if is_lost {
            thread.end_kicked();
            return false;
        }
        true
    }

    fn has_left_batch(&self, thread: &Inner) -> bool {
        self.turns > TURNS_IN_BATCH_MAX || self.computes(thread)
    }

    fn computes(&self, thread: &Inner) -> bool {
        let before = self.user_before.unwrap_or_default();
        thread.user_time().saturating_sub(before) > USER_TIME_IN_BATCH_MAX
    }
}
