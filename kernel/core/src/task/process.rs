//! A thread group: what its tasks share.

use alloc::sync::{Arc, Weak};

use stockade_kernel_sync::Mutex;

use super::Pid;

/// A process.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    parent: Mutex<Weak<Process>>,
}

impl Process {
    /// Its id: the tid of its first task.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Who made it, or who took it over; 0 for the first.
    pub fn parent_pid(&self) -> Pid {
        self.parent.lock().upgrade().map_or(Pid::NONE, |parent| parent.pid)
    }

    /// A process with no tasks yet.
    pub fn new(pid: Pid, parent: &Weak<Process>) -> Arc<Self> {
        Arc::new(Self { pid, parent: Mutex::new(parent.clone()) })
    }
}
