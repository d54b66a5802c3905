//! Tells when the guest's init runs: a store of 123 to one address, as Firecracker's guests do it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What the guest stores when it has booted.
const BOOTED: u8 = 123;

/// Whether the log hears of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Announce {
    /// As soon as it is over.
    Yes,
    /// Whoever wants to know asks the machine.
    #[default]
    No,
}

/// The time from the machine's start to the guest's first such store.
pub struct BootTimer {
    started: Instant,
    announce: Announce,
    booted: OnceLock<Duration>,
}

impl BootTimer {
    /// A timer that runs from `started`.
    pub fn new(started: Instant, announce: Announce) -> Self {
        BootTimer { started, announce, booted: OnceLock::new() }
    }

    /// A store to the timer's address; how long the boot took when it ended it, which it does once.
    pub fn write(&self, data: &[u8]) -> Option<Duration> {
        let elapsed = self.started.elapsed();
        let booted = data.first() == Some(&BOOTED) && self.booted.set(elapsed).is_ok();
        if booted && self.announce == Announce::Yes {
            log(elapsed);
        }
        booted.then_some(elapsed)
    }

    /// How long the boot took.
    pub fn booted(&self) -> Option<Duration> {
        self.booted.get().copied()
    }
}

/// In Firecracker's words.
fn log(elapsed: Duration) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu_us = cpu.tv_sec * 1_000_000 + cpu.tv_nsec / 1000;
    let (us, ms) = (elapsed.as_micros(), elapsed.as_millis());
    tracing::info!("Guest-boot-time = {us:>6} us {ms} ms, {cpu_us:>6} CPU us {} CPU ms", cpu_us / 1000);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_right_store_counts() {
        let timer = BootTimer::new(Instant::now(), Announce::Yes);
        assert_eq!(timer.write(&[1]), None);
        assert_eq!(timer.booted(), None);
        let first = timer.write(&[BOOTED]);
        assert!(first.is_some());
        assert_eq!(timer.write(&[BOOTED]), None);
        assert_eq!(timer.booted(), first);
    }
}
