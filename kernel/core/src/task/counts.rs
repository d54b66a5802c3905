//! What is counted beside CPU time (getrusage(2), proc_pid_io(5)).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::AddAssign;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use super::{CpuTime, Process, Task};
use crate::platform::{HostClock, LateUsage, Machine, ThreadUsage, UserThread};
use crate::wait::Stop;

/// Processes that were killed and are there for longer are ones that the host keeps, with their whole control group.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counters of one task. Those of the host are its thread's.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    reads: AtomicU64,
    read_bytes: AtomicU64,
    writes: AtomicU64,
    written_bytes: AtomicU64,
    sleeps: AtomicU64,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that read, and what they got, from whichever file.
    pub reads: u64,
    /// Bytes.
    pub read_bytes: u64,
    /// Calls that write, and what they wrote.
    pub writes: u64,
    /// Bytes.
    pub written_bytes: u64,
    /// Page faults without input.
    pub minor_faults: u64,
    /// Page faults with.
    pub major_faults: u64,
    /// How often a call slept.
    pub voluntary_switches: u64,
    /// How often others ran first; of tasks that live.
    pub involuntary_switches: u64,
    /// The most bytes that were in memory, as far as anybody looked: of several, that of the largest.
    pub resident_peak: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.reads += other.reads;
        self.read_bytes += other.read_bytes;
        self.writes += other.writes;
        self.written_bytes += other.written_bytes;
        self.minor_faults += other.minor_faults;
        self.major_faults += other.major_faults;
        self.voluntary_switches += other.voluntary_switches;
        self.involuntary_switches += other.involuntary_switches;
        self.resident_peak = self.resident_peak.max(other.resident_peak);
    }
}

impl From<ThreadUsage> for Counts {
    fn from(usage: ThreadUsage) -> Self {
        let ThreadUsage { minor_faults, major_faults, resident_bytes, .. } = usage;
        Self { minor_faults, major_faults, resident_peak: resident_bytes, ..Self::default() }
    }
}

/// Processes that ended, of which the host tells the rest later. Most are never asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Late(Vec<Arc<dyn LateUsage>>);

impl Late {
    /// One more.
    pub fn push(&mut self, one: Arc<dyn LateUsage>) {
        self.0.push(one);
    }

    /// All of these too.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().cloned());
    }

    /// Moves what is known to `counts`.
    pub fn settle(&mut self, counts: &mut Counts) {
        self.0.retain(|one| match one.known() {
            Some(usage) => {
                *counts += usage.into();
                false
            }
            None => true,
        });
    }

    /// All of it, as far as it comes in time.
    pub fn wait(&self, machine: &dyn Machine) -> Counts {
        let mut counts = Counts::default();
        if self.0.is_empty() {
            return counts;
        }
        let now = || machine.now(HostClock::Monotonic);
        let deadline = now() + PATIENCE;
        self.0.iter().for_each(|one| counts += one.wait(deadline.saturating_sub(now())).into());
        counts
    }
}

impl Counters {
    /// A call that reads came to this.
    pub fn read(&self, result: &Result<usize, Stop>) {
        count(&self.reads, &self.read_bytes, result);
    }

    /// A call that writes did.
    pub fn wrote(&self, result: &Result<usize, Stop>) {
        count(&self.writes, &self.written_bytes, result);
    }

    /// A call sleeps.
    pub fn sleep(&self) {
        self.sleeps.fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> Counts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            reads: load(&self.reads),
            read_bytes: load(&self.read_bytes),
            writes: load(&self.writes),
            written_bytes: load(&self.written_bytes),
            voluntary_switches: load(&self.sleeps),
            ..Counts::default()
        }
    }
}

/// What a thread used that is left, as far as it can be had at little cost.
pub(super) fn of_thread(thread: &dyn UserThread) -> (CpuTime, Counts) {
    let usage = thread.last_usage();
    (CpuTime { user: usage.user, system: usage.system }, usage.into())
}

/// A call that waits is not over.
fn count(calls: &AtomicU64, bytes: &AtomicU64, result: &Result<usize, Stop>) {
    match result {
        Ok(done) => {
            bytes.fetch_add(*done as u64, Ordering::Relaxed);
        }
        Err(Stop::Error(_)) => {}
        Err(_) => return,
    }
    calls.fetch_add(1, Ordering::Relaxed);
}

impl Task {
    /// What it counted so far.
    pub fn counts(&self) -> Counts {
        let Some(thread) = self.thread() else { return self.counters.counts() };
        let (minor_faults, major_faults) = thread.faults();
        let involuntary_switches = thread.involuntary_switches();
        Counts { minor_faults, major_faults, involuntary_switches, ..self.counters.counts() }
    }

    /// What its thread used that it leaves, and what it counted itself.
    pub(crate) fn last_usage(&self, thread: &dyn UserThread) -> (CpuTime, Counts) {
        let (time, mut counts) = of_thread(thread);
        if self.process().task_count() == 1 {
            counts.resident_peak = self.memory().last_peak(counts.resident_peak);
        }
        counts += self.counters.counts();
        (time, counts)
    }

    /// What it read and wrote, which the host need not be asked for.
    pub(crate) fn transfers(&self) -> Counts {
        self.counters.counts()
    }
}

impl Process {
    /// What all its tasks counted, those that ended too.
    pub fn counts(&self) -> Counts {
        let mut total = self.ended_counts();
        self.tasks().iter().for_each(|task| total += task.counts());
        total
    }

    /// What its tasks counted that ended.
    fn ended_counts(&self) -> Counts {
        let (mut counts, late) = {
            let usage = self.usage.lock();
            (usage.task_counts, usage.late.clone())
        };
        counts += late.wait(self.kernel().machine());
        counts
    }

    /// The most bytes that it had in memory.
    pub fn resident_peak(&self) -> u64 {
        let (ended, leader) = (self.ended_counts().resident_peak, self.leader());
        leader.map_or(ended, |task| task.memory().space().resident_peak_bytes().max(ended))
    }

    /// What the children that it waited for counted.
    pub fn children_counts(&self) -> Counts {
        let (mut counts, late) = {
            let usage = self.usage.lock();
            (usage.child_counts, usage.late_children.clone())
        };
        counts += late.wait(self.kernel().machine());
        counts
    }

    /// What its tasks read and wrote.
    pub(crate) fn transfers(&self) -> Counts {
        let mut total = self.usage.lock().task_counts;
        self.tasks().iter().for_each(|task| total += task.transfers());
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;
    use crate::testing::FakeMachine;

    /// A process that ends after some time.
    #[derive(Debug)]
    struct Ending(Arc<FakeMachine>, Duration);

    impl LateUsage for Ending {
        fn known(&self) -> Option<ThreadUsage> {
            (self.0.now(HostClock::Monotonic) >= self.1).then(|| ThreadUsage { minor_faults: 1, ..Default::default() })
        }

        fn wait(&self, patience: Duration) -> ThreadUsage {
            let left = self.1.saturating_sub(self.0.now(HostClock::Monotonic));
            self.0.advance(left.min(patience));
            self.known().unwrap_or_default()
        }
    }

    #[test]
    fn dead_processes_that_the_host_keeps_are_waited_for_together() {
        let machine = FakeMachine::new();
        let mut late = Late::default();
        for end in [PATIENCE / 2, 20 * PATIENCE, 30 * PATIENCE, PATIENCE / 4] {
            late.push(Arc::new(Ending(machine.clone(), end)));
        }
        assert_eq!(late.wait(&*machine).minor_faults, 2);
        assert_eq!(machine.now(HostClock::Monotonic), PATIENCE);
    }

    #[test]
    fn calls_count_once_they_are_over() {
        let counters = Counters::default();
        counters.read(&Err(Stop::Wait));
        counters.read(&Ok(5));
        counters.read(&Err(Stop::Error(Errno::EIO)));
        counters.wrote(&Ok(7));
        let Counts { reads, read_bytes, writes, written_bytes, .. } = counters.counts();
        assert_eq!((reads, read_bytes, writes, written_bytes), (2, 5, 1, 7));
    }
}
