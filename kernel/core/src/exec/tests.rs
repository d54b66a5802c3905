//! Programs on the fake machine.

use super::*;
use crate::abi::Encoder;
use crate::fs::{Tmpfs, TmpfsOptions};
use crate::mm::{MapLine, PAGE};
use crate::platform::{Event, FILL_BYTES_MAX, Form, Protection};
use crate::task::{Capabilities, Credentials, Pid};
use crate::testing::{FakeThread, World};
use crate::vfs::{MountNamespace, OpenHow, Opened};

const LOAD: u32 = 1;
const INTERP: u32 = 3;
const READ_EXECUTE: u32 = 5;
const READ_WRITE: u32 = 6;
const FORK: u32 = 57;
const EXIT_GROUP: u32 = 231;

/// A root file system, and what a test starts in it.
struct Root {
    world: World,
    context: Arc<FsContext>,
    caller: Caller,
}

impl Root {
    fn new() -> Self {
        let world = World::new();
        let tmpfs = Tmpfs::new(world.kernel.shared_machine(), TmpfsOptions::default()).unwrap();
        let superblock = world.kernel.vfs().superblock(tmpfs);
        let context = FsContext::new(MountNamespace::new(&superblock, MountFlags::empty(), b"tmpfs"));
        let caller = Caller::kernel(Arc::new(Credentials::root(Capabilities::all())));
        Self { world, context, caller }
    }

    fn open(&self, name: &str, flags: OpenFlags, permissions: u32) -> Result<Arc<File>, Errno> {
        let how = OpenHow { flags, permissions, ..OpenHow::default() };
        let name = Name::new(&self.context, &self.caller, name.as_bytes());
        let Opened::File(file) = self.world.kernel.vfs().open(&name, &how)? else { panic!("a fifo") };
        Ok(file)
    }

    fn write(&self, name: &str, permissions: u32, content: &[u8]) {
        let file = self.open(name, OpenFlags::CREATE | OpenFlags::READ_WRITE, permissions).unwrap();
        assert_eq!(file.write(&mut &content[..]), Ok(content.len()));
    }

    fn load(&self, name: &str, arguments: &[&[u8]]) -> Result<Program, Errno> {
        self.load_limited(name, arguments, &Limits::default())
    }

    fn load_limited(&self, name: &str, arguments: &[&[u8]], limits: &Limits) -> Result<Program, Errno> {
        load(Request {
            kernel: &self.world.kernel,
            caller: &self.caller,
            context: &self.context,
            path: Name::new(&self.context, &self.caller, name.as_bytes()).find(Follow::Yes)?,
            name: Some(name.as_bytes()),
            command: b"command",
            arguments: arguments.iter().map(|argument| argument.to_vec()).collect(),
            environment: alloc::vec![b"A=1".to_vec()],
            limits,
            personality: ADDR_NO_RANDOMIZE,
            space: None,
        })
    }

    /// The program in its memory, as it begins.
    fn run(&self, program: &Program) {
        let space = program.memory.space();
        let thread = space.spawn(&program.frame, program.setup.clone(), self.world.task.clone()).unwrap();
        thread.start();
        assert!(FakeThread::of(&thread).is_started());
    }
}

struct Part {
    kind: u32,
    flags: u32,
    address: u64,
    content: Vec<u8>,
    memory_len: u64,
}

fn load_part(flags: u32, address: u64, content: &[u8], memory_len: u64) -> Part {
    Part { kind: LOAD, flags, address, content: content.to_vec(), memory_len }
}

fn elf(kind: u16, entry: u64, parts: &[Part]) -> Vec<u8> {
    let mut file = Encoder::new();
    file.bytes(b"\x7fELF\x02\x01\x01").zeros(9).put(kind).put(62_u16).put(1_u32).put(entry).put(64_u64).put(0_u64);
    file.put(0_u32).put(64_u16).put(56_u16).put(u16::try_from(parts.len()).unwrap()).zeros(6);
    let mut content = Vec::new();
    for part in parts {
        // Each part begins at a page of its own, as far into it as its address.
        let offset = PAGE * (1 + content.len() as u64 / PAGE) + part.address % PAGE;
        content.resize(usize::try_from(offset - PAGE).unwrap(), 0xaa);
        content.extend_from_slice(&part.content);
        file.put(part.kind).put(part.flags).put(offset).put(part.address).put(part.address);
        file.put(part.content.len() as u64).put(part.memory_len).put(PAGE);
        let end = content.len().next_multiple_of(4096);
        content.resize(end, 0xaa);
    }
    file.zeros(4096 - file.len()).bytes(&content);
    file.finish()
}

fn simple(kind: u16) -> Vec<u8> {
    let base = if kind == 2 { 0x40_0000 } else { 0 };
    let code = load_part(READ_EXECUTE, base, b"code", 4);
    let data = load_part(READ_WRITE, base + 0x2010, b"data", 0x3000);
    elf(kind, base + 0x123, &[code, data])
}

fn line(program: &Program, address: u64) -> MapLine {
    let lines = program.memory.map_lines();
    lines.into_iter().find(|line| line.range.contains(&address)).expect("mapped")
}

#[test]
fn a_fixed_program_lies_where_it_says() {
    let root = Root::new();
    root.write("/bin", 0o755, &simple(2));
    let program = root.load("/bin", &[b"one", b"two"]).unwrap();
    root.run(&program);
    let memory = &program.memory;
    assert_eq!(program.frame.registers.rip, 0x40_0123);
    assert_eq!(memory.read_vec(0x40_0000, 4).unwrap(), b"code");
    assert_eq!(memory.read_vec(0x40_2010, 6).unwrap(), b"data\0\0");
    assert_eq!(memory.read_vec(0x40_5000, 16).unwrap(), [0; 16]);
    memory.write_bytes(0x40_500f, b"x").unwrap();
    assert_eq!(memory.write_bytes(0x40_0000, b"x"), Err(Errno::EFAULT));
    assert_eq!(memory.heap(), 0x40_6000..0x40_6000);
    let text = line(&program, 0x40_0000);
    assert_eq!((text.name.path.as_str(), text.protection), ("/bin", Protection::READ | Protection::EXEC));
}

#[test]
fn the_stack_holds_arguments_environment_and_auxiliary_vector() {
    let root = Root::new();
    root.write("/bin", 0o755, &simple(2));
    let program = root.load("/bin", &[b"one", b"two"]).unwrap();
    root.run(&program);
    let memory = &program.memory;
    let pointer = program.frame.registers.rsp;
    assert_eq!(pointer % 16, 0);
    let [count, one, two, end, a, end_too]: [u64; 6] = memory.read_struct(pointer).unwrap();
    assert_eq!((count, end, end_too), (2, 0, 0));
    for (address, text) in [(one, &b"one"[..]), (two, b"two"), (a, b"A=1")] {
        assert_eq!(memory.read_path(address).unwrap(), text);
    }
    let auxiliary: Vec<[u64; 2]> = memory.read_array(pointer + 48, 21).unwrap();
    assert_eq!(auxiliary.last(), Some(&[0, 0]));
    let entry = |kind: u64| auxiliary.iter().find(|entry| entry[0] == kind).expect("an entry")[1];
    assert_eq!((entry(3), entry(5), entry(6), entry(9)), (0, 2, PAGE, 0x40_0123), "its headers are not loaded");
    assert_eq!(memory.read_path(entry(31)).unwrap(), b"/bin");
    assert_eq!(memory.read_path(entry(15)).unwrap(), b"x86_64");
    assert_eq!(entry(33), 0x7fff_8000_0000);
    let info = memory.program().unwrap();
    let len = usize::try_from(info.arguments.end - info.arguments.start).unwrap();
    assert_eq!(memory.read_vec(info.arguments.start, len).unwrap(), b"one\0two\0");
    let stack = line(&program, pointer);
    assert_eq!(stack.name.path, "[stack]");
    assert_eq!(stack.range.end - stack.range.start, 8 << 20);
    memory.write_bytes(stack.range.start, b"x").unwrap();
}

#[test]
fn more_strings_than_a_thread_fills_in_are_mapped() {
    let root = Root::new();
    root.write("/bin", 0o755, &simple(2));
    let long = alloc::vec![b'x'; FILL_BYTES_MAX];
    let program = root.load("/bin", &[b"one", &long]).unwrap();
    root.run(&program);
    let [count, one, two]: [u64; 3] = program.memory.read_struct(program.frame.registers.rsp).unwrap();
    assert_eq!((count, program.memory.read_path(one).unwrap()), (2, b"one".to_vec()));
    assert_eq!(program.memory.read_path(two).unwrap(), long);
    assert_eq!(line(&program, one).name.path, "[stack]");
}

#[test]
fn a_movable_program_is_loaded_by_its_interpreter() {
    let root = Root::new();
    let name = Part { kind: INTERP, flags: 4, address: 0, content: b"/ld\0".to_vec(), memory_len: 4 };
    let code = load_part(READ_EXECUTE, 0x1000, b"code", 4);
    root.write("/bin", 0o755, &elf(3, 0x1010, &[name, code]));
    root.write("/ld", 0o755, &simple(3));
    let program = root.load("/bin", &[b"x"]).unwrap();
    root.run(&program);
    let base = program.frame.registers.rip - 0x123;
    assert_eq!(line(&program, base).name.path, "/ld");
    assert_eq!(program.memory.read_vec(base + 0x2010, 6).unwrap(), b"data\0\0");
    let auxiliary = program.memory.program().unwrap().auxiliary.clone();
    let entry = |kind: u64| {
        let pairs = auxiliary.chunks_exact(16).map(<[u64; 2] as crate::abi::Abi>::from_bytes);
        pairs.into_iter().find(|pair| pair[0] == kind).expect("an entry")[1]
    };
    assert_eq!(entry(7), base);
    assert_eq!(line(&program, entry(9)).name.path, "/bin");
    assert!(program.memory.heap().start > entry(9));
}

#[test]
fn a_movable_program_alone_lies_among_mappings_and_its_heap_apart() {
    let root = Root::new();
    root.write("/bin", 0o755, &simple(3));
    let program = root.load("/bin", &[b"x"]).unwrap();
    root.run(&program);
    assert!(program.frame.registers.rip > 0x7ff0_0000_0000);
    assert!(program.memory.heap().start < 0x6000_0000_0000);
}

#[test]
fn scripts_start_their_interpreters() {
    let root = Root::new();
    root.write("/bin", 0o755, &simple(2));
    root.write("/script", 0o755, b"#!/bin -x y\n");
    root.write("/outer", 0o755, b"#!/script\n");
    let program = root.load("/outer", &[b"ignored", b"last"]).unwrap();
    root.run(&program);
    let info = program.memory.program().unwrap();
    let len = usize::try_from(info.arguments.end - info.arguments.start).unwrap();
    let strings = program.memory.read_vec(info.arguments.start, len).unwrap();
    assert_eq!(strings, b"/bin\0-x y\0/script\0/outer\0last\0");
    assert_eq!(program.name, b"command");
}

#[test]
fn what_cannot_be_started() {
    let root = Root::new();
    root.write("/plain", 0o644, &simple(2));
    root.write("/text", 0o755, b"hello");
    root.write("/empty", 0o755, b"");
    root.write("/lost", 0o755, b"#!/nowhere\n");
    root.write("/loop", 0o755, b"#!/loop\n");
    let name = Part { kind: INTERP, flags: 4, address: 0, content: b"/text\0".to_vec(), memory_len: 6 };
    root.write("/bad-ld", 0o755, &elf(3, 0, &[name, load_part(READ_EXECUTE, 0x1000, b"code", 4)]));
    let mut other = simple(2);
    other[18] = 40;
    root.write("/arm", 0o755, &other);
    let cases = [
        ("/plain", Errno::EACCES),
        ("/text", Errno::ENOEXEC),
        ("/empty", Errno::ENOEXEC),
        ("/lost", Errno::ENOENT),
        ("/loop", Errno::ELOOP),
        ("/bad-ld", Errno::ELIBBAD),
        ("/arm", Errno::ENOEXEC),
        ("/none", Errno::ENOENT),
        ("/", Errno::EACCES),
    ];
    for (name, errno) in cases {
        assert_eq!(root.load(name, &[]).map(drop), Err(errno), "{name}");
    }
    let long = alloc::vec![b'x'; STRING_BYTES_MAX];
    root.write("/bin", 0o755, &simple(2));
    assert_eq!(root.load("/bin", &[&long]).map(drop), Err(Errno::E2BIG));
    assert_eq!(root.load("/bin", &[&long[1..]; 16]).map(drop), Err(Errno::E2BIG));
    assert!(root.load("/bin", &[&long[1..]; 15]).is_ok());
}

#[test]
fn nothing_is_left_of_what_failed() {
    let root = Root::new();
    root.write("/bin", 0o755, &simple(2));
    let used = root.world.kernel.machine().pool().used_bytes();
    drop(root.load("/bin", &[b"x"]).unwrap());
    assert_eq!(root.world.kernel.machine().pool().used_bytes(), used);
}

#[test]
fn a_programs_file_can_be_written_when_the_last_one_that_runs_it_ends() {
    let root = Root::new();
    root.write("/bin", 0o755, &simple(2));
    let program = root.load("/bin", &[b"bin"]).unwrap();
    let (_task, thread) = root.world.spawn(program.memory);
    let pid = thread.trap(FORK, &[]).unwrap();
    let pid = i32::try_from(pid).ok().and_then(Pid::new).unwrap();
    let copy = root.world.task.process().pids().task(pid).unwrap();
    let copy = FakeThread::of(&copy.thread().unwrap());
    let end = |thread: &FakeThread| {
        thread.raise(Event::Call { number: EXIT_GROUP, arguments: [0; 6], form: Form::Direct });
    };
    let written = || root.open("/bin", OpenFlags::READ_WRITE, 0).map(drop);
    assert_eq!(written(), Err(Errno::ETXTBSY));
    end(&thread);
    assert_eq!(written(), Err(Errno::ETXTBSY));
    end(&copy);
    assert_eq!(written(), Ok(()));
}
