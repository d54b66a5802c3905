//! What an application thread has used, as the host counts it.
//!
//! How much CPU time it was is exact. Which part of it was the application's comes from the host's samples, and may
//! shrink from one look to the next: what is told never does.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Inner;
use crate::sys::process;

/// CPU time that was told last: user, system.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<(Duration, Duration)>);

impl Told {
    /// What is told next (`cputime_adjust` of Linux).
    fn next(&self, (user, system): (Duration, Duration)) -> (Duration, Duration) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total = (user + system).max(told.0 + told.1);
        let user = user.clamp(told.0, total - told.1);
        *told = (user, total - user);
        *told
    }

    fn total(&self) -> Duration {
        let (user, system) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        user + system
    }
}

impl Inner {
    /// CPU time, user and system.
    pub(super) fn cpu_time(&self) -> (Duration, Duration) {
        if self.stub.has_had_one_thread() {
            return self.told.next(process::cpu_time(self.stub.pid()));
        }
        let (user, system) = self.machine.proc.thread_cpu_time(self.stub.pid(), self.tid.load(Ordering::Relaxed));
        let (user_before, system_before) = self.parked.map_or_else(Default::default, |(_, used)| used);
        self.told.next((user.saturating_sub(user_before), system.saturating_sub(system_before)))
    }

    /// Both together, which takes less.
    pub(super) fn cpu_total(&self) -> Duration {
        let total = if self.stub.has_had_one_thread() {
            process::cpu_total(self.stub.pid())
        } else {
            let all = self.machine.proc.thread_cpu_total(self.stub.pid(), self.tid.load(Ordering::Relaxed));
            let (user, system) = self.parked.map_or_else(Default::default, |(_, used)| used);
            all.saturating_sub(user + system)
        };
        total.max(self.told.total())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_part_goes_back() {
        let ms = Duration::from_millis;
        let told = Told::default();
        assert_eq!(told.next((ms(6), ms(4))), (ms(6), ms(4)));
        // The sum counts; the samples say that more of it was the system's.
        assert_eq!(told.next((ms(2), ms(10))), (ms(6), ms(6)));
        assert_eq!(told.next((ms(12), ms(1))), (ms(7), ms(6)));
        assert_eq!(told.next((ms(1), ms(1))), (ms(7), ms(6)));
        assert_eq!(told.total(), ms(13));
    }
}
