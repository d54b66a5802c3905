//! Calls that wait remember what they were asked: their caller may use that memory for something else meanwhile.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::time::Instant;

use crate::testing::{Caller, World};

/// What a program may leave where an argument was.
const RUBBISH: [u8; 128] = [0xa5; 128];

fn caller() -> Caller {
    Caller::first(&World::new())
}

/// The two ends of a pipe, or of a pair of sockets.
fn pair(caller: &Caller, name: &str, arguments: &[u64]) -> [u64; 2] {
    let fds = caller.room(8);
    assert_eq!(caller.call(name, &[arguments, &[fds]].concat()), Ok(0));
    [caller.int(fds), caller.int(fds + 4)].map(|fd| u64::try_from(fd).unwrap())
}

fn spoil(caller: &Caller, at: u64, len: usize) {
    caller.task.memory().write_bytes(at, &RUBBISH[..len]).unwrap();
}

#[test]
fn select_answers_what_it_was_asked() {
    let caller = caller();
    let [read, write] = pair(&caller, "pipe", &[]);
    let set = caller.put(&(1_u64 << read).to_le_bytes());
    let time = caller.put(&[1_000_000_u64.to_le_bytes(), [0; 8]].concat());
    assert_eq!(caller.start("select", &[64, set, 0, 0, time]), None);
    spoil(&caller, set, 8);
    spoil(&caller, time, 16);
    caller.write(write, b"x").unwrap();
    assert_eq!(caller.returned(), Some(Ok(1)));
    assert_eq!(caller.bytes(set, 8), (1_u64 << read).to_le_bytes());
    assert!(caller.int(time) > 0 && caller.int(time) <= 1_000_000, "the time that was left");
}

#[test]
fn a_message_goes_where_there_was_room_for_it() {
    let caller = caller();
    let [here, there] = pair(&caller, "socketpair", &[1, 2, 0]);
    let to = caller.room(8);
    let parts = caller.put(&[to.to_le_bytes(), 8_u64.to_le_bytes()].concat());
    let words = [0, 0, parts, 1, 0, 0, 0_u64];
    let header = caller.put(&words.map(u64::to_le_bytes).concat());
    assert_eq!(caller.start("recvmsg", &[here, header, 0]), None);
    spoil(&caller, header, 56);
    spoil(&caller, parts, 16);
    caller.write(there, b"message").unwrap();
    assert_eq!(caller.returned(), Some(Ok(7)));
    assert_eq!(caller.bytes(to, 8), b"message\0");
}

/// A writer on another thread comes before, while and after the reader falls asleep.
#[test]
fn no_news_is_lost_on_the_way_to_sleep() {
    const ROUNDS: u32 = 2000;
    let caller = caller();
    let ([read, write], room) = (pair(&caller, "pipe", &[]), caller.room(8));
    let round = AtomicU32::new(0);
    let end = Instant::now() + Duration::from_secs(60);
    let patiently = || {
        assert!(Instant::now() < end, "a wake-up was lost");
        std::thread::yield_now();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for at in 1..=ROUNDS {
                while round.load(Ordering::Acquire) < at {
                    patiently();
                }
                caller.write(write, b"x").unwrap();
                caller.task.kernel().run_woken();
            }
        });
        for at in 1..=ROUNDS {
            round.store(at, Ordering::Release);
            let mut result = caller.start("read", &[read, room, 8]);
            while result.is_none() {
                patiently();
                result = caller.returned();
            }
            assert_eq!(result, Some(Ok(1)));
        }
    });
}
