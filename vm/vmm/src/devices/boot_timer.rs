//! Tells when the guest's init runs: a store of 123 to one address, as Firecracker's guests do it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What the guest stores when it has booted.
const BOOTED: u8 = 123;

/// The time from the machine's start to the guest's first such store.
pub struct BootTimer {
    started: Instant,
    booted: OnceLock<Duration>,
}

impl BootTimer {
    /// A timer that runs from `started`.
    pub fn new(started: Instant) -> Self {
        BootTimer { started, booted: OnceLock::new() }
    }

    /// A store to the timer's address; true when it ended the boot, which it does once.
    pub fn write(&self, data: &[u8]) -> Option<Duration> {
        let elapsed = self.started.elapsed();
        (data.first() == Some(&BOOTED) && self.booted.set(elapsed).is_ok()).then_some(elapsed)
    }

    /// How long the boot took.
    pub fn booted(&self) -> Option<Duration> {
        self.booted.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_right_store_counts() {
        let timer = BootTimer::new(Instant::now());
        assert_eq!(timer.write(&[1]), None);
        assert_eq!(timer.booted(), None);
        let first = timer.write(&[BOOTED]);
        assert!(first.is_some());
        assert_eq!(timer.write(&[BOOTED]), None);
        assert_eq!(timer.booted(), first);
    }
}
