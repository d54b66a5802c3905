//! Processes and signals on the fake machine, by system calls.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::Errno;
use crate::abi::Abi;
use crate::platform::{Backing, Event, Fault, Form, HostCall, Interruption, Protection, Reply, UserThread as _};
use crate::signal::{Action, ActionFlags, Signal, SignalSet};
use crate::task::{Dump, ExitStatus, Pid, Task};
use crate::testing::{FakeThread, World};

const SIGACTION: u32 = 13;
const SIGPROCMASK: u32 = 14;
const SIGRETURN: u32 = 15;
const PAUSE: u32 = 34;
const NANOSLEEP: u32 = 35;
const GETPID: u32 = 39;
const FORK: u32 = 57;
const VFORK: u32 = 58;
const CLONE: u32 = 56;
const EXIT: u32 = 60;
const WAIT4: u32 = 61;
const KILL: u32 = 62;
const SETPGID: u32 = 109;
const GETPPID: u32 = 110;
const SETSID: u32 = 112;
const SIGTIMEDWAIT: u32 = 128;
const EXIT_GROUP: u32 = 231;

/// A page of memory for arguments.
const PAGE: u64 = 0x10_0000;
/// The top of the stack.
const STACK: u64 = 0x20_0000;

fn world() -> World {
    let world = World::new();
    let map = |address, len| {
        let protection = Protection::READ | Protection::WRITE;
        world.thread.space().apply(&HostCall::Map { address, len, protection, backing: Backing::Anonymous })
    };
    map(PAGE, 0x1000).expect("room for arguments");
    map(STACK - 0x4000, 0x4000).expect("room for a stack");
    let mut frame = world.thread.frame().expect("a frame");
    frame.registers.rsp = STACK;
    frame.registers.rip = 0x40_0000;
    world.thread.set_frame(&frame).expect("a frame");
    world
}

#[test]
fn nothing_begins_where_the_machine_has_no_room() {
    let world = world();
    world.kernel.limits().set_tasks_max(1);
    assert_eq!(world.thread.trap(FORK, &[]), Err(Errno::EAGAIN));
    world.kernel.limits().set_tasks_max(2);
    assert!(world.thread.trap(FORK, &[]).is_ok());
}

fn thread_of(task: &Arc<Task>) -> Arc<FakeThread> {
    FakeThread::of(&task.thread().expect("a live task"))
}

/// The process that a call made.
fn child(world: &World, pid: u64) -> (Arc<Task>, Arc<FakeThread>) {
    let pid = i32::try_from(pid).ok().and_then(Pid::new).expect("a pid");
    let task = world.task.process().pids().task(pid).expect("the child lives");
    let thread = thread_of(&task);
    (task, thread)
}

fn fork(world: &World) -> (Arc<Task>, Arc<FakeThread>, u64) {
    let pid = world.thread.trap(FORK, &[]).expect("fork");
    let (task, thread) = child(world, pid);
    (task, thread, pid)
}

/// Told to end, or ended with its space.
fn ended(thread: &FakeThread) -> bool {
    matches!(thread.take_reply(), Some(Reply::Exit)) || thread.space().is_dead()
}

fn status(world: &World) -> i32 {
    world.task.memory().read_struct(PAGE).expect("the status")
}

fn set_action(world: &World, thread: &FakeThread, signal: Signal, flags: ActionFlags) {
    let flags = flags | ActionFlags::RESTORER;
    let action = Action { handler: 0x50_0000, flags, restorer: 0x51_0000, mask: SignalSet::EMPTY };
    world.task.memory().write_struct(PAGE, &action).expect("an action");
    let number = u64::from(signal.raw().unsigned_abs());
    assert_eq!(thread.call(SIGACTION, &[number, PAGE, 0, 8]), Ok(0));
}

/// Raises the interruption that was asked for, and says where the application goes on.
fn interrupted(thread: &FakeThread) -> u64 {
    assert!(thread.is_interrupted(), "nobody interrupted the thread");
    thread.raise(Event::Interrupted(Interruption::Running));
    thread.resumed();
    thread.frame().expect("a frame").registers.rip
}

#[test]
fn a_child_ends_and_is_waited_for() {
    let world = world();
    let (task, thread, pid) = fork(&world);
    assert_eq!(thread.frame().expect("a frame").registers.rax, 0);
    assert_eq!(thread.call(GETPPID, &[]), Ok(1));
    assert!(world.thread.try_call(WAIT4, &[u64::MAX, PAGE, 0, 0], Form::Direct).is_none());
    thread.raise(Event::Call { number: EXIT_GROUP, arguments: [7, 0, 0, 0, 0, 0], form: Form::Direct });
    assert!(ended(&thread));
    assert!(task.thread().is_none());
    assert_eq!(world.thread.returned(), Some(Ok(pid)));
    assert_eq!(status(&world), 7 << 8);
    assert_eq!(world.thread.call(WAIT4, &[u64::MAX, PAGE, 0, 0]), Err(Errno::ECHILD));
}

#[test]
fn a_child_that_computes_is_killed_at_once() {
    let world = world();
    let (task, _, pid) = fork(&world);
    assert_eq!(world.thread.call(KILL, &[pid, 9]), Ok(0));
    assert!(task.thread().is_none());
    assert_eq!(world.thread.call(WAIT4, &[pid, PAGE, 0, 0]), Ok(pid));
    assert_eq!(status(&world), 9);
    // A call of its may be under way still.
    assert!(task.session().terminal().is_none());
}

#[test]
fn a_thread_does_not_outlive_exit_group() {
    let world = world();
    // CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD
    let tid = world.thread.trap(CLONE, &[0x1_0f00, STACK, 0, 0, 0]).expect("clone");
    let (task, thread) = child(&world, tid);
    assert_eq!(thread.call(GETPID, &[]), Ok(1));
    assert_eq!(thread.frame().expect("a frame").registers.rsp, STACK);
    assert!(thread.try_call(PAUSE, &[], Form::Direct).is_none());
    world.thread.raise(Event::Call { number: EXIT_GROUP, arguments: [3, 0, 0, 0, 0, 0], form: Form::Direct });
    assert!(ended(&world.thread));
    assert!(task.thread().is_none());
    assert!(world.thread.space().is_dead());
    assert_eq!(world.task.process().task_count(), 0);
}

#[test]
fn a_copy_finds_its_id_in_every_word_that_it_can_write() {
    const MMAP: u32 = 9;
    const MPROTECT: u32 = 10;
    const READ_WRITE: u64 = 3;
    let world = world();
    let map =
        |sharing: u64| world.thread.trap(MMAP, &[0, 0x2000, READ_WRITE, sharing | 0x20, u64::MAX, 0]).expect("memory");
    let (shared, two) = (map(1), map(2));
    assert_eq!(world.thread.trap(MPROTECT, &[two + 0x1000, 0x1000, 7]), Ok(0));
    for address in [two + 8, two + 0x0ffe, shared + 8] {
        // CLONE_CHILD_SETTID and SIGCHLD
        let pid = world.thread.trap(CLONE, &[0x100_0011, 0, 0, address, 0]).expect("clone");
        let (task, _) = child(&world, pid);
        assert_eq!(task.memory().read_struct::<i32>(address).map(i64::from), Ok(pid.cast_signed()), "{address:x}");
    }
    assert_eq!(world.task.memory().read_struct::<i32>(two + 0x0ffe), Ok(0));
}

#[test]
fn vfork_waits_for_the_end_of_its_child() {
    let world = world();
    assert!(world.thread.try_call(VFORK, &[], Form::Trapped).is_none());
    let (_, thread) = child(&world, 2);
    assert!(Arc::ptr_eq(world.thread.space(), thread.space()));
    // No signal but a fatal one ends the wait.
    set_action(&world, &thread, Signal::USR1, ActionFlags::empty());
    assert_eq!(thread.call(KILL, &[1, 10]), Ok(0));
    assert_eq!(world.thread.returned(), None);
    thread.raise(Event::Call { number: EXIT, arguments: [0; 6], form: Form::Direct });
    assert_eq!(world.thread.returned(), Some(Ok(2)));
}

#[test]
fn orphans_go_to_init_and_its_end_is_the_end_of_all() {
    let world = world();
    let (_, middle, _) = fork(&world);
    let grandchild = middle.trap(FORK, &[]).expect("fork");
    let (task, thread) = child(&world, grandchild);
    middle.raise(Event::Call { number: EXIT_GROUP, arguments: [0; 6], form: Form::Direct });
    assert_eq!(thread.call(GETPPID, &[]), Ok(1));
    world.thread.raise(Event::Call { number: EXIT_GROUP, arguments: [0; 6], form: Form::Direct });
    assert!(task.thread().is_none());
    assert!(task.process().has_ended());
}

#[test]
fn a_handler_interrupts_a_call_and_returns() {
    let world = world();
    set_action(&world, &world.thread, Signal::USR1, ActionFlags::SIGINFO);
    let before = world.thread.frame().expect("a frame");
    let (_, other, _) = fork(&world);
    assert!(world.thread.try_call(PAUSE, &[], Form::Direct).is_none());
    assert_eq!(other.call(KILL, &[1, 10]), Ok(0));
    assert!(matches!(world.thread.take_reply(), Some(Reply::Restart)));
    assert_eq!(interrupted(&world.thread), 0x50_0000);
    let frame = world.thread.frame().expect("a frame");
    assert_eq!((frame.registers.rdi, frame.registers.rsp % 16), (10, 8));
    let memory = world.task.memory();
    assert_eq!(memory.read_struct::<u64>(frame.registers.rsp), Ok(0x51_0000));
    // siginfo: signal, and who sent it.
    assert_eq!(memory.read_struct::<[i32; 5]>(frame.registers.rsi), Ok([10, 0, 0, 0, 2]));
    assert_eq!(world.task.signals.blocked(), SignalSet::of(&[Signal::USR1]));
    leave_handler(&world.thread);
    let after = world.thread.frame().expect("a frame").registers;
    assert_eq!(after.rsp, before.registers.rsp);
    assert_eq!((after.rax.cast_signed(), after.rip), (-4, before.registers.rip + 2));
    assert!(world.task.signals.blocked().is_empty());
}

#[test]
fn a_handler_returns_into_the_vdso_but_not_behind_all_addresses() {
    let world = world();
    set_action(&world, &world.thread, Signal::USR1, ActionFlags::empty());
    let (_, other, _) = fork(&world);
    for rip in [0x7fff_8000_0100, 1 << 63] {
        assert!(world.thread.try_call(PAUSE, &[], Form::Direct).is_none());
        assert_eq!(other.call(KILL, &[1, 10]), Ok(0));
        assert!(matches!(world.thread.take_reply(), Some(Reply::Restart)));
        interrupted(&world.thread);
        // uc_mcontext.rip
        let at = world.thread.frame().expect("a frame").registers.rsp + 8 + 168;
        world.task.memory().write_struct::<u64>(at, &rip).expect("write to the frame");
        return_from_handler(&world.thread);
        match rip >> 63 {
            0 => world.thread.resumed(),
            _ => assert!(ended(&world.thread)),
        }
    }
}

/// The handler's `ret` takes the restorer's address from the stack, and that calls sigreturn.
fn return_from_handler(thread: &FakeThread) {
    let mut frame = thread.frame().expect("a frame");
    frame.registers.rsp += 8;
    thread.set_frame(&frame).expect("a frame");
    thread.raise(Event::Call { number: SIGRETURN, arguments: [0; 6], form: Form::Trapped });
}

fn leave_handler(thread: &FakeThread) {
    return_from_handler(thread);
    thread.resumed();
}

#[test]
fn a_call_comes_again_after_a_handler_with_sa_restart() {
    let world = world();
    set_action(&world, &world.thread, Signal::USR1, ActionFlags::RESTART);
    let (_, other, _) = fork(&world);
    let rip = world.thread.frame().expect("a frame").registers.rip;
    assert!(world.thread.try_call(WAIT4, &[u64::MAX, 0, 0, 0], Form::Direct).is_none());
    assert_eq!(other.call(KILL, &[1, 10]), Ok(0));
    assert!(matches!(world.thread.take_reply(), Some(Reply::Restart)));
    assert_eq!(interrupted(&world.thread), 0x50_0000);
    leave_handler(&world.thread);
    assert_eq!(world.thread.frame().expect("a frame").registers.rip, rip);
}

#[test]
fn a_fault_without_a_handler_ends_the_process() {
    let world = world();
    let (task, thread, pid) = fork(&world);
    thread.raise(Event::Fault(Fault { signal: 4, code: 2, address: 0x40_0000, error_code: 0, trap_number: 6 }));
    assert!(ended(&thread));
    assert_eq!(task.process().exit_status(), Some(ExitStatus::Killed(Signal::ILL, Dump::None)));
    assert_eq!(world.thread.call(WAIT4, &[pid, PAGE, 0, 0]), Ok(pid));
    assert_eq!(status(&world), 4);
}

#[test]
fn a_stopped_child_is_reported_and_goes_on() {
    let world = world();
    let (task, thread, pid) = fork(&world);
    assert!(thread.try_call(PAUSE, &[], Form::Direct).is_none());
    assert_eq!(world.thread.call(KILL, &[pid, 19]), Ok(0));
    assert_eq!(task.state_letter(), 'T');
    let untraced = 2;
    assert_eq!(world.thread.call(WAIT4, &[pid, PAGE, untraced, 0]), Ok(pid));
    assert_eq!(status(&world), 0x137f);
    let no_hang = 1;
    assert_eq!(world.thread.call(WAIT4, &[pid, PAGE, untraced | no_hang, 0]), Ok(0));
    assert_eq!(world.thread.call(KILL, &[pid, 18]), Ok(0));
    assert_eq!(task.state_letter(), 'S');
    let continued = 8;
    assert_eq!(world.thread.call(WAIT4, &[pid, PAGE, continued, 0]), Ok(pid));
    assert_eq!(status(&world), 0xffff);
    assert_eq!(thread.returned(), None);
}

#[test]
fn sleep_goes_on_after_a_stop_and_ends_in_time() {
    let world = world();
    let (_, thread, pid) = fork(&world);
    world.task.memory().write_struct(PAGE, &[2_u64, 0]).expect("a time");
    let memory: Vec<u8> = [2_u64, 0].iter().flat_map(Abi::to_bytes).collect();
    assert_eq!(crate::platform::Space::write(&**thread.space(), PAGE, &memory), 16);
    assert!(thread.try_call(NANOSLEEP, &[PAGE, 0], Form::Direct).is_none());
    world.machine.advance(core::time::Duration::from_secs(1));
    assert_eq!(world.thread.call(KILL, &[pid, 19]), Ok(0));
    assert_eq!(world.thread.call(KILL, &[pid, 18]), Ok(0));
    assert_eq!(thread.returned(), None);
    world.machine.advance(core::time::Duration::from_secs(1));
    world.kernel.timer_expired();
    assert_eq!(thread.returned(), Some(Ok(0)));
}

#[test]
fn a_blocked_signal_waits_to_be_taken() {
    let world = world();
    let memory = world.task.memory();
    memory.write_struct(PAGE, &SignalSet::of(&[Signal::USR2]).bits()).expect("a set");
    assert_eq!(world.thread.call(SIGPROCMASK, &[0, PAGE, 0, 8]), Ok(0));
    let (_, other, _) = fork(&world);
    assert!(world.thread.try_call(SIGTIMEDWAIT, &[PAGE, PAGE + 64, 0, 8], Form::Direct).is_none());
    assert_eq!(other.call(KILL, &[1, 12]), Ok(0));
    assert_eq!(world.thread.returned(), Some(Ok(12)));
    assert_eq!(memory.read_struct::<[i32; 5]>(PAGE + 64), Ok([12, 0, 0, 0, 2]));
}

#[test]
fn init_ignores_what_its_children_send_unless_it_handles_it() {
    let world = world();
    let (_, other, _) = fork(&world);
    for signal in [9, 15, 19] {
        assert_eq!(other.call(KILL, &[1, signal]), Ok(0));
    }
    assert_eq!(world.thread.call(GETPID, &[]), Ok(1));
    assert!(!world.thread.is_interrupted());
}

#[test]
fn groups_and_sessions_follow_their_rules() {
    let world = world();
    assert_eq!(world.thread.call(SETSID, &[]), Err(Errno::EPERM));
    let (task, thread, pid) = fork(&world);
    assert_eq!(world.thread.call(SETPGID, &[pid, 0]), Ok(0));
    assert_eq!(u64::from(task.group()), pid);
    assert_eq!(world.thread.call(SETPGID, &[pid, 99]), Err(Errno::EPERM));
    assert_eq!(thread.call(SETSID, &[]), Err(Errno::EPERM));
    assert_eq!(world.thread.call(SETPGID, &[pid, 1]), Ok(0));
    assert_eq!(thread.call(SETSID, &[]), Ok(pid));
    assert_eq!(world.thread.call(SETPGID, &[pid, 1]), Err(Errno::EPERM));
}

#[test]
fn a_timer_whose_signal_is_ignored_does_not_keep_the_machine_busy() {
    const TIMER_CREATE: u32 = 222;
    const TIMER_SETTIME: u32 = 223;
    let world = world();
    let memory = world.task.memory();
    // `struct sigevent`: SIGCHLD, which nobody wants to know of. Then an interval of a nanosecond.
    memory.write_struct(PAGE + 8, &17_i32).expect("an event");
    memory.write_struct(PAGE + 256, &[0_u64, 1, 0, 1]).expect("a setting");
    assert_eq!(world.thread.call(TIMER_CREATE, &[1, PAGE, PAGE + 128]), Ok(0));
    assert_eq!(world.thread.call(TIMER_SETTIME, &[0, 0, PAGE + 256, 0]), Ok(0));
    let step = core::time::Duration::from_micros(100);
    world.machine.advance(step);
    world.kernel.timer_expired();
    assert!(world.machine.timer() >= Some(2 * step), "{:?}", world.machine.timer());
}
