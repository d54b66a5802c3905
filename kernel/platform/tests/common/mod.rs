//! A kernel of a few lines, and programs without a library to run on it.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod program;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use stockade_kernel::platform::{
    Backing, Begin, Event, Form, Frame, HostCall, Machine, Protection, Registers, Reply, Space, ThreadEvents,
    UserThread,
};
use stockade_kernel_platform::{HostMachine, Options, TrapPath};

pub use program::Program;

pub const CLONE: u32 = 56;
pub const FORK: u32 = 57;
pub const EXIT: u32 = 60;
pub const EXIT_GROUP: u32 = 231;
pub const MMAP: u32 = 9;
pub const GETPPID: u32 = 110;
/// What the test kernel says to getppid(2).
pub const PARENT: i64 = 77;
/// Tests' own calls begin here.
pub const OWN: u32 = 1000;
/// A call that a hook answers, now or later.
pub const HOOKS: u32 = 1900;

/// What a copy finds.
pub const FILLED: [u8; 4] = 4711_u32.to_le_bytes();
const STACK_TOP: u64 = 0x7000_0000;
const STACK_BYTES: u64 = 0x10_0000;
const FIRST_MAP: u64 = 0x1000_0000;
const PATIENCE: Duration = Duration::from_secs(20);

/// What the test does with an event before the kernel of a few lines sees it.
pub type Hook = Box<dyn Fn(&Arc<Task>, &Event) -> Option<Reply> + Send + Sync>;

/// The kernel.
pub struct Kernel {
    pub machine: Arc<HostMachine>,
    hook: Hook,
    output: Mutex<String>,
    ended: Mutex<HashMap<u64, Ending>>,
    changed: Condvar,
    next_task: AtomicU64,
    next_map: AtomicU64,
    pub tasks: Mutex<Vec<Arc<Task>>>,
    /// Nothing is forked any more.
    over: AtomicBool,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By exit_group(2).
    Code(u64),
    /// By exit(2).
    Thread,
    /// By an exception.
    Fault { signal: i32, code: i32, address: u64 },
    /// The platform said so.
    Gone,
}

/// A thread.
pub struct Task {
    pub kernel: Arc<Kernel>,
    pub space: Arc<dyn Space>,
    pub id: u64,
    thread: Mutex<Option<Arc<dyn UserThread>>>,
    load: Mutex<Option<Program>>,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "task {}", self.id)
    }
}

/// Numbers that need a frame.
pub fn trapped_calls() -> Vec<u32> {
    vec![15, MMAP, 12, 25, 29, 30, 31, CLONE, FORK, 58, 59, 130, 218, 322, 435]
}

impl Kernel {
    pub fn start() -> Arc<Self> {
        Self::with_hook(Box::new(|_, _| None))
    }

    pub fn with_hook(hook: Hook) -> Arc<Self> {
        Self::with_path(TrapPath::of_host().expect("the host has a path"), hook)
    }

    pub fn with_path(path: TrapPath, hook: Hook) -> Arc<Self> {
        let options = Options {
            pool_bytes_max: 64 << 20,
            trapped_calls: trapped_calls(),
            absent_calls: Vec::new(),
            groups: Arc::default(),
        };
        let machine = HostMachine::start_on(&options, path).expect("start a machine");
        Self::on(machine, hook)
    }

    pub fn on(machine: Arc<HostMachine>, hook: Hook) -> Arc<Self> {
        Arc::new(Self {
            machine,
            hook,
            output: Mutex::default(),
            ended: Mutex::default(),
            changed: Condvar::new(),
            next_task: AtomicU64::new(1),
            next_map: AtomicU64::new(FIRST_MAP),
            tasks: Mutex::default(),
            over: AtomicBool::new(false),
        })
    }

    /// Starts a program in a space of its own.
    pub fn spawn(self: &Arc<Self>, program: &Program) -> Arc<Task> {
        let space = self.machine.create_space().expect("a space");
        let task = self.new_task(space.clone());
        *task.load.lock().unwrap() = Some(program.clone());
        let registers = Registers { rip: program.entry, rsp: STACK_TOP - 64, eflags: 0x202, ..Registers::default() };
        let frame = Frame { registers, fp_state: Vec::new() };
        let thread = space.spawn(&frame, setup(program), task.clone()).expect("a thread");
        task.begin(thread);
        task
    }

    /// Runs a program to its end.
    pub fn run(self: &Arc<Self>, source: &str) -> (Ending, String) {
        let task = self.spawn(&Program::build(source));
        let ending = self.wait(&task);
        (ending, self.output())
    }

    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    pub fn new_task(self: &Arc<Self>, space: Arc<dyn Space>) -> Arc<Task> {
        let id = self.next_task.fetch_add(1, Ordering::Relaxed);
        let task = Arc::new(Task { kernel: self.clone(), space, id, thread: Mutex::new(None), load: Mutex::new(None) });
        self.tasks.lock().unwrap().push(task.clone());
        task
    }

    pub fn end(&self, task: &Task, ending: Ending) {
        self.ended.lock().unwrap().entry(task.id).or_insert(ending);
        self.changed.notify_all();
        *task.thread.lock().unwrap() = None;
    }

    /// Forgets all tasks, which hold each other and the machine.
    pub fn let_go(&self) {
        self.over.store(true, Ordering::Relaxed);
        for task in self.tasks.lock().unwrap().drain(..) {
            *task.thread.lock().unwrap() = None;
        }
    }

    pub fn task(&self, id: u64) -> Arc<Task> {
        let tasks = self.tasks.lock().unwrap();
        tasks.iter().find(|task| task.id == id).cloned().expect("there is one")
    }

    pub fn wait(&self, task: &Task) -> Ending {
        self.wait_id(task.id)
    }

    pub fn wait_id(&self, id: u64) -> Ending {
        let ended = self.ended.lock().unwrap();
        let (ended, timeout) =
            self.changed.wait_timeout_while(ended, PATIENCE, |ended| !ended.contains_key(&id)).unwrap();
        assert!(!timeout.timed_out(), "task {id} did not end; output so far: {:?}", self.output());
        ended[&id]
    }

    pub fn pick_address(&self, len: u64) -> u64 {
        self.next_map.fetch_add((len + 0xfff) & !0xfff, Ordering::Relaxed)
    }
}

fn setup(program: &Program) -> Vec<HostCall> {
    let protection = Protection::READ | Protection::WRITE | Protection::EXEC;
    let map = |address, len| HostCall::Map { address, len, protection, backing: Backing::Anonymous };
    vec![map(program.start, program.len), map(STACK_TOP - STACK_BYTES, STACK_BYTES)]
}

impl Task {
    pub fn begin(&self, thread: Arc<dyn UserThread>) {
        *self.thread.lock().unwrap() = Some(thread.clone());
        thread.start();
    }

    pub fn thread(&self) -> Arc<dyn UserThread> {
        self.thread.lock().unwrap().clone().expect("the task is alive")
    }

    pub fn try_thread(&self) -> Option<Arc<dyn UserThread>> {
        self.thread.lock().unwrap().clone()
    }

    /// Interrupts it in a moment.
    pub fn interrupt_soon(&self) {
        let thread = self.thread();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            thread.interrupt();
        });
    }

    /// Lets the call that was interrupted fail with EINTR.
    pub fn fail_with_eintr(&self) {
        self.change(|registers| {
            registers.rax = (-4_i64).cast_unsigned();
            registers.rip += 2;
        });
    }

    /// Changes the registers that the task goes on with.
    pub fn change(&self, change: impl FnOnce(&mut Registers)) {
        let mut frame = self.thread().frame().expect("a frame");
        change(&mut frame.registers);
        self.thread().set_frame(&frame).expect("the frame is good");
    }

    fn serve(self: &Arc<Self>, number: u32, arguments: [u64; 6], form: Form) -> Option<Reply> {
        let [a, b, c, ..] = arguments;
        Some(match (number, form) {
            (1, _) => self.write(b, c),
            (10 | 11 | 28 | 202, Form::Direct) => Reply::Native,
            (MMAP, Form::Trapped) => self.map(arguments),
            (CLONE, Form::Trapped) => self.clone_thread(b, arguments[3]),
            (FORK, Form::Trapped) => self.fork(a, b),
            (GETPPID, _) => Reply::Value(PARENT),
            (EXIT, _) => {
                let thread = self.thread();
                self.kernel.end(self, Ending::Thread);
                thread.reply(Reply::Exit);
                return None;
            }
            (EXIT_GROUP, _) => {
                self.space.kill();
                self.kernel.end(self, Ending::Code(a));
                return None;
            }
            (HOOKS, _) => return None,
            _ => Reply::Value(-38),
        })
    }

    fn write(&self, address: u64, len: u64) -> Reply {
        let mut bytes = vec![0; usize::try_from(len).unwrap().min(65536)];
        let got = self.space.read(address, &mut bytes);
        self.kernel.output.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..got]));
        Reply::Value(i64::try_from(got).unwrap())
    }

    fn map(&self, [address, len, protection, ..]: [u64; 6]) -> Reply {
        let len = (len + 0xfff) & !0xfff;
        let address = if address == 0 { self.kernel.pick_address(len) } else { address };
        let protection = Protection::from_bits_truncate(u32::try_from(protection).unwrap());
        let call = HostCall::Map { address, len, protection, backing: Backing::Anonymous };
        Reply::Layout { calls: vec![call], value: address.cast_signed() }
    }

    /// The new thread goes on behind the call, on its own stack, with 0.
    fn clone_thread(self: &Arc<Self>, stack: u64, clear: u64) -> Reply {
        let mut frame = self.thread().frame().expect("a frame");
        (frame.registers.rsp, frame.registers.rax) = (stack, 0);
        let task = self.kernel.new_task(self.space.clone());
        let setup = if clear == 0 { Vec::new() } else { vec![HostCall::SetTidAddress { address: clear }] };
        let thread = self.space.spawn(&frame, setup, task.clone()).expect("a thread");
        let id = task.id;
        task.begin(thread);
        Reply::Value(id.cast_signed())
    }

    /// The copy finds [`FILLED`] at an address, and waits before it begins, if that is asked for.
    fn fork(self: &Arc<Self>, word: u64, waits: u64) -> Reply {
        if self.kernel.over.load(Ordering::Relaxed) {
            return Reply::Value(-11);
        }
        let mut frame = self.thread().frame().expect("a frame");
        frame.registers.rax = 0;
        // The events' task needs the space, which fork makes: a stand-in takes events only after `begin`.
        let child = Arc::new(Late::default());
        let fill = |address| HostCall::Fill { address, bytes: FILLED.to_vec() };
        let setup = if word == 0 { Vec::new() } else { vec![fill(word)] };
        let begin = if waits == 0 { Begin::AtOnce } else { Begin::WhenStarted };
        let forked = self.space.fork(&frame, setup, begin, child.clone()).expect("a copy");
        let task = self.kernel.new_task(forked.space);
        let id = task.id;
        *child.0.lock().unwrap() = Some(task.clone());
        task.begin(forked.thread);
        Reply::Value(id.cast_signed())
    }

    fn load(&self) -> Option<Reply> {
        let program = self.load.lock().unwrap().take();
        let Some(program) = program else { return Some(Reply::Resume) };
        for (address, bytes) in &program.segments {
            assert_eq!(self.space.write(*address, bytes), bytes.len());
        }
        Some(Reply::Resume)
    }
}

/// Events for a task that is not there yet.
#[derive(Debug, Default)]
struct Late(Mutex<Option<Arc<Task>>>);

impl ThreadEvents for Late {
    fn event(self: Arc<Self>, event: Event) {
        let task = self.0.lock().unwrap().clone().expect("started after the task was there");
        task.event(event);
    }
}

impl ThreadEvents for Task {
    fn event(self: Arc<Self>, event: Event) {
        let Some(thread) = self.try_thread() else { return };
        let reply = (self.kernel.hook)(&self, &event).or_else(|| match event {
            Event::Call { number, arguments, form } => self.serve(number, arguments, form),
            Event::Fault(fault) => {
                let (signal, code, address) = (fault.signal, fault.code, fault.address);
                self.space.kill();
                self.kernel.end(&self, Ending::Fault { signal, code, address });
                None
            }
            Event::Interrupted(_) => Some(Reply::Resume),
            Event::LayoutDone(result) => {
                result.expect("the host does what is asked");
                self.load()
            }
            Event::Gone => {
                self.kernel.end(&self, Ending::Gone);
                None
            }
        });
        if let Some(reply) = reply {
            thread.reply(reply);
        }
    }
}
