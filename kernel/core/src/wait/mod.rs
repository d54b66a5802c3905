//! Waiting without stacks.
//!
//! A call that cannot finish registers its task on [`WaitQueue`]s and returns [`Stop::Wait`]. Nothing of it stays on a
//! stack: what it must remember (a deadline, bytes done) lies in the task's `Call`. Whoever makes a queue ready hands
//! the task to the run queue, and the waker's host thread runs the same handler again from its start.
//!
//! No wake-up is lost: the dispatcher runs a handler once more after its first `Wait`, and only a second `Wait`, which
//! looked at the condition while already registered, puts the task to sleep. A call that waits for nothing but what its
//! queues tell ([`Call::relies_on_queues`](crate::syscall::Call::relies_on_queues)) is spared that: an object wakes its
//! queue after it changed, so when none of the queues was woken since the handler began, it would see the same again.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::array;
use core::fmt::Debug;
use core::sync::atomic::{AtomicU64, Ordering};

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::vfs::PollEvents;

/// Why a handler did not return a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The call failed.
    Error(Errno),
    /// The call waits for the queues that it registered on, or for its deadline.
    Wait,
    /// The call waits in a way that a signal must not restart, but end with EINTR (poll, sleep, ...: signal(7)).
    WaitNoRestart,
    /// The call waits in a way that only the end of its process interrupts (vfork, exec).
    WaitKillable,
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Stop::Error(errno)
    }
}

/// Somebody who sleeps on queues: a task, or an `epoll` instance that passes the news on.
pub trait Waiter: Debug + Send + Sync {
    /// What it waited for may be there. Called without any lock of the queue's owner; must not block.
    fn wake(self: Arc<Self>);

    /// The same, with what may be there.
    fn notify(self: Arc<Self>, _events: PollEvents) {
        self.wake();
    }
}

/// A place in the order of all wake-ups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

static WAKE_UPS: AtomicU64 = AtomicU64::new(0);

impl Moment {
    /// Before all wake-ups to come.
    pub fn now() -> Self {
        Self(WAKE_UPS.load(Ordering::Acquire))
    }

    /// That of one more wake-up.
    fn next() -> Self {
        Self(WAKE_UPS.fetch_add(1, Ordering::AcqRel) + 1)
    }
}

/// Who waits for one condition of one object. The object wakes the queue after it changed, without its own lock held.
#[derive(Debug, Default)]
pub struct WaitQueue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiters: Vec<Registered>,
    /// When it was last woken.
    woken: Moment,
}

/// A waiter, and which news it wants.
#[derive(Debug)]
struct Registered {
    waiter: Weak<dyn Waiter>,
    interest: PollEvents,
}

impl Registered {
    fn is(&self, waiter: &Arc<dyn Waiter>) -> bool {
        Weak::as_ptr(&self.waiter).addr() == Arc::as_ptr(waiter).addr()
    }
}

/// How many are woken without an allocation.
const FEW: usize = 4;

/// Those that are woken at once.
struct Woken {
    few: [Option<Arc<dyn Waiter>>; FEW],
    count: usize,
    more: Vec<Arc<dyn Waiter>>,
}

impl Woken {
    fn new() -> Self {
        Self { few: array::from_fn(|_| None), count: 0, more: Vec::new() }
    }

    fn push(&mut self, waiter: Arc<dyn Waiter>) {
        match self.few.get_mut(self.count) {
            Some(slot) => *slot = Some(waiter),
            None => self.more.push(waiter),
        }
        self.count += 1;
    }
}

impl WaitQueue {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self { state: Mutex::new(State { waiters: Vec::new(), woken: Moment(0) }) }
    }

    /// Adds a waiter, once, for all news.
    pub fn register(&self, waiter: &Arc<dyn Waiter>) {
        self.register_for(waiter, PollEvents::all());
    }

    /// Adds a waiter, once. It is told of these events, and of those it registered for before. Says when the queue was
    /// woken last.
    pub fn register_for(&self, waiter: &Arc<dyn Waiter>, interest: PollEvents) -> Moment {
        let mut state = self.state.lock();
        match state.waiters.iter_mut().find(|other| other.is(waiter)) {
            Some(known) => known.interest |= interest,
            None => state.waiters.push(Registered { waiter: Arc::downgrade(waiter), interest }),
        }
        state.woken
    }

    /// Takes a waiter out.
    pub fn deregister(&self, waiter: &Arc<dyn Waiter>) {
        self.state.lock().waiters.retain(|other| !other.is(waiter));
    }

    /// Tells everybody. They stay registered until they take themselves out.
    pub fn wake(&self) {
        self.wake_for(PollEvents::all());
    }

    /// Tells those who want to hear of any of these events, or of an error or end if there is one.
    pub fn wake_for(&self, events: PollEvents) {
        let mut woken = Woken::new();
        {
            let mut state = self.state.lock();
            state.woken = Moment::next();
            let wanted = state.waiters.iter().filter(|waiter| waiter.interest.intersects(events));
            wanted.filter_map(|waiter| waiter.waiter.upgrade()).for_each(|waiter| woken.push(waiter));
        }
        let Woken { few, more, .. } = woken;
        for waiter in few.into_iter().flatten().chain(more) {
            waiter.notify(events);
        }
    }

    /// Whether anybody waits.
    pub fn is_empty(&self) -> bool {
        self.state.lock().waiters.is_empty()
    }
}

/// A queue that outlives its object, so that a sleeping task can take itself out. Every pollable object has one.
pub type SharedQueue = Arc<WaitQueue>;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Waiter for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn who_registers_hears_whether_it_comes_late() {
        let (queue, other) = (WaitQueue::new(), WaitQueue::new());
        let waiter: Arc<dyn Waiter> = Arc::new(Nobody);
        queue.wake();
        let began = Moment::now();
        other.wake();
        assert!(queue.register_for(&waiter, PollEvents::READABLE) <= began);
        queue.wake_for(PollEvents::WRITABLE);
        assert!(queue.register_for(&waiter, PollEvents::READABLE) > began);
    }
}
