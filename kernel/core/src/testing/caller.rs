//! A task of a unit test that makes system calls by name, with scratch memory for their arguments.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{FakeThread, PAGE, World};
use crate::Errno;
use crate::mm::Memory;
use crate::platform::{Backing, Form, HostCall, Machine as _, Protection};
use crate::syscall::TABLE;
use crate::task::Task;

const START: u64 = 0x60_0000;
const PAGES: u64 = 64;

/// A task with scratch memory.
#[derive(Debug)]
pub struct Caller {
    /// The task.
    pub task: Arc<Task>,
    /// Its thread.
    pub thread: Arc<FakeThread>,
    next: AtomicU64,
}

impl Caller {
    /// The first task of a world.
    pub fn first(world: &World) -> Self {
        Self::of(world.task.clone(), world.thread.clone())
    }

    /// A task of one more process, which shares nothing.
    pub fn second(world: &World) -> Self {
        let range = world.machine.info().user_range;
        let space = world.machine.create_space().expect("the fake never runs out");
        let (task, thread) = world.spawn(Memory::new(space, range));
        Self::of(task, thread)
    }

    fn of(task: Arc<Task>, thread: Arc<FakeThread>) -> Self {
        let protection = Protection::READ | Protection::WRITE;
        let map = HostCall::Map { address: START, len: PAGES * PAGE, protection, backing: Backing::Anonymous };
        thread.space().apply(&map).expect("nothing is mapped");
        Self { task, thread, next: AtomicU64::new(START) }
    }

    /// Room in its memory, zero at first.
    pub fn room(&self, len: usize) -> u64 {
        let len = (len as u64).next_multiple_of(16);
        let at = self.next.fetch_add(len, Ordering::Relaxed);
        assert!(at + len <= START + PAGES * PAGE, "the test uses too much memory");
        at
    }

    /// Puts bytes into its memory.
    pub fn put(&self, bytes: &[u8]) -> u64 {
        let at = self.room(bytes.len());
        self.task.memory().write_bytes(at, bytes).expect("its memory");
        at
    }

    /// Bytes of its memory.
    pub fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        self.task.memory().read_vec(at, len).expect("its memory")
    }

    /// A number in its memory.
    pub fn int(&self, at: u64) -> i32 {
        self.task.memory().read_struct(at).expect("its memory")
    }

    /// Makes a call; `None` while it waits.
    pub fn start(&self, name: &str, arguments: &[u64]) -> Option<Result<u64, Errno>> {
        let entry = TABLE.iter().find(|entry| entry.name == name).expect("a call that is served");
        self.thread.try_call(entry.number, arguments, Form::Direct)
    }

    /// Makes a call that does not wait.
    pub fn call(&self, name: &str, arguments: &[u64]) -> Result<u64, Errno> {
        self.start(name, arguments).expect("the call waits")
    }

    /// What a call that waited returned; `None` while it still waits.
    pub fn returned(&self) -> Option<Result<u64, Errno>> {
        self.task.kernel().run_woken();
        self.thread.returned()
    }

    /// Writes to a file of its.
    pub fn write(&self, fd: u64, mut bytes: &[u8]) -> Result<usize, Errno> {
        self.task.files().get(i32::try_from(fd).expect("a descriptor"))?.write(&mut bytes)
    }

    /// Reads from a file of its.
    pub fn read(&self, fd: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = crate::io::Collect::new(len);
        self.task.files().get(i32::try_from(fd).expect("a descriptor"))?.read(&mut bytes)?;
        Ok(bytes.bytes)
    }

    /// Closes a file of its.
    pub fn close(&self, fd: u64) {
        let closed = self.task.files().remove(i32::try_from(fd).expect("a descriptor"));
        drop(closed.expect("it is open"));
        self.task.kernel().run_woken();
    }
}
