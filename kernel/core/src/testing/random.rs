//! Programs that make any calls with any arguments: bytes say which. Whatever they do, the kernel must go on.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{FakeThread, PAGE, World};
use crate::Errno;
use crate::platform::{Backing, Event, Fault, Form, HostCall, Interruption, LayoutError, Protection, Reply};
use crate::signal::{Signal, SignalInfo};
use crate::syscall::{TABLE, trapped_calls};
use crate::task::Dump;

/// Where each program has memory.
const ARENA: u64 = 0x60_0000;
const ARENA_BYTES: u64 = 16 * PAGE;
/// More than this the fake host refuses to map at once.
const MAP_BYTES_MAX: u64 = 1 << 20;
const POOL_BYTES_MAX: u64 = 16 << 20;
const TASKS_MAX: usize = 12;
const NAMES: [&[u8]; 12] =
    [b"/a", b"/b", b"/a/b", b"/", b"..", b"a", b"", b"user.x", b"tmpfs", b"proc", b"/dev/shm", b"/proc/self/mem"];

/// Bytes, one after the other; zeros behind the last.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(core::array::from_fn(|_| self.byte()))
    }

    fn below(&mut self, end: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % end
    }

    /// What programs pass, and what they should not.
    fn argument(&mut self) -> u64 {
        let small = |input: &mut Self| u64::from(input.byte());
        match self.byte() % 13 {
            0 => 0,
            1 => small(self) % 8,
            2 => small(self),
            3 => 1 << (small(self) % 64),
            4 => small(self).wrapping_neg(),
            5 => self.number(),
            6 => small(self) * 256 + small(self),
            7 => PAGE * small(self),
            8 => (1 << 63) - small(self),
            9 => ARENA + 64 * (small(self) % 12),
            10 => (PAGE * small(self)).wrapping_neg(),
            _ => ARENA + PAGE + 8 * (small(self) * 32 + small(self) / 8),
        }
    }
}

/// A thread, and whether it waits in a call.
struct Running {
    thread: Arc<FakeThread>,
    waits: bool,
}

struct Run<'a, 'b> {
    world: World,
    input: &'a mut Input<'b>,
    trapped: Vec<u32>,
    threads: Vec<Running>,
    calls: usize,
}

/// Runs programs as these bytes say, one world after the other; how many calls were made.
pub fn run(bytes: &[u8]) -> usize {
    let mut input = Input(bytes);
    let mut calls = 0;
    while !input.0.is_empty() {
        let world = World::new();
        let kernel = Arc::downgrade(&world.kernel);
        calls += run_world(world, &mut input);
        assert!(kernel.upgrade().is_none(), "a world whose programs are over is still held by itself");
    }
    calls
}

/// Until all programs are over, or wait for ever.
fn run_world(world: World, input: &mut Input<'_>) -> usize {
    world.machine.limit_pool(POOL_BYTES_MAX);
    world.kernel.limits().set_tasks_max(TASKS_MAX);
    let protection = Protection::READ | Protection::WRITE;
    let map = HostCall::Map { address: ARENA, len: ARENA_BYTES, protection, backing: Backing::Anonymous };
    world.thread.space().apply(&map).expect("nothing is mapped");
    for (at, name) in (0..).zip(NAMES) {
        world.task.memory().write_bytes(ARENA + 64 * at, name).expect("its memory");
    }
    let threads = alloc::vec![Running { thread: world.thread.clone(), waits: false }];
    let mut run = Run { world, input, trapped: trapped_calls(), threads, calls: 0 };
    let mut idle = 0;
    while !run.input.0.is_empty() && !run.threads.is_empty() && idle < 20 {
        run.step();
        idle = if run.threads.iter().all(|running| running.waits) { idle + 1 } else { 0 };
    }
    run.end();
    run.calls
}

/// Calls that end programs; they are made less often than others.
const DEADLY: [&str; 8] =
    ["exit", "exit_group", "kill", "tkill", "tgkill", "rt_sigreturn", "rt_sigqueueinfo", "rt_tgsigqueueinfo"];

impl Run<'_, '_> {
    fn step(&mut self) {
        let at = self.input.below(self.threads.len());
        let thread = self.threads[at].thread.clone();
        let waits = self.threads[at].waits;
        match self.input.byte() % 64 {
            0 => self.pass_time(),
            1 if waits || self.input.byte() < 16 => self.signal(),
            2 if !waits && self.input.byte() < 16 => {
                let (signal, address) = (7 + i32::from(self.input.byte() % 5), self.input.argument());
                thread.raise(Event::Fault(Fault { signal, code: 1, address, error_code: 6, trap_number: 14 }));
            }
            3 => self.scribble(&thread),
            4 => thread.space().fail_next(Errno::ENOMEM),
            _ if !waits => self.call(&thread),
            _ => {}
        }
        self.world.kernel.run_woken();
        self.settle();
        self.find_new();
    }

    /// Ends all programs: each and its thread hold each other as long as they live.
    fn end(&mut self) {
        for process in self.world.kernel.processes() {
            process.end_by(Signal::KILL, Dump::None);
        }
        self.world.kernel.run_woken();
        self.settle();
    }

    fn pass_time(&mut self) {
        self.world.machine.advance(Duration::from_millis(u64::from(self.input.byte()) * 50));
        self.world.kernel.timer_expired();
    }

    fn signal(&mut self) {
        let processes = self.world.kernel.processes();
        let signal = Signal::new(i32::from(self.input.byte() % 64) + 1).expect("a signal");
        if let Some(process) = processes.get(self.input.below(processes.len().max(1))) {
            process.send_signal(SignalInfo::kernel(signal));
        }
    }

    /// Puts words into the program's memory: descriptors, sizes, pointers.
    fn scribble(&mut self, thread: &FakeThread) {
        use crate::platform::Space as _;
        let at = ARENA + PAGE + 8 * self.input.below(7000) as u64;
        for word in 0..u64::from(self.input.byte() % 8) {
            let _copied = thread.space().write(at + 8 * word, &self.input.argument().to_le_bytes());
        }
    }

    fn call(&mut self, thread: &FakeThread) {
        let entry = &TABLE[self.input.below(TABLE.len())];
        if DEADLY.contains(&entry.name) && self.input.byte() > 16 {
            return;
        }
        let number = entry.number;
        self.calls += 1;
        let mut arguments: [u64; 6] = core::array::from_fn(|_| self.input.argument());
        if self.input.byte().is_multiple_of(4) {
            arguments[0] = self.mapped().unwrap_or(arguments[0]);
        }
        let form = if self.trapped.contains(&number) { Form::Trapped } else { Form::Direct };
        thread.raise(Event::Call { number, arguments, form });
    }

    /// Where something that a program mapped begins.
    fn mapped(&mut self) -> Option<u64> {
        let lines = self.world.task.memory().map_lines();
        lines.get(self.input.below(lines.len().max(1))).map(|line| line.range.start)
    }

    /// Does what the replies say, until every thread runs or waits.
    fn settle(&mut self) {
        for running in &mut self.threads {
            running.waits = true;
            while let Some(reply) = running.thread.take_reply() {
                running.waits = !follow(&running.thread, reply);
            }
        }
        self.world.kernel.run_woken();
    }

    /// Threads that are over leave, those that calls made come.
    fn find_new(&mut self) {
        let tasks: Vec<_> = self.world.kernel.processes().iter().flat_map(|process| process.tasks()).collect();
        let live: Vec<_> =
            tasks.iter().filter_map(|task| task.thread()).map(|thread| FakeThread::of(&thread)).collect();
        self.threads.retain(|running| live.iter().any(|thread| Arc::ptr_eq(thread, &running.thread)));
        for thread in live.into_iter().filter(|thread| thread.is_started()) {
            if !self.threads.iter().any(|running| Arc::ptr_eq(&running.thread, &thread)) {
                self.threads.push(Running { thread, waits: false });
            }
        }
    }
}

/// Says whether the thread runs then.
fn follow(thread: &Arc<FakeThread>, reply: Reply) -> bool {
    match reply {
        Reply::Value(_) | Reply::Native | Reply::Resume | Reply::Restart => {
            if thread.take_interrupted() {
                thread.raise(Event::Interrupted(Interruption::Running));
                return false;
            }
            true
        }
        Reply::Layout { calls, .. } | Reply::LayoutThenResume { calls } => match apply(thread, &calls) {
            Ok(()) => true,
            Err(error) => {
                thread.raise(Event::LayoutDone(Err(error)));
                false
            }
        },
        Reply::LayoutThenEvent { calls } => {
            thread.raise(Event::LayoutDone(apply(thread, &calls)));
            false
        }
        Reply::Exit => false,
    }
}

fn apply(thread: &FakeThread, calls: &[HostCall]) -> Result<(), LayoutError> {
    for (index, call) in calls.iter().enumerate() {
        let (from, len) = match *call {
            HostCall::Map { len, .. } | HostCall::Protect { len, .. } => (None, len),
            HostCall::Remap { from, to_len, .. } => (Some(from), to_len),
            _ => (None, 0),
        };
        let there = from.is_none_or(|from| thread.space().protection(from).is_some());
        let done = if len > MAP_BYTES_MAX || !there { Err(Errno::ENOMEM) } else { thread.space().apply(call) };
        done.map_err(|errno| LayoutError { index, errno })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few seconds' worth; `cargo xtask fuzz` goes on for longer, and looks for new ways.
    #[test]
    fn random_programs_leave_a_kernel_that_works() {
        let mut calls = 0;
        for seed in 1..=20_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let bytes: Vec<u8> = core::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_be_bytes()[0]
            })
            .take(20_000)
            .collect();
            calls += run(&bytes);
        }
        assert!(calls > 5000, "only {calls} calls were made");
    }
}
