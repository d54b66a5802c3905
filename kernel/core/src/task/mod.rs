//! Tasks (threads), processes (thread groups), and what they are made of.
//!
//! Lock order: kernel's table, process, task. No lock of these is held while an object of another folder is called.

mod capabilities;
mod credentials;
mod dispatch;
mod process;
mod sleep;
mod table;

use alloc::sync::{Arc, Weak};

use stockade_kernel_sync::Mutex;

use crate::Kernel;
use crate::mm::Memory;
use crate::platform::UserThread;
use crate::vfs::{FdTable, FsContext};
use crate::wait::Waiter;

pub use capabilities::Capabilities;
pub use credentials::Credentials;
pub use process::Process;
pub(crate) use sleep::{Poke, Sleep};
pub use table::{Pid, TaskTable};

/// One thread of an application.
#[derive(Debug)]
pub struct Task {
    kernel: Arc<Kernel>,
    tid: Pid,
    process: Arc<Process>,
    me: Weak<Task>,
    thread: Mutex<Option<Arc<dyn UserThread>>>,
    credentials: Mutex<Arc<Credentials>>,
    memory: Mutex<Arc<Memory>>,
    files: Mutex<Arc<FdTable>>,
    fs: Mutex<Arc<FsContext>>,
    pub(crate) sleep: Sleep,
}

impl Task {
    /// A task without a host thread yet.
    pub fn new(
        kernel: &Arc<Kernel>,
        tid: Pid,
        process: &Arc<Process>,
        credentials: Arc<Credentials>,
        memory: Arc<Memory>,
        files: Arc<FdTable>,
        fs: Arc<FsContext>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            kernel: kernel.clone(),
            tid,
            process: process.clone(),
            me: me.clone(),
            thread: Mutex::new(None),
            credentials: Mutex::new(credentials),
            memory: Mutex::new(memory),
            files: Mutex::new(files),
            fs: Mutex::new(fs),
            sleep: Sleep::default(),
        })
    }

    /// Gives it its host thread.
    pub fn set_thread(&self, thread: Arc<dyn UserThread>) {
        *self.thread.lock() = Some(thread);
    }

    /// The kernel that it runs on.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// Its id.
    pub fn tid(&self) -> Pid {
        self.tid
    }

    /// The process that it belongs to.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Who it is, now.
    pub fn credentials(&self) -> Arc<Credentials> {
        self.credentials.lock().clone()
    }

    /// Its address space.
    pub fn memory(&self) -> Arc<Memory> {
        self.memory.lock().clone()
    }

    /// Its file descriptors.
    pub fn files(&self) -> Arc<FdTable> {
        self.files.lock().clone()
    }

    /// Its root, working directory and umask.
    pub fn fs(&self) -> Arc<FsContext> {
        self.fs.lock().clone()
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
