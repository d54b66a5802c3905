//! A program of a unit test: it has memory and makes system calls.

use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::{FakeThread, PAGE, World};
use crate::Errno;
use crate::mm::Memory;
use crate::platform::{Backing, HostCall, Machine as _, Protection};
use crate::syscall::TABLE;
use crate::task::Task;

/// Where its memory starts.
const START: u64 = 0x50_0000;
const PAGES: u64 = 64;

/// A task with scratch memory.
#[derive(Debug)]
pub struct Program {
    /// The task.
    pub task: Arc<Task>,
    /// Its thread.
    pub thread: Arc<FakeThread>,
    next: Mutex<u64>,
}

/// An argument of a call.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// A number.
    Number(u64),
    /// A string, which is put into memory.
    Text(&'a str),
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl From<$number> for Arg<'_> {
            #[allow(clippy::cast_sign_loss, clippy::cast_lossless, reason = "as C extends an argument")]
            fn from(number: $number) -> Self {
                Arg::Number(number as i64 as u64)
            }
        }
    )*};
}
numbers! { i32 u32 i64 }

impl From<u64> for Arg<'_> {
    fn from(number: u64) -> Self {
        Arg::Number(number)
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Arg::Text(text)
    }
}

impl Program {
    /// The first task of a world.
    pub fn first(world: &World) -> Self {
        Self::of(world.task.clone(), world.thread.clone())
    }

    /// One more task, with memory of its own.
    pub fn second(world: &World) -> Self {
        let space = world.machine.create_space().expect("the fake never runs out");
        let (task, thread) = world.spawn(Memory::new(space, world.machine.info().user_range));
        Self::of(task, thread)
    }

    fn of(task: Arc<Task>, thread: Arc<FakeThread>) -> Self {
        let protection = Protection::READ | Protection::WRITE;
        let map = HostCall::Map { address: START, len: PAGES * PAGE, protection, backing: Backing::Anonymous };
        thread.space().apply(&map).expect("nothing is mapped");
        Self { task, thread, next: Mutex::new(START) }
    }

    /// Room in its memory.
    pub fn room(&self, len: usize) -> u64 {
        let mut next = self.next.lock();
        let at = next.next_multiple_of(16);
        *next = at + len as u64;
        if *next > START + PAGES * PAGE {
            *next = START + len as u64;
            return START;
        }
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

    /// Makes a call by its name; `None` while it waits.
    pub fn start(&self, name: &str, arguments: &[Arg<'_>]) -> Option<Result<u64, Errno>> {
        let number = TABLE.iter().find(|entry| entry.name == name).expect("a call that is served").number;
        let arguments: Vec<u64> = arguments
            .iter()
            .map(|argument| match argument {
                Arg::Number(number) => *number,
                Arg::Text(text) => self.put(&[text.as_bytes(), b"\0"].concat()),
            })
            .collect();
        self.thread.try_call(number, &arguments, crate::platform::Form::Direct)
    }

    /// Makes a call that does not wait.
    pub fn call(&self, name: &str, arguments: &[Arg<'_>]) -> Result<u64, Errno> {
        self.start(name, arguments).expect("the call waits")
    }

    /// Opens a file.
    pub fn open(&self, path: &str, flags: u32, mode: u32) -> Result<u64, Errno> {
        self.call("open", &[path.into(), flags.into(), mode.into()])
    }

    /// Writes text to a descriptor.
    pub fn write(&self, fd: u64, text: &str) -> Result<u64, Errno> {
        self.call("write", &[fd.into(), text.into(), (text.len() as u64).into()])
    }

    /// Reads text from a descriptor.
    pub fn read(&self, fd: u64, len: usize) -> Result<alloc::string::String, Errno> {
        let at = self.room(len);
        let count = self.call("read", &[fd.into(), at.into(), (len as u64).into()])?;
        let bytes = self.bytes(at, usize::try_from(count).expect("small"));
        Ok(alloc::string::String::from_utf8(bytes).expect("text"))
    }

    /// Makes a file with this text.
    pub fn make_file(&self, path: &str, text: &str) {
        let fd = self.open(path, 0o102, 0o644).expect("it can be made");
        assert_eq!(self.write(fd, text), Ok(text.len() as u64));
        assert_eq!(self.call("close", &[fd.into()]), Ok(0));
    }

    /// The text of a file.
    pub fn file_text(&self, path: &str) -> Result<alloc::string::String, Errno> {
        let fd = self.open(path, 0, 0)?;
        let text = self.read(fd, 65_536);
        self.call("close", &[fd.into()])?;
        text
    }

    /// The names in a directory, sorted.
    pub fn names(&self, path: &str) -> Vec<alloc::string::String> {
        let fd = self.open(path, 0o200_000, 0).expect("a directory");
        let (room, mut names) = (self.room(512), Vec::new());
        loop {
            let len = self.call("getdents64", &[fd.into(), room.into(), 512.into()]).expect("a listing");
            let bytes = self.bytes(room, usize::try_from(len).expect("small"));
            if bytes.is_empty() {
                break;
            }
            let mut at = 0;
            while at < bytes.len() {
                let len = usize::from(u16::from_le_bytes([bytes[at + 16], bytes[at + 17]]));
                let name = bytes[at + 19..at + len].split(|byte| *byte == 0).next().expect("a name");
                names.push(alloc::string::String::from_utf8(name.to_vec()).expect("text"));
                at += len;
            }
        }
        self.call("close", &[fd.into()]).expect("it is open");
        names.sort();
        names
    }

    /// The number of a file's inode.
    pub fn ino(&self, path: &str) -> u64 {
        let at = self.room(144);
        self.call("lstat", &[path.into(), at.into()]).expect("it exists");
        u64::from_le_bytes(self.bytes(at + 8, 8).try_into().expect("8 bytes"))
    }

    /// Facts about a file: mode, links, size.
    pub fn stat(&self, path: &str) -> Result<(u32, u64, u64), Errno> {
        let at = self.room(144);
        self.call("lstat", &[path.into(), at.into()])?;
        let bytes = self.bytes(at, 144);
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let mode = u32::from_le_bytes(bytes[24..28].try_into().expect("4 bytes"));
        Ok((mode, word(16), word(48)))
    }
}

/// Arguments of a call.
#[macro_export]
macro_rules! args {
    ($($argument:expr),* $(,)?) => { &[$($crate::testing::Arg::from($argument)),*] };
}
