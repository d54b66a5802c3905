//! A machine for unit tests: memory in maps, time that tests set, threads that only do what a test makes them do.
// Each folder's tests use a part of it.
#![allow(dead_code, unused_imports)]

mod machine;
mod pages;
mod pool;
mod space;
mod thread;

pub use machine::{FakeBlob, FakeMachine};
pub use pages::PAGE;
pub use pool::FakePool;
pub use space::FakeSpace;
pub use thread::FakeThread;

use alloc::sync::{Arc, Weak};

use crate::Kernel;
use crate::fs::AnonymousFs;
use crate::mm::Memory;
use crate::platform::{Frame, Machine as _};
use crate::task::{Capabilities, Credentials, Process, Task};
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

impl World {
    /// With nothing mapped.
    pub fn new() -> Self {
        let machine = FakeMachine::new();
        let kernel = Kernel::new(machine.clone());
        let memory = Memory::new(machine.create_space().expect("the fake never runs out"));
        let (task, thread) = add_task(&kernel, memory);
        Self { machine, kernel, task, thread }
    }

    /// One more process with one task in this memory.
    pub fn spawn(&self, memory: Arc<Memory>) -> (Arc<Task>, Arc<FakeThread>) {
        add_task(&self.kernel, memory)
    }
}

fn add_task(kernel: &Arc<Kernel>, memory: Arc<Memory>) -> (Arc<Task>, Arc<FakeThread>) {
    let tid = kernel.tasks().lock().reserve().expect("an id");
    let process = Process::new(tid, &Weak::new());
    let credentials = Arc::new(Credentials::root(Capabilities::all()));
    let space = memory.space().clone();
    let root = kernel.vfs().superblock(Arc::new(AnonymousFs));
    let fs = FsContext::new(MountNamespace::new(&root, MountFlags::empty(), b"none"));
    let task = Task::new(kernel, tid, &process, credentials, memory, FdTable::new(), fs);
    kernel.tasks().lock().insert(&task);
    let thread = space.spawn(&Frame::default(), alloc::vec::Vec::new(), task.clone()).expect("the fake never runs out");
    task.set_thread(thread.clone());
    thread.start();
    (task, FakeThread::of(&thread))
}
