//! Which task the signal of a timer on CPU time goes to: on Linux the one that runs as the timer expires. Seen from
//! outside several may run, so that each gets as many signals as its share of the time.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::task::{Pid, Task};

/// What the tasks of a process spent while a timer is set.
#[derive(Debug, Default)]
pub(super) struct Spenders(BTreeMap<Pid, Spent>);

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// CPU time at the last look.
    seen: Duration,
    /// Nanoseconds that no signal was sent for yet; below zero where one was sent too early.
    due: i64,
}

impl Spenders {
    /// What was spent until now does not count.
    pub fn begin(&mut self, totals: &[(Arc<Task>, Duration)]) {
        self.0 = totals.iter().map(|(task, seen)| (task.tid(), Spent { seen: *seen, due: 0 })).collect();
    }

    /// Who the next signal is for.
    pub fn next(&mut self, totals: &[(Arc<Task>, Duration)]) -> Option<Arc<Task>> {
        let mut gained_by_all = 0i64;
        let mut now = BTreeMap::new();
        for (task, total) in totals {
            let before = self.0.get(&task.tid()).copied().unwrap_or_default();
            let gained = i64::try_from(total.saturating_sub(before.seen).as_nanos()).unwrap_or(i64::MAX);
            gained_by_all = gained_by_all.saturating_add(gained);
            now.insert(task.tid(), Spent { seen: *total, due: before.due.saturating_add(gained) });
        }
        self.0 = now;
        let (task, _) = totals.iter().max_by_key(|(task, _)| self.0.get(&task.tid()).map(|spent| spent.due))?;
        let spent = self.0.get_mut(&task.tid())?;
        spent.due = spent.due.saturating_sub(gained_by_all);
        Some(task.clone())
    }
}

/// CPU time of each task.
pub(super) fn totals(tasks: Vec<Arc<Task>>) -> Vec<(Arc<Task>, Duration)> {
    tasks.into_iter().map(|task| (task.clone(), task.cpu_total())).collect()
}
