//! A thread group: what its tasks share.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use super::job::Group;
use super::{
    Counts, CpuTime, ExitStatus, Late, Limit, Limits, Namespaces, Pid, Pids, ProcessWatcher, Record, Resource, Task,
};
use crate::Kernel;
use crate::platform::HostClock;
use crate::signal::{Actions, ProcessSignals};
use crate::time::ProcessTimers;
use crate::wait::SharedQueue;

/// A process.
#[derive(Debug)]
pub struct Process {
    kernel: Arc<Kernel>,
    pid: Pid,
    namespaces: Arc<Namespaces>,
    /// As in the tree; here for getppid(2).
    parent: AtomicU32,
    started: Duration,
    tasks: Mutex<Vec<Arc<Task>>>,
    limits: Mutex<Limits>,
    pub(crate) signals: ProcessSignals,
    pub(crate) timers: ProcessTimers,
    pub(crate) group: Mutex<Group>,
    pub(crate) ending: Mutex<Option<ExitStatus>>,
    /// How its leader ended, which counts when nothing ended the process as a whole.
    pub(crate) leader_status: Mutex<ExitStatus>,
    /// The real user id for who asks after the end.
    pub(crate) last_uid: Mutex<u32>,
    pub(crate) usage: Mutex<Usage>,
    /// Woken when a child changes.
    pub(crate) child_events: SharedQueue,
    /// Woken when it ends, or one of its tasks does (pidfd, exec).
    pub(crate) end_events: SharedQueue,
    pub(crate) vfork: Vfork,
    pub(crate) watcher: Mutex<Option<Arc<dyn ProcessWatcher>>>,
    /// Another process may run in the same memory (CLONE_VM without CLONE_THREAD).
    pub(crate) shares_memory: AtomicBool,
    pub(crate) record: Record,
}

/// CPU time and counts that do not belong to live tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// Of tasks that ended.
    pub tasks: CpuTime,
    /// Of children that were waited for.
    pub children: CpuTime,
    /// What tasks that ended counted.
    pub task_counts: Counts,
    /// What children that were waited for counted.
    pub child_counts: Counts,
    /// What `task_counts` lacks.
    pub late: Late,
    /// What `child_counts` lacks.
    pub late_children: Late,
}

impl Usage {
    /// What children lack that were waited for; what is known of others by now is counted.
    pub fn add_late_children(&mut self, late: &Late) {
        self.late_children.settle(&mut self.child_counts);
        self.late_children.extend(late);
    }
}

/// Whom a vfork child holds up.
#[derive(Debug, Default)]
pub(crate) struct Vfork {
    released: AtomicBool,
    pub queue: SharedQueue,
}

impl Vfork {
    /// The child got memory of its own, or ended.
    pub fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
        self.queue.wake();
    }

    pub fn is_released(&self) -> bool {
        self.released.load(Ordering::SeqCst)
    }
}

/// What a new process gets from its maker.
#[derive(Debug)]
pub(crate) struct NewProcess {
    pub kernel: Arc<Kernel>,
    pub pid: Pid,
    pub namespaces: Arc<Namespaces>,
    pub parent: Pid,
    pub limits: Limits,
    pub actions: Arc<Mutex<Actions>>,
    pub watcher: Option<Arc<dyn ProcessWatcher>>,
}

impl Process {
    pub(crate) fn new(new: NewProcess) -> Arc<Self> {
        Arc::new(Self {
            started: new.kernel.machine().now(HostClock::Boottime),
            kernel: new.kernel,
            pid: new.pid,
            namespaces: new.namespaces,
            parent: AtomicU32::new(new.parent.raw()),
            tasks: Mutex::default(),
            limits: Mutex::new(new.limits),
            signals: ProcessSignals::new(new.actions),
            timers: ProcessTimers::default(),
            group: Mutex::default(),
            ending: Mutex::default(),
            leader_status: Mutex::new(ExitStatus::Exited(0)),
            last_uid: Mutex::new(0),
            usage: Mutex::default(),
            child_events: SharedQueue::default(),
            end_events: SharedQueue::default(),
            vfork: Vfork::default(),
            watcher: Mutex::new(new.watcher),
            shares_memory: AtomicBool::new(false),
            record: Record::default(),
        })
    }

    /// The kernel that it runs on.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// Its id: that of its leader.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Who made it, or who took it over; [`Pid::NONE`] for those that came from outside.
    pub fn parent_pid(&self) -> Pid {
        Pid::from_raw(self.parent.load(Ordering::Relaxed))
    }

    pub(crate) fn set_parent_pid(&self, parent: Pid) {
        self.parent.store(parent.raw(), Ordering::Relaxed);
    }

    /// What it and its container see of the system.
    pub fn namespaces(&self) -> &Arc<Namespaces> {
        &self.namespaces
    }

    /// Its pid namespace.
    pub fn pids(&self) -> &Pids {
        &self.namespaces.pids
    }

    /// When it was made, since the sandbox began.
    pub fn started(&self) -> Duration {
        self.started
    }

    /// Its live tasks, oldest first.
    pub fn tasks(&self) -> Vec<Arc<Task>> {
        self.tasks.lock().clone()
    }

    /// How many live tasks it has.
    pub fn task_count(&self) -> usize {
        self.tasks.lock().len()
    }

    /// The task that stands for it: its oldest. `None` for a zombie.
    pub fn leader(&self) -> Option<Arc<Task>> {
        self.tasks.lock().first().cloned()
    }

    pub(crate) fn add_task(&self, task: &Arc<Task>) {
        self.tasks.lock().push(task.clone());
    }

    /// Takes a task out and says how many are left; `None` when it was not there.
    pub(crate) fn remove_task(&self, task: &Task) -> Option<usize> {
        let mut tasks = self.tasks.lock();
        let at = tasks.iter().position(|other| core::ptr::eq(&raw const **other, task))?;
        let removed = tasks.remove(at);
        let left = tasks.len();
        drop(tasks);
        drop(removed);
        Some(left)
    }

    /// Its process group.
    pub fn group(&self) -> Pid {
        self.pids().tree().node(self.pid).map_or(Pid::NONE, |node| node.group)
    }

    /// Whether it is the init of its namespace.
    pub fn is_init(&self) -> bool {
        self.pid == Pid::INIT
    }

    /// Its real user id, or that of its last task.
    pub fn uid(&self) -> u32 {
        self.leader().map_or_else(|| *self.last_uid.lock(), |task| task.credentials().uid)
    }

    /// Whether it was waited for.
    pub fn is_gone(&self) -> bool {
        let tree = self.pids().tree();
        tree.node(self.pid).is_none_or(|node| !core::ptr::eq(&raw const *node.process, self))
    }

    /// How it ended; `None` while it lives.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.pids().tree().node(self.pid)?.change.exit.as_ref().map(|exit| exit.status)
    }

    /// Whether it is a zombie, or gone.
    pub fn has_ended(&self) -> bool {
        let ended = |node: &super::Node| node.change.exit.is_some() || !core::ptr::eq(&raw const *node.process, self);
        self.pids().tree().node(self.pid).is_none_or(ended)
    }

    /// One of its limits.
    pub fn limit(&self, resource: Resource) -> Limit {
        self.limits.lock().get(resource)
    }

    /// All of its limits.
    pub fn limits(&self) -> Limits {
        self.limits.lock().clone()
    }

    /// Replaces a limit; who may is the caller's to check.
    pub fn set_limit(&self, resource: Resource, limit: Limit) {
        self.limits.lock().set(resource, limit);
    }

    /// CPU time of all its tasks, those that ended too.
    pub fn cpu_time(&self) -> CpuTime {
        let mut total = self.usage.lock().tasks;
        for task in self.tasks() {
            total += task.cpu_time();
        }
        total
    }

    /// The same in one, which may be had for less.
    pub fn cpu_total(&self) -> Duration {
        let ended = self.usage.lock().tasks.total();
        self.tasks().iter().fold(ended, |total, task| total + task.cpu_total())
    }

    /// CPU time of the children that it waited for.
    pub fn children_cpu_time(&self) -> CpuTime {
        self.usage.lock().children
    }

    /// Woken when it, or one of its tasks, ends.
    pub fn end_events(&self) -> &SharedQueue {
        &self.end_events
    }
}
