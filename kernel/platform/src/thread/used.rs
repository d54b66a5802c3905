//! What an application thread has used, as the host counts it.
//!
//! How much CPU time it was is exact. Which part of it was the application's comes from the host's samples, and may
//! shrink from one look to the next: what is told never does.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Inner;
use stockade_kernel::platform::ThreadUsage;

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
        let before = self.before();
        self.told.next((user.saturating_sub(before.user), system.saturating_sub(before.system)))
    }

    /// That and page faults, which is the last that is asked: whoever has the host thread next begins from there.
    pub(super) fn last_usage(&self) -> ThreadUsage {
        let all = self.look();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(all);
        let before = self.before();
        let (user, system) = (all.user.saturating_sub(before.user), all.system.saturating_sub(before.system));
        let (user, system) = self.told.next((user, system));
        let (minor_faults, major_faults) = since(all, before);
        ThreadUsage { user, system, minor_faults, major_faults, resident_bytes: all.resident_bytes }
    }

    /// What the host thread used in all when it was last asked for.
    pub(super) fn used_in_all(&self) -> ThreadUsage {
        let known = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        known.unwrap_or_else(|| self.look())
    }

    /// What the host thread used in all. The only one of its process: what the process did.
    fn look(&self) -> ThreadUsage {
        let (pid, tid) = (self.stub.pid(), self.tid.load(Ordering::Relaxed));
        let proc = &self.machine.proc;
        let (mut all, total) = match self.stub.has_had_one_thread() {
            true => (proc.process_stat(pid), Some(process::cpu_total(pid))),
            false => (proc.thread_stat(pid, tid), proc.scheduled(pid, tid)),
        };
        if let Some(total) = total {
            (all.user, all.system) = process::parts_of(total, (all.user, all.system));
        }
        all
    }

    /// Page faults, minor and major.
    pub(super) fn faults(&self) -> (u64, u64) {
        let all = self.machine.proc.thread_stat(self.stub.pid(), self.tid.load(Ordering::Relaxed));
        since(all, self.before())
    }

    /// What the host thread used before it was this application thread's.
    fn before(&self) -> ThreadUsage {
        self.parked.map(|(_, used)| used).unwrap_or_default()
    }

    /// Both together, which takes less.
    pub(super) fn cpu_total(&self) -> Duration {
        let total = if self.stub.has_had_one_thread() {
            process::cpu_total(self.stub.pid())
        } else {
            let all = self.machine.proc.thread_cpu_total(self.stub.pid(), self.tid.load(Ordering::Relaxed));
            let before = self.before();
            all.saturating_sub(before.user + before.system)
        };
        total.max(self.told.total())
    }
}

/// Page faults from one look to the next.
fn since(all: ThreadUsage, before: ThreadUsage) -> (u64, u64) {
    let minor = all.minor_faults.saturating_sub(before.minor_faults);
    (minor, all.major_faults.saturating_sub(before.major_faults))
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
