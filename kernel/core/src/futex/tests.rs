//! Locks with priority inheritance on the fake machine.

use core::time::Duration;

use crate::Errno;
use crate::mm::PAGE;
use crate::platform::{Form, HostClock, Machine as _};
use crate::testing::World;

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
    assert_eq!(world.thread.trap(FUTEX, &[at, 11]), Err(Errno::ENOSYS));
}
