//! Shared memory segments through their calls.

use alloc::vec::Vec;

use crate::Errno;
use crate::mm::PAGE;
use crate::testing::World;

const SHMGET: u32 = 29;
const SHMAT: u32 = 30;
const SHMCTL: u32 = 31;
const SHMDT: u32 = 67;
const CREATE: u64 = 0o1000;
const EXCLUSIVE: u64 = 0o2000;

fn status(world: &World, id: u64) -> Vec<u8> {
    let at = world.thread.trap(9, &[0, PAGE, 3, 0x22, u64::MAX, 0]).unwrap();
    world.thread.call(SHMCTL, &[id, 2, at]).unwrap();
    world.task.memory().read_vec(at, 112).unwrap()
}

#[test]
fn a_segment_is_found_by_its_key() {
    let world = World::new();
    let get = |key, bytes, flags| world.thread.call(SHMGET, &[key, bytes, flags]);
    assert_eq!(get(7, 100, 0o600), Err(Errno::ENOENT));
    assert_eq!(get(7, 0, CREATE | 0o600), Err(Errno::EINVAL));
    let id = get(7, 100, CREATE | 0o600).unwrap();
    assert_eq!(get(7, 50, 0), Ok(id));
    assert_eq!(get(7, 101, 0), Err(Errno::EINVAL));
    assert_eq!(get(7, 50, CREATE | EXCLUSIVE), Err(Errno::EEXIST));
    assert_ne!(get(0, 50, 0o600), get(0, 50, 0o600));
}

#[test]
fn attachments_show_the_same_memory() {
    let world = World::new();
    let id = world.thread.call(SHMGET, &[0, 5000, 0o600]).unwrap();
    let first = world.thread.trap(SHMAT, &[id, 0, 0]).unwrap();
    let second = world.thread.trap(SHMAT, &[id, 0, 0o10_000]).unwrap();
    world.task.memory().write_bytes(first + PAGE, b"shared").unwrap();
    assert_eq!(world.task.memory().read_vec(second + PAGE, 6).unwrap(), b"shared");
    assert_eq!(world.task.memory().write_bytes(second, b"x"), Err(Errno::EFAULT));
    let facts = status(&world, id);
    assert_eq!((facts[48], facts[49]), (0x88, 0x13), "5000 bytes");
    assert_eq!(facts[88], 2, "attached twice");
    assert_eq!(world.thread.call(SHMDT, &[first + PAGE]), Err(Errno::EINVAL));
    assert_eq!(world.thread.trap(SHMDT, &[first]), Ok(0));
    assert_eq!(world.task.memory().read_vec(first, 1), Err(Errno::EFAULT));
    assert_eq!(status(&world, id)[88], 1);
    assert_eq!(world.thread.trap(SHMAT, &[id, second, 0]), Err(Errno::EINVAL));
    assert_eq!(world.thread.trap(SHMAT, &[id, second + 1, 0]), Err(Errno::EINVAL));
}

#[test]
fn a_removed_segment_goes_with_its_last_attachment() {
    let world = World::new();
    let used = || world.kernel.machine().pool().used_bytes();
    let id = world.thread.call(SHMGET, &[9, PAGE, CREATE | 0o600]).unwrap();
    let at = world.thread.trap(SHMAT, &[id, 0, 0]).unwrap();
    assert_eq!(world.thread.call(SHMCTL, &[id, 0, 0]), Ok(0));
    assert_eq!(world.thread.call(SHMGET, &[9, PAGE, 0]), Err(Errno::ENOENT));
    world.task.memory().write_bytes(at, b"still there").unwrap();
    assert_eq!(used(), PAGE);
    assert_eq!(world.thread.trap(SHMDT, &[at]), Ok(0));
    assert_eq!(world.thread.call(SHMCTL, &[id, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(used(), 0);
}
