//! Events of counters, by way of system calls.

use alloc::vec::Vec;
use core::time::Duration;

use super::Epoll;
use crate::Errno;
use crate::testing::{Caller, World};
use crate::vfs::{FileObject, PollEvents};

const IN: u64 = 1;
const OUT: u64 = 4;
const EXCLUSIVE: u64 = 1 << 28;
const ONE_SHOT: u64 = 1 << 30;
const EDGE: u64 = 1 << 31;
const ADD: u64 = 1;
const DELETE: u64 = 2;
const MODIFY: u64 = 3;
const ONE: [u8; 8] = 1_u64.to_le_bytes();

fn control(caller: &Caller, epoll: u64, operation: u64, fd: u64, events: u64) -> Result<u64, Errno> {
    let mut event = [0; 12];
    event[..4].copy_from_slice(&u32::try_from(events).unwrap().to_le_bytes());
    event[4..].copy_from_slice(&(fd + 100).to_le_bytes());
    let event = caller.put(&event);
    caller.call("epoll_ctl", &[epoll, operation, fd, event])
}

/// Events that are there now, and whose.
fn events(caller: &Caller, epoll: u64) -> alloc::vec::Vec<(u32, u64)> {
    let room = caller.room(120);
    let count = caller.call("epoll_wait", &[epoll, room, 10, 0]).unwrap();
    let bytes = caller.bytes(room, usize::try_from(count).unwrap() * 12);
    let word = |event: &[u8]| u32::from_le_bytes(event[..4].try_into().unwrap());
    let data = |event: &[u8]| u64::from_le_bytes(event[4..].try_into().unwrap()) - 100;
    bytes.chunks(12).map(|event| (word(event), data(event))).collect()
}

fn setup() -> (World, Caller, u64, u64) {
    let world = World::new();
    let caller = Caller::first(&world);
    let counter = caller.call("eventfd2", &[0, 0]).unwrap();
    let epoll = caller.call("epoll_create1", &[0]).unwrap();
    (world, caller, counter, epoll)
}

#[test]
fn counters_count() {
    let (_world, caller, counter, _) = setup();
    assert_eq!(caller.read(counter, 8), Err(Errno::EAGAIN));
    assert_eq!(caller.write(counter, &7_u64.to_le_bytes()), Ok(8));
    assert_eq!(caller.write(counter, &u64::MAX.to_le_bytes()), Err(Errno::EINVAL));
    assert_eq!(caller.write(counter, &(u64::MAX - 7).to_le_bytes()), Err(Errno::EAGAIN));
    assert_eq!(caller.write(counter, b"short"), Err(Errno::EINVAL));
    assert_eq!(caller.read(counter, 8).unwrap(), 7_u64.to_le_bytes());
    let semaphore = caller.call("eventfd2", &[2, 1]).unwrap();
    assert_eq!(caller.read(semaphore, 8).unwrap(), ONE);
    assert_eq!(caller.read(semaphore, 8).unwrap(), ONE);
    assert_eq!(caller.read(semaphore, 8), Err(Errno::EAGAIN));
    assert_eq!(caller.call("eventfd2", &[0, 2]), Err(Errno::EINVAL));
}

#[test]
fn levels_are_told_again_and_edges_once() {
    let (_world, caller, counter, epoll) = setup();
    assert_eq!(control(&caller, epoll, ADD, counter, IN), Ok(0));
    assert_eq!(events(&caller, epoll), []);
    caller.write(counter, &ONE).unwrap();
    assert_eq!(events(&caller, epoll), [(1, counter)]);
    assert_eq!(events(&caller, epoll), [(1, counter)]);
    assert_eq!(control(&caller, epoll, MODIFY, counter, IN | EDGE), Ok(0));
    assert_eq!(events(&caller, epoll), [(1, counter)]);
    assert_eq!(events(&caller, epoll), []);
    caller.write(counter, &ONE).unwrap();
    assert_eq!(events(&caller, epoll), [(1, counter)]);
    assert_eq!(control(&caller, epoll, MODIFY, counter, IN | OUT | ONE_SHOT), Ok(0));
    assert_eq!(events(&caller, epoll), [(5, counter)]);
    caller.write(counter, &ONE).unwrap();
    assert_eq!(events(&caller, epoll), []);
    assert_eq!(control(&caller, epoll, MODIFY, counter, OUT), Ok(0));
    assert_eq!(events(&caller, epoll), [(4, counter)]);
}

#[test]
fn items_come_and_go() {
    let (_world, caller, counter, epoll) = setup();
    assert_eq!(control(&caller, epoll, MODIFY, counter, IN), Err(Errno::ENOENT));
    assert_eq!(control(&caller, epoll, ADD, counter, IN), Ok(0));
    assert_eq!(control(&caller, epoll, ADD, counter, IN), Err(Errno::EEXIST));
    assert_eq!(control(&caller, epoll, 9, counter, IN), Err(Errno::EINVAL));
    assert_eq!(control(&caller, counter, ADD, epoll, IN), Err(Errno::EINVAL));
    assert_eq!(control(&caller, epoll, ADD, 99, IN), Err(Errno::EBADF));
    assert_eq!(control(&caller, epoll, MODIFY, counter, IN | EXCLUSIVE), Err(Errno::EINVAL));
    caller.write(counter, &ONE).unwrap();
    assert_eq!(control(&caller, epoll, DELETE, counter, 0), Ok(0));
    assert_eq!(events(&caller, epoll), []);
    assert_eq!(control(&caller, epoll, ADD, counter, IN | EXCLUSIVE | ONE_SHOT), Err(Errno::EINVAL));
    assert_eq!(control(&caller, epoll, ADD, counter, IN | EXCLUSIVE), Ok(0));
    assert_eq!(events(&caller, epoll), [(1, counter)]);
    caller.close(counter);
    assert_eq!(events(&caller, epoll), []);
}

#[test]
fn a_wait_ends_by_an_event_or_its_time() {
    let (world, caller, counter, epoll) = setup();
    let other = Caller::second(&world);
    control(&caller, epoll, ADD, counter, IN).unwrap();
    let room = caller.room(12);
    assert_eq!(caller.start("epoll_wait", &[epoll, room, 1, u64::MAX]), None);
    caller.task.files().get(i32::try_from(counter).unwrap()).unwrap().write(&mut &ONE[..]).unwrap();
    assert_eq!(caller.returned(), Some(Ok(1)));
    caller.read(counter, 8).unwrap();
    assert_eq!(caller.start("epoll_wait", &[epoll, room, 1, 50]), None);
    world.machine.advance(Duration::from_millis(49));
    world.kernel.timer_expired();
    assert_eq!(caller.returned(), None);
    world.machine.advance(Duration::from_millis(1));
    world.kernel.timer_expired();
    assert_eq!(caller.returned(), Some(Ok(0)));
    assert_eq!(caller.call("epoll_wait", &[epoll, room, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(other.call("epoll_wait", &[epoll, room, 1, 0]), Err(Errno::EBADF));
}

#[test]
fn instances_nest_without_circles() {
    let (_world, caller, counter, inner) = setup();
    let outer = caller.call("epoll_create", &[1]).unwrap();
    control(&caller, inner, ADD, counter, IN).unwrap();
    assert_eq!(control(&caller, outer, ADD, inner, IN), Ok(0));
    assert_eq!(control(&caller, inner, ADD, outer, IN), Err(Errno::ELOOP));
    assert_eq!(control(&caller, inner, ADD, inner, IN), Err(Errno::EINVAL));
    assert_eq!(events(&caller, outer), []);
    caller.write(counter, &ONE).unwrap();
    assert_eq!(events(&caller, outer), [(1, inner)]);
    caller.read(counter, 8).unwrap();
    assert_eq!(events(&caller, outer), []);
    let mut top = outer;
    for _ in 0..3 {
        let above = caller.call("epoll_create1", &[0]).unwrap();
        assert_eq!(control(&caller, above, ADD, top, IN), Ok(0));
        top = above;
    }
    let above = caller.call("epoll_create1", &[0]).unwrap();
    assert_eq!(control(&caller, above, ADD, top, IN), Err(Errno::ELOOP));
}

#[test]
fn a_look_by_nobody_takes_nothing_from_others() {
    const USER_SIGNAL: u64 = 10;
    let (world, first, _, epoll) = setup();
    let second = Caller::second(&world);
    let mask = (1_u64 << (USER_SIGNAL - 1)).to_le_bytes();
    let raise = |caller: &Caller| {
        caller.call("rt_sigprocmask", &[0, caller.put(&mask), 0, 8]).unwrap();
        caller.call("kill", &[caller.call("getpid", &[]).unwrap(), USER_SIGNAL]).unwrap();
    };
    let signals = first.call("signalfd4", &[u64::MAX, first.put(&mask), 8, 0o4000]).unwrap();
    control(&first, epoll, ADD, signals, IN).unwrap();
    raise(&first);
    first.read(signals, 128).unwrap();
    raise(&second);
    let file = first.task.files().get_open(i32::try_from(epoll).unwrap()).unwrap();
    let instance = file.downcast::<Epoll>().unwrap();
    assert_eq!(instance.poll(), PollEvents::empty());
    assert!(instance.is_ready_for(Some(&second.task)));
}

#[test]
fn ways_through_instances_are_few() {
    let (_world, caller, _, inner) = setup();
    let mut level = alloc::vec![inner];
    let mut refused = 0;
    for _ in 0..4 {
        let above: Vec<u64> = (0..17).map(|_| caller.call("epoll_create1", &[0]).unwrap()).collect();
        for (outer, below) in above.iter().flat_map(|outer| level.iter().map(move |below| (*outer, *below))) {
            let added = control(&caller, outer, ADD, below, IN);
            assert!(matches!(added, Ok(0) | Err(Errno::EINVAL)), "{added:?}");
            refused += usize::from(added.is_err());
        }
        level = above;
    }
    assert!(refused > 0, "80,000 ways are too many");
}

#[test]
fn poll_and_select_look_at_all() {
    let (_world, caller, counter, _) = setup();
    let entry = |fd: i32, events: u16| [&fd.to_le_bytes()[..], &events.to_le_bytes(), &[0; 2]].concat();
    let fd = i32::try_from(counter).unwrap();
    let entries = [entry(fd, 1), entry(-1, 1), entry(77, 1), entry(fd, 5)].concat();
    let entries = caller.put(&entries);
    assert_eq!(caller.call("poll", &[entries, 4, 0]), Ok(2));
    let found = |at: u64| u16::from_le_bytes(caller.bytes(entries + at * 8 + 6, 2).try_into().unwrap());
    assert_eq!([found(0), found(1), found(2), found(3)], [0, 0, 0x20, 4]);
    let set = caller.put(&(1_u64 << counter).to_le_bytes());
    assert_eq!(caller.start("select", &[counter + 1, set, 0, 0, 0]), None);
    caller.write(counter, &ONE).unwrap();
    assert_eq!(caller.returned(), Some(Ok(1)));
    assert_eq!(caller.int(set), 1 << counter);
    let bad = caller.put(&(1_u64 << 40).to_le_bytes());
    assert_eq!(caller.call("select", &[64, bad, 0, 0, 0]), Err(Errno::EBADF));
    let time = caller.put(&[0; 16]);
    caller.read(counter, 8).unwrap();
    assert_eq!(caller.call("pselect6", &[counter + 1, set, 0, 0, time, 0]), Ok(0));
    assert_eq!(caller.int(set), 0);
}
