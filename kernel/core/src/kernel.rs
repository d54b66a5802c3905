//! The kernel of one sandbox.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use crate::futex::Futexes;
use crate::load::Load;
use crate::mm::Memory;
use crate::platform::Machine;
use crate::task::{Job, Namespaces, Process, Task};
use crate::time::{TimerKey, Timers};
use crate::vfs::Vfs;
use crate::wait::Waiter;
use crate::{Errno, SandboxLimits, ring};

/// All that tasks share.
#[derive(Debug)]
pub struct Kernel {
    machine: Arc<dyn Machine>,
    timers: Mutex<Timers>,
    vfs: Vfs,
    containers: Mutex<Vec<Weak<Namespaces>>>,
    woken: Mutex<VecDeque<(Arc<Task>, Job)>>,
    woken_count: AtomicUsize,
    limits: SandboxLimits,
    futexes: Futexes,
    boot_id: Mutex<Option<[u8; 16]>>,
    load: Mutex<Load>,
    /// Processes that the host ended for lack of memory.
    starved: AtomicU64,
}

impl Kernel {
    /// A kernel on a machine.
    pub fn new(machine: Arc<dyn Machine>) -> Arc<Self> {
        let vfs = Vfs::new(&machine);
        let limits = SandboxLimits::new(machine.info());
        Arc::new(Self {
            machine,
            timers: Mutex::new(Timers::default()),
            vfs,
            containers: Mutex::default(),
            woken: Mutex::new(VecDeque::new()),
            woken_count: AtomicUsize::new(0),
            limits,
            futexes: Futexes::default(),
            boot_id: Mutex::new(None),
            load: Mutex::default(),
            starved: AtomicU64::new(0),
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

    pub(crate) fn futexes(&self) -> &Futexes {
        &self.futexes
    }

    pub(crate) fn load(&self) -> &Mutex<Load> {
        &self.load
    }

    /// How many processes the host ended, which it does for lack of memory.
    pub fn starved(&self) -> u64 {
        self.starved.load(Ordering::Relaxed)
    }

    /// The host ended one more.
    pub(crate) fn add_starved(&self) {
        self.starved.fetch_add(1, Ordering::Relaxed);
    }

    /// What all files share.
    pub fn vfs(&self) -> &Vfs {
        &self.vfs
    }

    /// All processes of all containers; zombies too.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        let containers: Vec<_> = self.containers.lock().iter().filter_map(Weak::upgrade).collect();
        containers.iter().flat_map(|namespaces| namespaces.pids.processes()).collect()
    }

    /// `EAGAIN` when the machine has no room for one more task.
    pub(crate) fn check_room(&self) -> Result<(), Errno> {
        let containers: Vec<_> = self.containers.lock().iter().filter_map(Weak::upgrade).collect();
        let tasks: usize = containers.iter().map(|namespaces| namespaces.pids.usage().0).sum();
        if tasks < self.limits.tasks_max() { Ok(()) } else { Err(Errno::EAGAIN) }
    }

    /// Lets [`Self::processes`] know a container.
    pub(crate) fn add_container(&self, namespaces: &Arc<Namespaces>) {
        let mut containers = self.containers.lock();
        containers.retain(|other| other.strong_count() > 0);
        if !containers.iter().any(|other| Weak::as_ptr(other) == Arc::as_ptr(namespaces)) {
            containers.push(Arc::downgrade(namespaces));
        }
    }

    /// What the sandbox may use.
    pub fn limits(&self) -> &SandboxLimits {
        &self.limits
    }

    /// How many CPUs the sandbox has.
    pub fn cpus(&self) -> u32 {
        self.limits.cpus()
    }

    /// Bytes of memory that the sandbox may use.
    pub fn memory_limit(&self) -> u64 {
        self.limits.memory_bytes()
    }

    /// Changes how much memory the sandbox may use. The host enforces it for private memory of processes; files in
    /// memory, shared memory and objects of the kernel are held to it here, since the host counts them as the
    /// monitor's.
    pub fn set_memory_limit(&self, bytes: u64) {
        self.limits.set_memory_bytes(bytes);
        self.machine.pool().set_limit(bytes);
        ring::limit_all(bytes);
    }

    /// Bytes of memory that the sandbox has, and how many of them are free.
    pub fn memory_bytes(&self) -> (u64, u64) {
        let all = self.limits.memory_shown();
        (all, all.saturating_sub(self.memory_used()))
    }

    /// Bytes of memory in use: private memory of all processes, and files in memory.
    pub fn memory_used(&self) -> u64 {
        self.machine.pool().used_bytes() + Self::private_bytes(&self.processes())
    }

    /// Bytes of private memory of processes.
    pub fn private_bytes(processes: &[Arc<Process>]) -> u64 {
        let private = |memory: &Arc<Memory>| {
            let (resident, shared) = memory.space().resident_bytes();
            resident.saturating_sub(shared)
        };
        memories_of(processes).iter().map(private).sum()
    }

    /// The address spaces of all processes.
    pub fn memories(&self) -> Vec<Arc<Memory>> {
        memories_of(&self.processes())
    }

    /// A random number that stays as long as the kernel runs (/proc/sys/kernel/random/boot_id).
    pub fn boot_id(&self) -> [u8; 16] {
        *self.boot_id.lock().get_or_insert_with(|| {
            let mut id = [0; 16];
            self.machine.random(&mut id);
            id
        })
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

    pub(crate) fn push_woken(&self, task: Arc<Task>, job: Job) {
        self.woken.lock().push_back((task, job));
        self.woken_count.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn pop_woken(&self) -> Option<(Arc<Task>, Job)> {
        if self.woken_count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let next = self.woken.lock().pop_front()?;
        self.woken_count.fetch_sub(1, Ordering::Release);
        Some(next)
    }
}

/// Each address space once, however many processes it has.
fn memories_of(processes: &[Arc<Process>]) -> Vec<Arc<Memory>> {
    let mut memories: Vec<Arc<Memory>> =
        processes.iter().filter_map(|process| Some(process.leader()?.memory())).collect();
    memories.sort_by_key(Arc::as_ptr);
    memories.dedup_by_key(|memory| Arc::as_ptr(memory));
    memories
}
