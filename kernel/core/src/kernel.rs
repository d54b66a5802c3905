//! The kernel of one sandbox.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use crate::platform::Machine;
use crate::syscall::Call;
use crate::task::{Task, TaskTable};
use crate::time::{TimerKey, Timers};
use crate::vfs::Vfs;
use crate::wait::Waiter;

/// All that tasks share.
#[derive(Debug)]
pub struct Kernel {
    machine: Arc<dyn Machine>,
    tasks: Mutex<TaskTable>,
    timers: Mutex<Timers>,
    vfs: Vfs,
    woken: Mutex<VecDeque<(Arc<Task>, Box<Call>)>>,
    woken_count: AtomicUsize,
}

impl Kernel {
    /// A kernel on a machine.
    pub fn new(machine: Arc<dyn Machine>) -> Arc<Self> {
        let vfs = Vfs::new(&machine);
        Arc::new(Self {
            machine,
            tasks: Mutex::new(TaskTable::default()),
            timers: Mutex::new(Timers::default()),
            vfs,
            woken: Mutex::new(VecDeque::new()),
            woken_count: AtomicUsize::new(0),
        })
    }

    /// The machine below.
    pub fn machine(&self) -> &dyn Machine {
        &*self.machine
    }

    /// The machine below, for objects that outlive a call.
    pub fn shared_machine(&self) -> &Arc<dyn Machine> {
        &self.machine
    }

    /// What all files share.
    pub fn vfs(&self) -> &Vfs {
        &self.vfs
    }

    /// All tasks.
    pub fn tasks(&self) -> &Mutex<TaskTable> {
        &self.tasks
    }

    /// Wakes a waiter at a time on the monotonic clock.
    pub fn add_timer(&self, at: Duration, waiter: &Arc<dyn Waiter>) -> TimerKey {
        let mut timers = self.timers.lock();
        let earlier = timers.next().is_none_or(|next| at < next);
        let key = timers.insert(at, waiter);
        if earlier {
            self.machine.set_timer(Some(at));
        }
        key
    }

    /// Forgets a timer.
    pub fn remove_timer(&self, key: TimerKey) {
        self.timers.lock().remove(key);
    }

    pub(crate) fn wake_expired(&self, now: Duration) {
        let due = {
            let mut timers = self.timers.lock();
            let due = timers.expired(now);
            self.machine.set_timer(timers.next());
            due
        };
        for waiter in due {
            waiter.wake();
        }
    }

    pub(crate) fn push_woken(&self, task: Arc<Task>, call: Box<Call>) {
        self.woken.lock().push_back((task, call));
        self.woken_count.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn pop_woken(&self) -> Option<(Arc<Task>, Box<Call>)> {
        if self.woken_count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let next = self.woken.lock().pop_front()?;
        self.woken_count.fetch_sub(1, Ordering::Release);
        Some(next)
    }
}
