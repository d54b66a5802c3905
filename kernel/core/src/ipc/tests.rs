//! Shared memory segments through their calls.

use alloc::vec::Vec;

use crate::Errno;
use crate::mm::PAGE;
use crate::testing::{Caller, World};

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

/// `struct sembuf`s in memory.
fn operations(caller: &Caller, all: &[(u16, i16, u16)]) -> u64 {
    let bytes = |(index, add, flags): &(u16, i16, u16)| [index.to_le_bytes(), add.to_le_bytes(), flags.to_le_bytes()];
    caller.put(&all.iter().flat_map(bytes).flatten().collect::<Vec<u8>>())
}

const NO_WAIT: u16 = 0o4000;
const UNDO: u16 = 0o10_000;

#[test]
fn semaphores_change_together_or_wait() {
    let world = World::new();
    let (one, two) = (Caller::first(&world), Caller::second(&world));
    let set = one.call("semget", &[5, 2, CREATE | 0o600]).unwrap();
    assert_eq!(two.call("semget", &[5, 3, 0]), Err(Errno::EINVAL));
    assert_eq!(two.call("semget", &[5, 2, 0]), Ok(set));
    assert_eq!(one.call("semctl", &[set, 0, 16, 1]), Ok(0));
    let both = operations(&one, &[(0, -1, 0), (1, -1, 0)]);
    assert_eq!(one.start("semop", &[set, both, 2]), None);
    assert_eq!(two.call("semctl", &[set, 0, 12, 0]), Ok(1), "none was done");
    assert_eq!(two.call("semctl", &[set, 1, 14, 0]), Ok(1), "one waits for more");
    let refused = operations(&two, &[(1, -1, NO_WAIT)]);
    assert_eq!(two.call("semop", &[set, refused, 1]), Err(Errno::EAGAIN));
    assert_eq!(two.call("semop", &[set, operations(&two, &[(1, 2, 0)]), 1]), Ok(0));
    assert_eq!(one.returned(), Some(Ok(0)));
    assert_eq!(two.call("semctl", &[set, 1, 14, 0]), Ok(0));
    let values = two.room(4);
    assert_eq!(two.call("semctl", &[set, 0, 13, values]), Ok(0));
    assert_eq!(two.bytes(values, 4), [0, 0, 1, 0]);
    assert_eq!(two.call("semop", &[set, operations(&two, &[(1, 32_767, 0)]), 1]), Err(Errno::ERANGE));
    assert_eq!(two.call("semop", &[set, operations(&two, &[(2, 1, 0)]), 1]), Err(Errno::EFBIG));
    assert_eq!(one.start("semop", &[set, both, 2]), None);
    assert_eq!(two.call("semctl", &[set, 0, 0, 0]), Ok(0));
    assert_eq!(one.returned(), Some(Err(Errno::EIDRM)));
    assert_eq!(two.call("semctl", &[set, 0, 12, 0]), Err(Errno::EINVAL));
}

#[test]
fn what_a_process_did_is_undone_at_its_end() {
    let world = World::new();
    let (one, two) = (Caller::first(&world), Caller::second(&world));
    let set = one.call("semget", &[0, 1, 0o600]).unwrap();
    assert_eq!(two.call("semop", &[set, operations(&two, &[(0, 3, UNDO)]), 1]), Ok(0));
    assert_eq!(two.call("semop", &[set, operations(&two, &[(0, -1, UNDO)]), 1]), Ok(0));
    assert_eq!(one.start("semop", &[set, operations(&one, &[(0, 0, 0)]), 1]), None);
    assert_eq!(one.returned(), None);
    two.task.process().end(crate::task::ExitStatus::Exited(0));
    assert_eq!(one.returned(), Some(Ok(0)));
}

#[test]
fn messages_are_chosen_by_type() {
    let world = World::new();
    let (one, two) = (Caller::first(&world), Caller::second(&world));
    let queue = one.call("msgget", &[5, CREATE | 0o600]).unwrap();
    let send = |caller: &Caller, kind: i64, text: &[u8]| {
        let at = caller.put(&[&kind.to_le_bytes(), text].concat());
        caller.start("msgsnd", &[queue, at, text.len() as u64, 0])
    };
    let room = one.room(64);
    let receive = |kind: i64, flags: u64| one.start("msgrcv", &[queue, room, 8, kind.cast_unsigned(), flags]);
    assert_eq!(receive(0, 0o4000), Some(Err(Errno::ENOMSG)));
    assert_eq!(receive(7, 0), None);
    assert_eq!(send(&two, 3, b"three"), Some(Ok(0)));
    assert_eq!(one.returned(), None);
    assert_eq!(send(&two, 7, b"seven"), Some(Ok(0)));
    assert_eq!(one.returned(), Some(Ok(5)));
    assert_eq!(one.bytes(room, 13), [&7_i64.to_le_bytes()[..], b"seven"].concat());
    send(&two, 2, b"two and more").unwrap().unwrap();
    assert_eq!(receive(-5, 0), Some(Err(Errno::E2BIG)));
    assert_eq!(receive(-5, 0o10_000), Some(Ok(8)));
    assert_eq!(one.bytes(room + 8, 8), b"two and ");
    assert_eq!(receive(3, 0o24_000), Some(Err(Errno::ENOMSG)), "any but type 3");
    assert_eq!(receive(0, 0), Some(Ok(5)));
    assert_eq!(send(&two, 0, b""), Some(Err(Errno::EINVAL)));
    for _ in 0..2 {
        assert_eq!(send(&two, 1, &[0; 8192]), Some(Ok(0)));
    }
    assert_eq!(send(&two, 1, b"x"), None);
    assert_eq!(one.call("msgctl", &[queue, 0, 0]), Ok(0));
    assert_eq!(two.returned(), Some(Err(Errno::EIDRM)));
}
