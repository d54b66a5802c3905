//! With a file server that is none: it takes what it is told, and is looked at.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::*;

/// Requests of the protocol as they came: number and payload.
type Asked = Mutex<Vec<(u32, Vec<u8>)>>;

/// Answers as libvhost-user does.
struct FakeServer {
    asked: Arc<Asked>,
    thread: JoinHandle<()>,
}

const GET_FEATURES: u32 = 1;
const SET_FEATURES: u32 = 2;
const SET_OWNER: u32 = 3;
const SET_MEM_TABLE: u32 = 5;
const SET_VRING_NUM: u32 = 8;
const SET_VRING_ADDR: u32 = 9;
const GET_VRING_BASE: u32 = 11;
const GET_PROTOCOL_FEATURES: u32 = 15;
const SET_VRING_ENABLE: u32 = 18;
const NEED_REPLY: u32 = 8;
const VERSION_AND_REPLY: u32 = 5;

impl FakeServer {
    fn start(features: u64) -> (Self, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = asked.clone();
        let thread = std::thread::spawn(move || while answer(&theirs, &shared, features).is_some() {});
        (FakeServer { asked, thread }, ours)
    }

    fn asked(&self, number: u32) -> Vec<Vec<u8>> {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|(other, _)| *other == number).map(|(_, payload)| payload.clone()).collect()
    }
}

/// Descriptors that come along are closed by the kernel: a plain read takes none.
fn answer(stream: &UnixStream, asked: &Asked, features: u64) -> Option<()> {
    use std::io::{Read, Write};
    let mut header = [0; 12];
    (&*stream).read_exact(&mut header).ok()?;
    let word = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().expect("four"));
    let (number, flags) = (word(0), word(4));
    let mut payload = vec![0; usize::try_from(word(8)).expect("small")];
    (&*stream).read_exact(&mut payload).ok()?;
    let reply = match number {
        GET_FEATURES => Some(features.to_ne_bytes()),
        GET_PROTOCOL_FEATURES => Some(8_u64.to_ne_bytes()),
        GET_VRING_BASE => Some([payload[..4].try_into().expect("an index"), [0; 4]].concat().try_into().expect("8")),
        _ if flags & NEED_REPLY != 0 => Some([0; 8]),
        _ => None,
    };
    asked.lock().expect("no panic").push((number, payload));
    if let Some(reply) = reply {
        let head = [number, VERSION_AND_REPLY, 8].map(u32::to_ne_bytes).concat();
        (&*stream).write_all(&[head, reply.to_vec()].concat()).ok()?;
    }
    Some(())
}

const ALL: u64 = 1 << 32 | 1 << 30 | 1 << 29 | 1 << 28;

#[test]
fn a_server_that_lacks_what_drivers_use_is_refused() {
    let (_server, socket) = FakeServer::start(1 << 32);
    assert!(matches!(Fs::new("x", socket), Err(ServerError::Features(0x3000_0000))));
}

#[test]
fn the_guest_reads_its_tag() {
    let (_server, socket) = FakeServer::start(ALL);
    let fs = Fs::new("bundle", socket).expect("a device");
    let mut config = [0xff; 44];
    fs.read_config(0, &mut config);
    assert_eq!(config[..7], *b"bundle\0");
    assert_eq!(config[36..], [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn queues_are_handed_over_in_the_guests_terms_and_taken_back() {
    let (server, socket) = FakeServer::start(ALL);
    let mut fs = Fs::new("bundle", socket).expect("a device");
    let mut driver = super::super::testing::Driver::shared(&QUEUES);
    let bells: Vec<_> = QUEUES.iter().map(|_| EventFd::new(0).expect("event")).collect();
    fs.hand_over(1 << 32, &mut driver.queues, &bells).expect("handed over");
    assert_eq!(server.asked(SET_OWNER).len(), 1);
    assert_eq!(server.asked(SET_FEATURES), [(1_u64 << 32 | 1 << 30).to_ne_bytes()]);
    // Number of regions, padding, then guest address, size, "user" address and offset.
    let words: Vec<_> = server.asked(SET_MEM_TABLE)[0].chunks(8).map(|word| word.to_vec()).collect();
    let expected = [1, 0, 2 << 20, 0, 0].map(|word: u64| word.to_ne_bytes().to_vec());
    assert_eq!(words, expected);
    assert_eq!([SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_ENABLE].map(|number| server.asked(number).len()), [2; 3]);
    fs.reset();
    assert_eq!(server.asked(GET_VRING_BASE).len(), 2);
}

#[test]
fn memory_that_no_server_can_map_is_not_handed_over() {
    let (_server, socket) = FakeServer::start(ALL);
    let mut fs = Fs::new("bundle", socket).expect("a device");
    let mut driver = super::super::testing::Driver::new(&QUEUES);
    let bells: Vec<_> = QUEUES.iter().map(|_| EventFd::new(0).expect("event")).collect();
    let error = fs.hand_over(1 << 32, &mut driver.queues, &bells).expect_err("private memory");
    assert!(matches!(error, Error::Fatal(_)), "{error}");
}

#[test]
fn a_servers_end_ends_the_machine() {
    let (server, socket) = FakeServer::start(ALL);
    let other_end = socket.try_clone().expect("clone");
    let mut fs = Fs::new("bundle", socket).expect("a device");
    let mut driver = super::super::testing::Driver::shared(&QUEUES);
    assert_eq!(fs.ready(0, &mut driver.queues), Ok(()));
    other_end.shutdown(std::net::Shutdown::Both).expect("shut down");
    server.thread.join().expect("no panic");
    let error = fs.ready(0, &mut driver.queues).expect_err("it is gone");
    assert_eq!(error.to_string(), "the file server of the share bundle ended");
}
