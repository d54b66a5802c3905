//! Whose call a receiver waits for next.
//!
//! Nothing comes from a thread that waits for an answer, so nobody need receive for it meanwhile. Two threads that wake
//! each other in turn, by a pipe say, have one receiver between them then: it answers one, sees that the other has made
//! its next call, and follows the first. With one each, the host would wake and switch to the other one every time.
//!
//! A thread is *left* while it waits and nobody receives for it. Whoever answers it takes that back (under its lock, so
//! that one does) and sees to it that somebody receives: itself, or an idle receiver. The watch sees to those left by a
//! process that died.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::{Doom, Inner, State};
use crate::path::TrapPath;

/// How many answers by others' receivers there are to each that is looked at. What one costs that was wrongly expected
/// to go on in turns is several times what it saves.
const LOOK_EVERY: u32 = 8;
/// No call.
const NONE: u32 = u32::MAX;

/// What a receiver that answers others does next.
#[derive(Default)]
struct Receiver {
    /// Where the thread lies that it receives for; 0 outside of receivers.
    of: Cell<usize>,
    /// Whom it answered and now has to receive for.
    next: RefCell<Option<Arc<Inner>>>,
    /// Whom it answered and looks at.
    seen: RefCell<Option<Arc<Inner>>>,
}

impl Receiver {
    fn has_next(&self) -> bool {
        self.next.borrow().is_some()
    }

    fn set_next(&self, next: Option<Arc<Inner>>) {
        drop(self.next.replace(next));
    }

    fn set_seen(&self, seen: Option<Arc<Inner>>) {
        drop(self.seen.replace(seen));
    }
}

thread_local! {
    static RECEIVER: Receiver = Receiver::default();
}

/// What is known of how a thread waits.
#[derive(Debug)]
pub(super) struct Habit {
    /// Whoever answers it can soon receive for it.
    in_turns: AtomicBool,
    answers: AtomicU32,
    /// The call that it waited in when its receiver followed another.
    call: AtomicU32,
}

impl Default for Habit {
    fn default() -> Self {
        Self { in_turns: AtomicBool::new(false), answers: AtomicU32::new(0), call: AtomicU32::new(NONE) }
    }
}

/// Whether somebody receives for a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Attended {
    #[default]
    Yes,
    /// It is left.
    No,
}

impl Inner {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The calling receiver is its own from now on.
    pub(super) fn attend(&self) {
        RECEIVER.with(|receiver| receiver.of.set(self.address()));
    }

    /// An answer is about to go out.
    pub(super) fn before_answer(&self, state: &mut State) {
        let left = std::mem::take(&mut state.attended) == Attended::No;
        RECEIVER.with(|receiver| match receiver.of.get() {
            of if of == self.address() => {}
            0 if left => self.find_receiver(),
            0 => {}
            _ if left && receiver.has_next() => self.find_receiver(),
            _ if left => receiver.set_next(self.me.upgrade()),
            _ if self.is_looked_at() => receiver.set_seen(self.me.upgrade()),
            _ => {}
        });
    }

    fn is_looked_at(&self) -> bool {
        self.machine.path == TrapPath::Sync
            && self.habit.answers.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY)
    }

    /// An idle receiver takes it.
    fn find_receiver(&self) {
        let Some(me) = self.me.upgrade() else { return };
        if let Err(error) = self.machine.receivers.receive(me) {
            tracing::error!(%error, "no host thread for an application thread: its process ends");
            self.stub.kill();
        }
    }

    /// Before the next call is received: somebody else is received for only if this thread's call is there already.
    pub(super) fn look_ahead(&self) -> Ahead {
        let (next, seen) = RECEIVER.with(|receiver| (receiver.next.take(), receiver.seen.take()));
        if next.is_none() && seen.is_none() {
            return Ahead::default();
        }
        if self.listener.has_call() {
            return Ahead { next, seen };
        }
        Ahead { next, seen: None }.give_up();
        Ahead::default()
    }

    fn is_not_in_turns(&self) {
        self.habit.in_turns.store(false, Ordering::Relaxed);
        self.find_receiver();
    }

    /// A call is there. While it is served nobody receives for whom this receiver is to follow, so it must be one that
    /// has waited before.
    pub(super) fn called(&self, number: u32, ahead: &mut Ahead) {
        if ahead.next.is_some() && self.habit.call.swap(number, Ordering::Relaxed) != number {
            ahead.give_up();
        }
    }

    /// After a call was seen to: whom to receive for next.
    pub(super) fn after_call(&self, mut ahead: Ahead) -> Step {
        if let Some(seen) = ahead.seen.take().filter(|_| self.state().waiting.is_some()) {
            seen.habit.in_turns.store(true, Ordering::Relaxed);
        }
        let in_turns = self.habit.in_turns.load(Ordering::Relaxed);
        if ahead.next.is_none() && !in_turns && !RECEIVER.with(Receiver::has_next) {
            return Step::Stay;
        }
        if !self.leave() {
            ahead.give_up();
            return Step::Stay;
        }
        ahead.next.or_else(take_next).map_or(Step::Rest, Step::Follow)
    }

    /// Stops to receive for a thread that waits; false when it does not.
    fn leave(&self) -> bool {
        let mut state = self.state();
        let waits = state.waiting.is_some() && state.doomed == Doom::Lives;
        if !waits || self.machine.path != TrapPath::Sync || self.stub.is_dead() {
            return false;
        }
        state.attended = Attended::No;
        true
    }

    /// Its process died: somebody must notice.
    pub(crate) fn attend_the_dead(&self) {
        let left = std::mem::take(&mut self.state().attended) == Attended::No;
        if left {
            self.find_receiver();
        }
    }
}

/// What a receiver expects when the thread that it receives for has made its next call already.
#[derive(Default)]
pub(super) struct Ahead {
    /// Whom it answered and follows once that call waits.
    next: Option<Arc<Inner>>,
    /// Whom it would have followed.
    seen: Option<Arc<Inner>>,
}

impl Ahead {
    /// It does not wait: somebody else is to receive.
    pub(super) fn give_up(&mut self) {
        if let Some(next) = self.next.take() {
            next.is_not_in_turns();
        }
    }
}

/// What a receiver does after a call.
pub(super) enum Step {
    /// It receives the next.
    Stay,
    /// It receives for this one.
    Follow(Arc<Inner>),
    /// It has nothing to do.
    Rest,
}

/// Whom the calling receiver answered last, if nobody receives for that one.
pub(super) fn take_next() -> Option<Arc<Inner>> {
    RECEIVER.with(|receiver| receiver.next.take())
}

/// The calling thread receives for nobody.
pub(super) fn rest() {
    RECEIVER.with(|receiver| {
        receiver.of.set(0);
        receiver.set_seen(None);
    });
}
