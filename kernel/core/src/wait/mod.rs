//! Waiting without stacks.
//!
//! A call that cannot finish registers its task on [`WaitQueue`]s and returns [`Stop::Wait`]. Nothing of it stays on a
//! stack: what it must remember (a deadline, bytes done) lies in the task's `Call`. Whoever makes a queue ready hands
//! the task to the run queue, and the waker's host thread runs the same handler again from its start.
//!
//! No wake-up is lost: the dispatcher runs a handler once more after its first `Wait`, and only a second `Wait`, which
//! looked at the condition while already registered, puts the task to sleep.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt::Debug;

use stockade_kernel_sync::Mutex;

use crate::Errno;

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
}

/// Who waits for one condition of one object. The object wakes the queue after it changed, without its own lock held.
#[derive(Debug, Default)]
pub struct WaitQueue {
    waiters: Mutex<Vec<Weak<dyn Waiter>>>,
}

impl WaitQueue {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self { waiters: Mutex::new(Vec::new()) }
    }

    /// Adds a waiter, once.
    pub fn register(&self, waiter: &Arc<dyn Waiter>) {
        let mut waiters = self.waiters.lock();
        let same = |other: &Weak<dyn Waiter>| Weak::as_ptr(other).addr() == Arc::as_ptr(waiter).addr();
        if !waiters.iter().any(same) {
            waiters.push(Arc::downgrade(waiter));
        }
    }

    /// Takes a waiter out.
    pub fn deregister(&self, waiter: &Arc<dyn Waiter>) {
        self.waiters.lock().retain(|other| Weak::as_ptr(other).addr() != Arc::as_ptr(waiter).addr());
    }

    /// Tells everybody. They stay registered until they take themselves out.
    pub fn wake(&self) {
        let woken: Vec<Arc<dyn Waiter>> = {
            let waiters = self.waiters.lock();
            if waiters.is_empty() {
                return;
            }
            waiters.iter().filter_map(Weak::upgrade).collect()
        };
        for waiter in woken {
            waiter.wake();
        }
    }

    /// Whether anybody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.lock().is_empty()
    }
}

/// A queue that outlives its object, so that a sleeping task can take itself out. Every pollable object has one.
pub type SharedQueue = Arc<WaitQueue>;
