//! Signals that were sent and not yet taken.

use alloc::collections::VecDeque;

use super::{Signal, SignalInfo, SignalSet};

/// What waits for one task, or for one process as a whole.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    set: SignalSet,
    queue: VecDeque<SignalInfo>,
}

/// What became of a signal that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It waits now.
    New,
    /// A standard signal that waits already.
    Merged,
}

impl Pending {
    /// Adds a signal.
    pub fn push(&mut self, info: SignalInfo) -> Queued {
        if !info.signal.is_realtime() && self.set.contains(info.signal) {
            return Queued::Merged;
        }
        self.set.insert(info.signal);
        self.queue.push_back(info);
        Queued::New
    }

    /// Which signals wait.
    pub fn set(&self) -> SignalSet {
        self.set
    }

    /// How many entries wait (RLIMIT_SIGPENDING).
    pub fn count(&self) -> usize {
        self.queue.len()
    }

    /// Takes the oldest of one signal.
    pub fn take(&mut self, signal: Signal) -> Option<SignalInfo> {
        let at = self.queue.iter().position(|info| info.signal == signal)?;
        let info = self.queue.remove(at);
        if !self.queue.iter().any(|info| info.signal == signal) {
            self.set.remove(signal);
        }
        info
    }

    /// Drops all of some signals and says how many went.
    pub fn discard(&mut self, signals: SignalSet) -> usize {
        if self.set.intersection(signals).is_empty() {
            return 0;
        }
        let before = self.queue.len();
        self.queue.retain(|info| !signals.contains(info.signal));
        self.set = self.set.without(signals);
        before - self.queue.len()
    }

    /// Whether an entry of this kind waits.
    pub fn any(&self, matches: impl Fn(&SignalInfo) -> bool) -> bool {
        self.queue.iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realtime(code: i32) -> SignalInfo {
        SignalInfo { code, ..SignalInfo::kernel(Signal::RT_MIN) }
    }

    #[test]
    fn standard_signals_merge_and_realtime_signals_queue_in_order() {
        let mut pending = Pending::default();
        assert_eq!(pending.push(SignalInfo::kernel(Signal::TERM)), Queued::New);
        assert_eq!(pending.push(SignalInfo::kernel(Signal::TERM)), Queued::Merged);
        pending.push(realtime(-1));
        pending.push(realtime(-2));
        assert_eq!(pending.count(), 3);
        assert_eq!(pending.take(Signal::RT_MIN).map(|info| info.code), Some(-1));
        assert!(pending.set().contains(Signal::RT_MIN));
        assert_eq!(pending.take(Signal::RT_MIN).map(|info| info.code), Some(-2));
        assert!(!pending.set().contains(Signal::RT_MIN));
        assert_eq!(pending.take(Signal::RT_MIN), None);
    }

    #[test]
    fn the_processors_signals_come_first() {
        let set = SignalSet::of(&[Signal::HUP, Signal::SEGV, Signal::RT_MIN]);
        assert_eq!(set.first(), Some(Signal::SEGV));
        assert_eq!(set.without(SignalSet::SYNCHRONOUS).first(), Some(Signal::HUP));
        assert_eq!(SignalSet::EMPTY.first(), None);
    }

    #[test]
    fn discarded_signals_are_gone() {
        let mut pending = Pending::default();
        pending.push(SignalInfo::kernel(Signal::TSTP));
        pending.push(SignalInfo::kernel(Signal::INT));
        assert_eq!(pending.discard(SignalSet::STOPPING), 1);
        assert_eq!(pending.set(), SignalSet::of(&[Signal::INT]));
    }
}
