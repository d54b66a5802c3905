//! A machine for unit tests: memory in maps, time that tests set, threads that only do what a test makes them do.

mod caller;
mod machine;
mod pages;
mod pool;
mod program;
pub mod random;
mod space;
mod store;
mod thread;

pub use caller::Caller;
pub use machine::FakeMachine;
pub use pages::PAGE;
pub use pool::FakePool;
pub use program::{Arg, Program};
pub use space::FakeSpace;
pub use store::FakeStore;
pub use thread::FakeThread;

use alloc::sync::Arc;

use crate::Kernel;
use crate::fs::{Tmpfs, TmpfsOptions};
use crate::mm::Memory;
use crate::platform::{Frame, Machine as _};
use crate::task::{Capabilities, Credentials, FirstProcess, Limits, Manner, Namespaces, Process, Resources, Task};
use crate::vfs::{FdTable, FsContext, MountFlags, MountNamespace};

/// A kernel on a fake machine, with one task of root's that has a thread.
#[derive(Debug)]
pub struct World {
    /// The machine.
    pub machine: Arc<FakeMachine>,
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// Its only task.
    pub task: Arc<Task>,
    /// That task's host thread.
    pub thread: Arc<FakeThread>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// With nothing mapped.
    pub fn new() -> Self {
        let machine = FakeMachine::new();
        let kernel = Kernel::new(machine.clone());
        let namespaces = Namespaces::new(b"test");
        let memory = Memory::new(machine.create_space().expect("the fake never runs out"), machine.info().user_range);
        let (task, thread) = add_task(&kernel, &namespaces, memory);
        Self { machine, kernel, task, thread }
    }

    /// One more process with one task in this memory.
    pub fn spawn(&self, memory: Arc<Memory>) -> (Arc<Task>, Arc<FakeThread>) {
        add_task(&self.kernel, self.task.process().namespaces(), memory)
    }
}

fn add_task(kernel: &Arc<Kernel>, namespaces: &Arc<Namespaces>, memory: Arc<Memory>) -> (Arc<Task>, Arc<FakeThread>) {
    let root = Tmpfs::new(kernel.shared_machine(), TmpfsOptions { permissions: 0o755, ..TmpfsOptions::default() })
        .expect("no limits");
    let root = kernel.vfs().superblock(root);
    let fs = FsContext::new(MountNamespace::new(&root, MountFlags::empty(), b"none"));
    let first = FirstProcess {
        namespaces: namespaces.clone(),
        resources: Resources { memory, files: FdTable::new(), fs },
        credentials: Credentials::root(Capabilities::all()),
        limits: Limits::default(),
        name: b"test".to_vec(),
        frame: Frame::default(),
        setup: alloc::vec::Vec::new(),
        watcher: None,
        manner: Manner::default(),
    };
    let task = Process::first(kernel, first).expect("the fake never runs out");
    task.start();
    let thread = task.thread().expect("a live task has a thread");
    (task, FakeThread::of(&thread))
}
