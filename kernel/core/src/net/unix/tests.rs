//! Unix sockets, by way of system calls.

use alloc::vec::Vec;

use crate::Errno;
use crate::testing::{Caller, World};

const UNIX: u64 = 1;
const STREAM: u64 = 1;
const DATAGRAM: u64 = 2;
const PACKETS: u64 = 5;
const NONBLOCK: u64 = 0o4000;
const DONT_WAIT: u64 = 0x40;
const NO_SIGNAL: u64 = 0x4000;

fn pair(caller: &Caller, kind: u64) -> [u64; 2] {
    let room = caller.room(8);
    assert_eq!(caller.call("socketpair", &[UNIX, kind, 0, room]), Ok(0));
    [room, room + 4].map(|at| u64::from(caller.int(at).unsigned_abs()))
}

fn send(caller: &Caller, fd: u64, text: &[u8]) -> Result<u64, Errno> {
    let at = caller.put(text);
    caller.call("sendto", &[fd, at, text.len() as u64, DONT_WAIT | NO_SIGNAL, 0, 0])
}

fn receive(caller: &Caller, fd: u64, len: usize, flags: u64) -> Result<Vec<u8>, Errno> {
    let at = caller.room(len);
    let count = caller.call("recvfrom", &[fd, at, len as u64, flags | DONT_WAIT, 0, 0])?;
    Ok(caller.bytes(at, usize::try_from(count).unwrap().min(len)))
}

fn address(caller: &Caller, name: &[u8]) -> [u64; 2] {
    let bytes = [&1_u16.to_le_bytes()[..], name].concat();
    [caller.put(&bytes), bytes.len() as u64]
}

fn bound(caller: &Caller, kind: u64, name: &[u8]) -> u64 {
    let socket = caller.call("socket", &[UNIX, kind, 0]).unwrap();
    let [at, len] = address(caller, name);
    assert_eq!(caller.call("bind", &[socket, at, len]), Ok(0));
    socket
}

fn connect(caller: &Caller, fd: u64, name: &[u8]) -> Option<Result<u64, Errno>> {
    let [at, len] = address(caller, name);
    caller.start("connect", &[fd, at, len])
}

fn setup() -> (World, Caller) {
    let world = World::new();
    let caller = Caller::first(&world);
    (world, caller)
}

/// A message header with one part and room for control messages.
fn header(caller: &Caller, data: u64, len: u64, control: u64, control_len: u64) -> u64 {
    let vector = caller.put(&[data.to_le_bytes(), len.to_le_bytes()].concat());
    let words = [0, 0, vector, 1, control, control_len, 0];
    caller.put(&words.map(u64::to_le_bytes).concat())
}

fn send_files(caller: &Caller, socket: u64, files: &[u64]) -> Result<u64, Errno> {
    let numbers: Vec<u8> = files.iter().flat_map(|fd| u32::try_from(*fd).unwrap().to_le_bytes()).collect();
    let len = 16 + numbers.len() as u64;
    let control = [&len.to_le_bytes()[..], &1_u32.to_le_bytes(), &1_u32.to_le_bytes(), &numbers].concat();
    let (control, data) = (caller.put(&control), caller.put(b"x"));
    caller.call("sendmsg", &[socket, header(caller, data, 1, control, len), DONT_WAIT])
}

fn receive_files(caller: &Caller, socket: u64) -> Vec<u64> {
    let (control, data) = (caller.room(64), caller.room(1));
    let header = header(caller, data, 1, control, 64);
    assert_eq!(caller.call("recvmsg", &[socket, header, DONT_WAIT]), Ok(1));
    let len = u64::from_le_bytes(caller.bytes(header + 40, 8).try_into().unwrap());
    let count = len.saturating_sub(16) / 4;
    (0..count).map(|at| u64::from(caller.int(control + 16 + at * 4).unsigned_abs())).filter(|fd| *fd != 0).collect()
}

#[test]
fn streams_join_what_was_written() {
    let (_world, caller) = setup();
    let [a, b] = pair(&caller, STREAM);
    assert_eq!(receive(&caller, b, 8, 0), Err(Errno::EAGAIN));
    assert_eq!(send(&caller, a, b"hello "), Ok(6));
    assert_eq!(send(&caller, a, b"you"), Ok(3));
    assert_eq!(receive(&caller, b, 4, 2).unwrap(), b"hell");
    assert_eq!(receive(&caller, b, 16, 0).unwrap(), b"hello you");
    caller.close(a);
    assert_eq!(receive(&caller, b, 16, 0).unwrap(), b"");
    assert_eq!(send(&caller, b, b"late"), Err(Errno::EPIPE));
}

#[test]
fn unread_data_resets_the_other_end() {
    let (_world, caller) = setup();
    let [a, b] = pair(&caller, STREAM);
    send(&caller, a, b"one").unwrap();
    send(&caller, b, b"two").unwrap();
    caller.close(b);
    assert_eq!(receive(&caller, a, 8, 0).unwrap(), b"two");
    assert_eq!(receive(&caller, a, 8, 0), Err(Errno::ECONNRESET));
    assert_eq!(receive(&caller, a, 8, 0).unwrap(), b"");
}

#[test]
fn packets_and_datagrams_keep_their_bounds() {
    let (_world, caller) = setup();
    for kind in [DATAGRAM, PACKETS] {
        let [a, b] = pair(&caller, kind);
        send(&caller, a, b"first").unwrap();
        send(&caller, a, b"").unwrap();
        send(&caller, a, b"third").unwrap();
        assert_eq!(receive(&caller, b, 3, 2).unwrap(), b"fir");
        let (at, flags) = (caller.room(3), DONT_WAIT | 0x20);
        assert_eq!(caller.call("recvfrom", &[b, at, 3, flags, 0, 0]), Ok(5));
        assert_eq!(receive(&caller, b, 8, 0).unwrap(), b"");
        assert_eq!(receive(&caller, b, 8, 0).unwrap(), b"third");
    }
}

#[test]
fn a_full_inbox_makes_writers_wait_until_there_is_room() {
    let (world, caller) = setup();
    let reader = Caller::second(&world);
    let [a, b] = pair(&caller, STREAM);
    let fd = reader.task.files().insert(
        caller.task.files().get(i32::try_from(b).unwrap()).unwrap(),
        crate::vfs::FdFlags::empty(),
        0,
        1024,
    );
    let b = u64::try_from(fd.unwrap()).unwrap();
    let data = caller.room(131_072);
    assert_eq!(caller.call("sendto", &[a, data, 131_072, DONT_WAIT, 0, 0]), Ok(131_072));
    assert_eq!(caller.start("sendto", &[a, data, 131_072, 0, 0, 0]), None);
    let room = reader.room(131_072);
    assert_eq!(reader.call("recvfrom", &[b, room, 131_072, 0, 0, 0]), Ok(131_072));
    assert_eq!(caller.returned(), Some(Ok(131_072)));
    assert_eq!(reader.call("recvfrom", &[b, room, 131_072, 0x100, 0, 0]), Ok(131_072));
}

#[test]
fn connections_wait_in_the_backlog() {
    let (world, caller) = setup();
    let client = Caller::second(&world);
    let listener = bound(&caller, STREAM | NONBLOCK, b"\0name");
    let socket = || client.call("socket", &[UNIX, STREAM, 0]).unwrap();
    let (first, second, third) = (socket(), socket(), socket());
    assert_eq!(connect(&client, first, b"\0name"), Some(Err(Errno::ECONNREFUSED)));
    assert_eq!(caller.call("listen", &[listener, 1]), Ok(0));
    assert_eq!(caller.call("accept", &[listener, 0, 0]), Err(Errno::EAGAIN));
    assert_eq!(connect(&client, first, b"\0name"), Some(Ok(0)));
    assert_eq!(connect(&client, second, b"\0name"), Some(Ok(0)));
    assert_eq!(connect(&client, third, b"\0name"), None);
    assert_eq!(
        connect(&caller, caller.call("socket", &[UNIX, PACKETS, 0]).unwrap(), b"\0name"),
        Some(Err(Errno::EPROTOTYPE))
    );
    let accepted = caller.call("accept4", &[listener, 0, 0, NONBLOCK]).unwrap();
    assert_eq!(client.returned(), Some(Ok(0)));
    assert_eq!(connect(&client, third, b"\0name"), Some(Err(Errno::EISCONN)));
    send(&client, first, b"hi").unwrap();
    assert_eq!(receive(&caller, accepted, 8, 0).unwrap(), b"hi");
    let (name, len) = (client.room(16), client.put(&16_u32.to_le_bytes()));
    assert_eq!(client.call("getpeername", &[first, name, len]), Ok(0));
    assert_eq!(client.bytes(name, 7), b"\x01\0\0name");
    let who = client.room(16);
    let len = client.put(&12_u32.to_le_bytes());
    assert_eq!(client.call("getsockopt", &[first, 1, 17, who, len]), Ok(0));
    assert_eq!(client.int(who), i32::try_from(caller.task.process().pid().raw()).unwrap());
    caller.close(listener);
    assert_eq!(receive(&client, second, 8, 0), Err(Errno::ECONNRESET));
    assert_eq!(connect(&client, socket(), b"\0name"), Some(Err(Errno::ECONNREFUSED)));
}

#[test]
fn names_are_used_once() {
    let (_world, caller) = setup();
    let first = bound(&caller, DATAGRAM, b"\0one");
    let second = caller.call("socket", &[UNIX, DATAGRAM, 0]).unwrap();
    let [at, len] = address(&caller, b"\0one");
    assert_eq!(caller.call("bind", &[second, at, len]), Err(Errno::EADDRINUSE));
    assert_eq!(caller.call("bind", &[first, at, len]), Err(Errno::EINVAL));
    assert_eq!(caller.call("sendto", &[second, at, 3, 0, at, len]), Ok(3));
    assert_eq!(receive(&caller, first, 8, 0).unwrap().len(), 3);
    caller.close(first);
    assert_eq!(caller.call("sendto", &[second, at, 3, 0, at, len]), Err(Errno::ECONNREFUSED));
    assert_eq!(caller.call("bind", &[second, at, len]), Ok(0));
    let third = caller.call("socket", &[UNIX, DATAGRAM, 0]).unwrap();
    assert_eq!(caller.call("bind", &[third, at, 2]), Ok(0));
    let (name, room) = (caller.room(16), caller.put(&16_u32.to_le_bytes()));
    assert_eq!(caller.call("getsockname", &[third, name, room]), Ok(0));
    assert_eq!(caller.int(room), 8);
}

#[test]
fn files_travel() {
    let (_world, caller) = setup();
    let [a, b] = pair(&caller, STREAM);
    let counter = caller.call("eventfd2", &[5, 0]).unwrap();
    send(&caller, a, b"before").unwrap();
    assert_eq!(send_files(&caller, a, &[counter, counter]), Ok(1));
    caller.close(counter);
    send(&caller, a, b"after").unwrap();
    assert_eq!(receive(&caller, b, 6, 0).unwrap(), b"before");
    let files = receive_files(&caller, b);
    assert_eq!(files.len(), 2);
    assert_eq!(caller.read(files[1], 8).unwrap(), 5_u64.to_le_bytes());
    assert_eq!(receive(&caller, b, 16, 0).unwrap(), b"after");
    assert_eq!(send_files(&caller, a, &[99]), Err(Errno::EBADF));
}

#[test]
fn sockets_that_only_hold_each_other_go() {
    let (_world, caller) = setup();
    let [a, b] = pair(&caller, STREAM);
    let counter = caller.call("eventfd2", &[0, 0]).unwrap();
    let file = alloc::sync::Arc::downgrade(&caller.task.files().get(i32::try_from(counter).unwrap()).unwrap());
    send_files(&caller, a, &[b, counter]).unwrap();
    send_files(&caller, b, &[a]).unwrap();
    [a, counter].into_iter().for_each(|fd| caller.close(fd));
    assert!(file.upgrade().is_some());
    caller.close(b);
    let [other, _] = pair(&caller, STREAM);
    caller.close(other);
    assert!(file.upgrade().is_none());
}

#[test]
fn halves_are_shut_down_apart() {
    let (_world, caller) = setup();
    let [a, b] = pair(&caller, STREAM);
    assert_eq!(caller.call("shutdown", &[a, 1]), Ok(0));
    assert_eq!(receive(&caller, b, 8, 0).unwrap(), b"");
    assert_eq!(send(&caller, a, b"x"), Err(Errno::EPIPE));
    assert_eq!(send(&caller, b, b"back"), Ok(4));
    let entry = caller.put(&[&u32::try_from(b).unwrap().to_le_bytes()[..], &[0xff, 0x3f, 0, 0]].concat());
    assert_eq!(caller.call("poll", &[entry, 1, 0]), Ok(1));
    assert_eq!(caller.bytes(entry + 6, 2), 0x2345_u16.to_le_bytes());
    assert_eq!(receive(&caller, a, 8, 0).unwrap(), b"back");
    assert_eq!(caller.call("shutdown", &[a, 0]), Ok(0));
    assert_eq!(send(&caller, b, b"x"), Err(Errno::EPIPE));
    assert_eq!(caller.call("shutdown", &[a, 3]), Err(Errno::EINVAL));
    assert_eq!(caller.call("poll", &[entry, 1, 0]), Ok(1));
    assert_eq!(caller.bytes(entry + 6, 2), 0x2355_u16.to_le_bytes());
}

#[test]
fn others_are_refused() {
    let (_world, caller) = setup();
    let counter = caller.call("eventfd2", &[0, 0]).unwrap();
    assert_eq!(caller.call("listen", &[counter, 1]), Err(Errno::ENOTSOCK));
    assert_eq!(caller.call("socket", &[UNIX, 9, 0]), Err(Errno::EINVAL));
    assert_eq!(caller.call("socket", &[77, STREAM, 0]), Err(Errno::EAFNOSUPPORT));
    assert_eq!(caller.call("socket", &[UNIX, STREAM, 5]), Err(Errno::EPROTONOSUPPORT));
    let socket = caller.call("socket", &[UNIX, STREAM, 0]).unwrap();
    assert_eq!(send(&caller, socket, b"x"), Err(Errno::ENOTCONN));
    assert_eq!(receive(&caller, socket, 1, 0), Err(Errno::EINVAL));
    assert_eq!(caller.call("listen", &[socket, 1]), Err(Errno::EINVAL));
}

/// A chain of sockets, each of which lies in the inbox of the next, much longer than a stack is deep.
#[test]
fn a_long_chain_of_travelling_sockets_is_let_go() {
    let (world, caller) = setup();
    let [mut end, other] = pair(&caller, STREAM);
    caller.call("close", &[other]).unwrap();
    for _ in 0..400 {
        let [near, far] = pair(&caller, STREAM);
        send_files(&caller, near, &[end]).unwrap();
        caller.call("close", &[end]).unwrap();
        caller.call("close", &[near]).unwrap();
        end = far;
    }
    let in_flight = || world.task.process().namespaces().net.in_flight().count();
    assert_eq!(in_flight(), 400);
    caller.call("close", &[end]).unwrap();
    assert_eq!(in_flight(), 0);
}

#[test]
fn few_files_travel_at_once() {
    let (_world, caller) = setup();
    let [near, _far] = pair(&caller, STREAM);
    let limit = caller.put(&[8_u64.to_le_bytes(), 8_u64.to_le_bytes()].concat());
    assert_eq!(caller.call("prlimit64", &[0, 7, limit, 0]), Ok(0));
    let sent = (0..20).map(|_| send_files(&caller, near, &[near])).find(Result::is_err);
    // Root may.
    assert_eq!(sent, None);
    assert_eq!(caller.call("capset", &no_capabilities(&caller)), Ok(0));
    let sent = (0..20).map(|_| send_files(&caller, near, &[near])).find(Result::is_err);
    assert_eq!(sent, Some(Err(Errno::ETOOMANYREFS)));
}

fn no_capabilities(caller: &Caller) -> [u64; 2] {
    let head = caller.put(&[0x2008_0522_u32.to_le_bytes(), [0; 4]].concat());
    [head, caller.put(&[0; 24])]
}
