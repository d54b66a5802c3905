//! Locks with priority inheritance, and locks whose owner is killed, on the fake machine.

use alloc::sync::Arc;
use core::time::Duration;

use crate::Errno;
use crate::mm::{Memory, PAGE};
use crate::platform::{Event, Form, HostClock, Interruption, Machine as _, Reply, WaitLimit};
use crate::signal::Signal;
use crate::task::{Dump, ExitStatus, Task};
use crate::testing::{FakeThread, World};

const FUTEX: u32 = 202;
const LOCK: u64 = 6;
const UNLOCK: u64 = 7;
const TRY_LOCK: u64 = 8;

fn world() -> (World, u64) {
    let world = World::new();
    let at = world.thread.trap(9, &[0, PAGE, 3, 0x21, u64::MAX, 0]).unwrap();
    (world, at)
}

#[test]
fn a_lock_is_handed_to_who_waits_longest() {
    let (world, at) = world();
    let memory = world.task.memory();
    let (second, other) = world.spawn(memory.clone());
    assert_eq!(world.thread.trap(FUTEX, &[at, LOCK]), Ok(0));
    assert_eq!(world.thread.trap(FUTEX, &[at, LOCK]), Err(Errno::EDEADLK));
    assert_eq!(other.trap(FUTEX, &[at, TRY_LOCK]), Err(Errno::EAGAIN));
    assert_eq!(other.trap(FUTEX, &[at, UNLOCK]), Err(Errno::EPERM));
    assert_eq!(other.try_call(FUTEX, &[at, LOCK], Form::Trapped), None);
    assert_eq!(memory.read_struct::<u32>(at), Ok(world.task.tid().raw() | 0x8000_0000));
    assert_eq!(world.thread.trap(FUTEX, &[at, UNLOCK]), Ok(0));
    assert_eq!(other.returned(), Some(Ok(0)));
    assert_eq!(memory.read_struct::<u32>(at), Ok(second.tid().raw()));
    assert_eq!(other.trap(FUTEX, &[at, UNLOCK]), Ok(0));
    assert_eq!(memory.read_struct::<u32>(at), Ok(0));
}

#[test]
fn an_attempt_can_time_out() {
    let (world, at) = world();
    let (_, other) = world.spawn(world.task.memory());
    assert_eq!(world.thread.trap(FUTEX, &[at, LOCK]), Ok(0));
    let until = world.machine.now(HostClock::Realtime) + Duration::from_secs(1);
    world.task.memory().write_struct(at + 64, &crate::abi::Timespec::from(until)).unwrap();
    assert_eq!(other.try_call(FUTEX, &[at, LOCK, 0, at + 64], Form::Trapped), None);
    world.machine.advance(Duration::from_secs(2));
    world.kernel.timer_expired();
    assert_eq!(other.returned(), Some(Err(Errno::ETIMEDOUT)));
    assert_eq!(world.thread.trap(FUTEX, &[at, UNLOCK]), Ok(0));
    assert_eq!(world.task.memory().read_struct::<u32>(at), Ok(0), "nobody waits any more");
}

#[test]
fn a_lock_of_nobody_is_refused() {
    let (world, at) = world();
    world.task.memory().write_struct(at, &999_u32).unwrap();
    assert_eq!(world.thread.trap(FUTEX, &[at, LOCK]), Err(Errno::ESRCH));
    assert_eq!(world.thread.trap(FUTEX, &[at + 1, LOCK]), Err(Errno::EINVAL));
    assert_eq!(world.thread.trap(FUTEX, &[at, 2]), Err(Errno::ENOSYS));
}

const WAITED_FOR: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;

/// Puts a robust list with one lock of the task's at an address: head, entry, word.
fn hold(memory: &Memory, at: u64, tid: u32) {
    let (entry, word) = (at + 64, at + 96);
    memory.write_array(at, &[entry, word - entry, 0]).unwrap();
    memory.write_struct(entry, &at).unwrap();
    memory.write_struct(word, &(tid | WAITED_FOR)).unwrap();
}

/// A process with a lock in shared memory, which another one sees too; the lock's word.
fn holder(world: &World, at: u64) -> (Arc<Task>, Arc<FakeThread>) {
    let (task, thread) = world.spawn(world.task.memory());
    hold(&task.memory(), at, task.tid().raw());
    assert_eq!(thread.call(273, &[at, 24]), Ok(0));
    (task, thread)
}

/// What the pool has there.
fn word(world: &World, at: u64) -> u32 {
    let mut bytes = [0; 4];
    world.machine.pool().read(world.task.memory().pool_offset(at + 96).unwrap(), &mut bytes).unwrap();
    u32::from_le_bytes(bytes)
}

const KILLED: ExitStatus = ExitStatus::Killed(Signal::KILL, Dump::None);

#[test]
fn who_waits_for_a_lock_hears_that_its_owner_was_killed_asleep() {
    let (world, at) = world();
    let (task, thread) = holder(&world, at);
    assert_eq!(thread.try_call(34, &[], Form::Direct), None);
    task.process().end(KILLED);
    assert_eq!(word(&world, at), WAITED_FOR | OWNER_DIED);
    assert_eq!(world.machine.words_woken().len(), 1);
}

#[test]
fn a_lock_that_nobody_else_sees_is_left_as_it_is() {
    let world = World::new();
    let thread = &world.thread;
    let at = thread.trap(9, &[0, 4096, 3, 0x22, u64::MAX, 0]).unwrap();
    let memory = world.task.memory();
    hold(&memory, at, world.task.tid().raw());
    assert_eq!(thread.call(273, &[at, 24]), Ok(0));
    assert!(world.task.release_robust_list(&memory).is_empty());
    assert_eq!(memory.read_struct(at + 96), Ok(world.task.tid().raw() | WAITED_FOR));
}

#[test]
fn who_computes_ends_by_itself_when_others_may_wait_for_it() {
    let (world, at) = world();
    let (task, thread) = holder(&world, at);
    task.process().end(KILLED);
    assert!(thread.take_interrupted() && task.process().task_count() == 1);
    // It may take or release a lock until then.
    assert_eq!(world.machine.words_woken(), []);
    thread.raise(Event::Interrupted(Interruption::Running));
    assert_eq!(task.process().task_count(), 0);
    assert_eq!(word(&world, at), WAITED_FOR | OWNER_DIED);
    assert_eq!(world.machine.words_woken().len(), 1);
}

/// Waits for some time from now on, at the host; then the wait is interrupted.
fn interrupted_wait(world: &World, at: u64) {
    let second = crate::abi::Timespec::from(Duration::from_secs(1));
    world.task.memory().write_struct(at + 64, &second).unwrap();
    world.thread.raise(wait(at));
    assert!(matches!(world.thread.take_reply(), Some(Reply::Native)));
    world.machine.advance(Duration::from_millis(600));
    world.thread.raise(Event::Interrupted(Interruption::Waiting(WaitLimit::For)));
    assert!(matches!(world.thread.take_reply(), Some(Reply::Resume)));
}

fn wait(at: u64) -> Event {
    Event::Call { number: FUTEX, arguments: [at, 128, 0, at + 64, 0, 0], form: Form::Direct }
}

#[test]
fn an_interrupted_wait_goes_on_with_what_is_left() {
    let (world, at) = world();
    interrupted_wait(&world, at);
    world.thread.raise(wait(at));
    assert!(matches!(world.thread.take_reply(), Some(Reply::Native)));
    assert_eq!(world.machine.timer(), Some(Duration::from_secs(1)));
    world.machine.advance(Duration::from_millis(400));
    world.kernel.timer_expired();
    assert!(world.thread.take_interrupted());
    world.thread.raise(Event::Interrupted(Interruption::Waiting(WaitLimit::For)));
    assert!(matches!(world.thread.take_reply(), Some(Reply::Resume)));
    world.thread.raise(wait(at));
    assert_eq!(world.thread.returned(), Some(Err(Errno::ETIMEDOUT)));
}

#[test]
fn a_wait_that_is_another_lasts_its_whole_time() {
    let (world, at) = world();
    interrupted_wait(&world, at);
    world.thread.raise(wait(at + 128));
    assert!(matches!(world.thread.take_reply(), Some(Reply::Native)));
    world.machine.advance(Duration::from_millis(400));
    world.kernel.timer_expired();
    assert!(!world.thread.take_interrupted());
    world.thread.raise(wait(at));
    assert!(matches!(world.thread.take_reply(), Some(Reply::Native)));
}
