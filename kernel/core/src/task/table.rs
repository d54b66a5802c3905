//! Ids of tasks and processes.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::fmt;

use super::Task;
use crate::Errno;

/// The id of a task, process, process group or session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(u32);

/// PID_MAX_DEFAULT of Linux.
const MAX: u32 = 32_768;

impl Pid {
    /// Nobody: 0.
    pub const NONE: Pid = Pid(0);

    /// From a number that an application gave; `None` unless it can be an id.
    pub fn new(number: i32) -> Option<Self> {
        u32::try_from(number).ok().filter(|number| *number > 0).map(Self)
    }

    /// The number.
    pub fn raw(self) -> u32 {
        self.0
    }
}

impl From<Pid> for u64 {
    fn from(pid: Pid) -> u64 {
        u64::from(pid.0)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// All tasks by id.
#[derive(Debug, Default)]
pub struct TaskTable {
    tasks: BTreeMap<Pid, Weak<Task>>,
    last: u32,
}

impl TaskTable {
    /// An id that nobody has, higher than the last one until they wrap, as on Linux. `EAGAIN` when all are taken.
    pub fn reserve(&mut self) -> Result<Pid, Errno> {
        for step in 1..MAX {
            let number = (self.last + step) % MAX;
            // Ids below 300 are not used again after the first round, as on Linux (RESERVED_PIDS).
            let free = number > 0 && (self.last < 300 || number >= 300) && !self.tasks.contains_key(&Pid(number));
            if free {
                self.last = number;
                self.tasks.insert(Pid(number), Weak::new());
                return Ok(Pid(number));
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Fills a reserved id.
    pub fn insert(&mut self, task: &Arc<Task>) {
        self.tasks.insert(task.tid(), Arc::downgrade(task));
    }

    /// Gives an id back.
    pub fn release(&mut self, pid: Pid) {
        self.tasks.remove(&pid);
    }

    /// The task with an id.
    pub fn find(&self, pid: Pid) -> Option<Arc<Task>> {
        self.tasks.get(&pid)?.upgrade()
    }

    /// Every task, by rising id.
    pub fn all(&self) -> impl Iterator<Item = Arc<Task>> + '_ {
        self.tasks.values().filter_map(Weak::upgrade)
    }
}
