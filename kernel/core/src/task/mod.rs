//! Tasks (threads), processes (thread groups), and what they are made of.
//!
//! Lock order: the tree of a pid namespace, then a process's or a task's own. No lock of these is held while a waiter
//! is woken, user memory is copied, or an object of another folder is called; a task's `thread` is the exception: it is
//! held while its host thread is made, so that nobody misses it.

mod capabilities;
mod counts;
mod cpu;
mod credentials;
mod dispatch;
mod exec;
mod exit;
mod identity;
mod job;
mod limits;
mod namespaces;
mod node;
mod pids;
mod process;
mod record;
mod robust;
mod session;
mod sleep;
mod spawn;
mod status;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use crate::Kernel;
use crate::futex::TimedWait;
use crate::mm::{Memory, TaskMemory};
use crate::platform::{Fault, UserThread};
use crate::signal::{Restart, Signal, TaskSignals};
use crate::vfs::{FdTable, FsContext};
use crate::wait::Waiter;

pub use capabilities::Capabilities;
pub(crate) use counts::Counters;
pub use counts::Counts;
pub(crate) use counts::Late;
pub use cpu::Scheduling;
pub use credentials::Credentials;
pub use exec::{HostProcess, Program};
pub(crate) use identity::NewIds;
pub use limits::{INFINITY, Limit, Limits, Resource};
pub use namespaces::{Namespaces, Shared, Uts};
pub(crate) use node::{Change, Exit, Node};
pub(crate) use pids::Tree;
pub use pids::{Pid, Pids};
pub(crate) use process::NewProcess;
pub use process::Process;
pub(crate) use record::Record;
pub(crate) use robust::{HEAD_BYTES as ROBUST_HEAD_BYTES, RobustList};
pub use session::{Session, Terminal};
pub(crate) use sleep::{Claim, Job, Poke, Sleep};
pub(crate) use spawn::{Clone, CloneFlags};
pub use spawn::{FirstProcess, Manner, Resources};
pub use status::{CpuTime, Dump, ExitStatus, ProcessWatcher, ticks};

/// One thread of an application.
#[derive(Debug)]
pub struct Task {
    kernel: Arc<Kernel>,
    /// Changes when a task that is not the leader calls exec.
    tid: AtomicU32,
    process: Arc<Process>,
    me: Weak<Task>,
    thread: Mutex<Option<Arc<dyn UserThread>>>,
    credentials: Mutex<Arc<Credentials>>,
    memory: TaskMemory,
    files: Mutex<Arc<FdTable>>,
    fs: Mutex<Arc<FsContext>>,
    pub(crate) sleep: Sleep,
    pub(crate) signals: TaskSignals,
    pub(crate) restart: Mutex<Option<Box<Restart>>>,
    /// Its last wait in futex(2) with a relative timeout.
    pub(crate) timed_wait: Mutex<Option<TimedWait>>,
    /// The last exception, which signal frames show.
    pub(crate) last_fault: Mutex<Option<Fault>>,
    pub(crate) settings: Mutex<Settings>,
    pub(crate) counters: Counters,
}

/// Small things that a task sets for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// prctl(PR_SET_NAME): up to 15 bytes and a zero.
    pub name: [u8; 16],
    /// CLONE_CHILD_CLEARTID, set_tid_address(2): 0 when there is none.
    pub clear_child_tid: u64,
    pub robust_list: RobustList,
    /// prctl(PR_SET_PDEATHSIG)
    pub parent_death_signal: Option<Signal>,
    /// prctl(PR_SET_DUMPABLE)
    pub dumpable: u8,
    /// personality(2)
    pub personality: u32,
    pub scheduling: Scheduling,
    /// prctl(PR_SET_THP_DISABLE)
    pub huge_pages: HugePages,
}

/// Whether a process may get huge pages. The host decides whether it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HugePages {
    #[default]
    Allowed,
    Disabled,
}

impl Task {
    /// The kernel that it runs on.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// Its id.
    pub fn tid(&self) -> Pid {
        Pid::from_raw(self.tid.load(Ordering::Relaxed))
    }

    pub(crate) fn set_tid(&self, tid: Pid) {
        self.tid.store(tid.raw(), Ordering::Relaxed);
    }

    /// The process that it belongs to.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Whether it is the first task of its process.
    pub fn is_leader(&self) -> bool {
        self.tid() == self.process.pid()
    }

    /// Who it is, now.
    pub fn credentials(&self) -> Arc<Credentials> {
        self.credentials.lock().clone()
    }

    /// Becomes somebody else; who may is the caller's to check.
    pub fn set_credentials(&self, credentials: Credentials) {
        *self.credentials.lock() = Arc::new(credentials);
    }

    /// Its address space.
    pub fn memory(&self) -> Arc<Memory> {
        self.memory.get()
    }

    /// Its address space, and how far the host has followed.
    pub(crate) fn task_memory(&self) -> &TaskMemory {
        &self.memory
    }

    /// Its file descriptors.
    pub fn files(&self) -> Arc<FdTable> {
        self.files.lock().clone()
    }

    /// Gives it another table of descriptors (unshare(2), execve(2)).
    pub fn set_files(&self, files: Arc<FdTable>) {
        let before = core::mem::replace(&mut *self.files.lock(), files);
        drop(before);
    }

    /// Gives it another root, working directory and umask, to share with others.
    pub fn set_fs(&self, fs: Arc<FsContext>) {
        let before = core::mem::replace(&mut *self.fs.lock(), fs);
        drop(before);
    }

    /// Its root, working directory and umask.
    pub fn fs(&self) -> Arc<FsContext> {
        self.fs.lock().clone()
    }

    /// Gets its own file descriptors (unshare(2), exec, exit); the old table is given back.
    pub fn replace_files(&self, files: Arc<FdTable>) -> Arc<FdTable> {
        core::mem::replace(&mut *self.files.lock(), files)
    }

    /// Gets its own root, working directory and umask (unshare(2)).
    pub fn replace_fs(&self, fs: Arc<FsContext>) -> Arc<FsContext> {
        core::mem::replace(&mut *self.fs.lock(), fs)
    }

    pub(crate) fn replace_memory(&self, memory: Arc<Memory>) -> Arc<Memory> {
        self.memory.replace(memory)
    }

    /// personality(2)
    pub fn personality(&self) -> u32 {
        self.settings.lock().personality
    }

    /// The command's name: what /proc/PID/comm shows, without the terminator.
    pub fn name(&self) -> alloc::vec::Vec<u8> {
        let name = self.settings.lock().name;
        name.into_iter().take_while(|byte| *byte != 0).collect()
    }

    /// Sets the command's name, cut to 15 bytes.
    pub fn set_name(&self, name: &[u8]) {
        let mut short = [0; 16];
        let bytes = name.iter().copied().take_while(|byte| *byte != 0).take(15);
        short.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        self.settings.lock().name = short;
    }

    /// The letter of its state in /proc/PID/stat.
    pub fn state_letter(&self) -> char {
        self.sleep.letter()
    }

    /// CPU time that it has used.
    pub fn cpu_time(&self) -> CpuTime {
        self.thread().map_or_else(CpuTime::default, |thread| CpuTime::new(thread.cpu_time()))
    }

    /// The same in one, which may be had for less.
    pub fn cpu_total(&self) -> Duration {
        self.thread().map_or(Duration::ZERO, |thread| thread.cpu_total())
    }

    /// How long it waited for a CPU.
    pub fn delay(&self) -> Duration {
        self.thread().map_or(Duration::ZERO, |thread| thread.delay())
    }

    /// Itself as somebody who waits.
    pub fn waiter(&self) -> Arc<dyn Waiter> {
        self.me.upgrade().expect("a task that runs is alive")
    }

    /// The host's side of it; `None` before it is started and after it ended.
    pub(crate) fn thread(&self) -> Option<Arc<dyn UserThread>> {
        self.thread.lock().clone()
    }
}
