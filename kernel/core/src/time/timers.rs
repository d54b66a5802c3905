//! Deadlines of all sleeping tasks and timers of the kernel.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;

use crate::wait::Waiter;

/// Names one deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey {
    at: Duration,
    sequence: u64,
}

/// Deadlines by time.
#[derive(Debug, Default)]
pub struct Timers {
    queue: BTreeMap<TimerKey, Weak<dyn Waiter>>,
    sequence: u64,
}

impl Timers {
    /// Adds a deadline on the monotonic clock.
    pub fn insert(&mut self, at: Duration, waiter: &Arc<dyn Waiter>) -> TimerKey {
        self.sequence += 1;
        let key = TimerKey { at, sequence: self.sequence };
        self.queue.insert(key, Arc::downgrade(waiter));
        key
    }

    /// Takes a deadline out.
    pub fn remove(&mut self, key: TimerKey) {
        self.queue.remove(&key);
    }

    /// The next deadline.
    pub fn next(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|(key, _)| key.at)
    }

    /// Takes out all that are due.
    pub fn expired(&mut self, now: Duration) -> Vec<Arc<dyn Waiter>> {
        let later = self.queue.split_off(&TimerKey { at: now, sequence: u64::MAX });
        let due = core::mem::replace(&mut self.queue, later);
        due.into_values().filter_map(|waiter| waiter.upgrade()).collect()
    }
}
