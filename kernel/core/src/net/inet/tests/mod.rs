//! Internet sockets, by way of system calls.

mod headers;
mod urgent;

use alloc::vec::Vec;

use crate::Errno;
use crate::testing::{Caller, World};

const INET: u64 = 2;
const INET6: u64 = 10;
const STREAM: u64 = 1;
const DATAGRAM: u64 = 2;
const NONBLOCK: u64 = 0o4000;
const DONT_WAIT: u64 = 0x40;
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

fn v4(caller: &Caller, ip: [u8; 4], port: u16) -> u64 {
    caller.put(&[&2_u16.to_le_bytes()[..], &port.to_be_bytes(), &ip, &[0; 8]].concat())
}

fn v6(caller: &Caller, last: u8, port: u16) -> u64 {
    let mut ip = [0; 16];
    ip[15] = last;
    caller.put(&[&10_u16.to_le_bytes()[..], &port.to_be_bytes(), &[0; 4], &ip, &[0; 4]].concat())
}

fn socket(caller: &Caller, family: u64, kind: u64) -> u64 {
    caller.call("socket", &[family, kind, 0]).unwrap()
}

fn listener(caller: &Caller, port: u16) -> u64 {
    let listener = socket(caller, INET, STREAM | NONBLOCK);
    assert_eq!(caller.call("bind", &[listener, v4(caller, LOOPBACK, port), 16]), Ok(0));
    assert_eq!(caller.call("listen", &[listener, 5]), Ok(0));
    listener
}

fn port_of(caller: &Caller, call: &str, fd: u64) -> u16 {
    let (at, len) = (caller.room(28), caller.put(&28_u32.to_le_bytes()));
    assert_eq!(caller.call(call, &[fd, at, len]), Ok(0));
    u16::from_be_bytes(caller.bytes(at + 2, 2).try_into().unwrap())
}

fn send(caller: &Caller, fd: u64, text: &[u8]) -> Result<u64, Errno> {
    let at = caller.put(text);
    caller.call("sendto", &[fd, at, text.len() as u64, DONT_WAIT | 0x4000, 0, 0])
}

fn receive(caller: &Caller, fd: u64) -> Result<Vec<u8>, Errno> {
    let at = caller.room(64);
    let count = caller.call("recvfrom", &[fd, at, 64, DONT_WAIT, 0, 0])?;
    Ok(caller.bytes(at, usize::try_from(count).unwrap()))
}

fn poll(caller: &Caller, fd: u64) -> u16 {
    let entry = caller.put(&[&u32::try_from(fd).unwrap().to_le_bytes()[..], &[0xff, 0x3f, 0, 0]].concat());
    caller.call("poll", &[entry, 1, 0]).unwrap();
    u16::from_le_bytes(caller.bytes(entry + 6, 2).try_into().unwrap())
}

fn setup() -> (World, Caller) {
    let world = World::new();
    let caller = Caller::first(&world);
    (world, caller)
}

#[test]
fn streams_connect_over_loopback() {
    let (_world, caller) = setup();
    let listener = listener(&caller, 8080);
    let client = socket(&caller, INET, STREAM);
    assert_eq!(poll(&caller, client), 0x114);
    assert_eq!(caller.call("connect", &[client, v4(&caller, [0; 4], 8080), 16]), Ok(0));
    assert_eq!(poll(&caller, listener), 0x41);
    let server = caller.call("accept", &[listener, 0, 0]).unwrap();
    assert_eq!(port_of(&caller, "getpeername", server), port_of(&caller, "getsockname", client));
    assert_eq!(send(&caller, client, b"ping"), Ok(4));
    assert_eq!(receive(&caller, server).unwrap(), b"ping");
    assert_eq!(poll(&caller, server), 0x104);
    assert_eq!(caller.call("shutdown", &[client, 1]), Ok(0));
    assert_eq!(poll(&caller, server), 0x2145);
    assert_eq!(send(&caller, server, b"pong"), Ok(4));
    caller.close(server);
    assert_eq!(receive(&caller, client).unwrap(), b"pong");
    assert_eq!(receive(&caller, client).unwrap(), b"");
}

#[test]
fn a_closed_peer_resets() {
    let (_world, caller) = setup();
    let listener = listener(&caller, 8080);
    let connect = || {
        let client = socket(&caller, INET, STREAM);
        assert_eq!(caller.call("connect", &[client, v4(&caller, LOOPBACK, 8080), 16]), Ok(0));
        (client, caller.call("accept", &[listener, 0, 0]).unwrap())
    };
    let (client, server) = connect();
    caller.close(server);
    assert_eq!(send(&caller, client, b"lost"), Ok(4));
    assert_eq!(send(&caller, client, b"late"), Err(Errno::EPIPE));
    let (client, server) = connect();
    send(&caller, client, b"unread").unwrap();
    caller.close(server);
    assert_eq!(receive(&caller, client), Err(Errno::ECONNRESET));
    let (client, server) = connect();
    let linger = caller.put(&[1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(caller.call("setsockopt", &[server, 1, 13, linger, 8]), Ok(0));
    caller.close(server);
    assert_eq!(receive(&caller, client), Err(Errno::ECONNRESET));
    caller.close(listener);
    let client = socket(&caller, INET, STREAM);
    assert_eq!(caller.call("connect", &[client, v4(&caller, LOOPBACK, 8080), 16]), Err(Errno::ECONNREFUSED));
    assert_eq!(caller.call("connect", &[client, v4(&caller, [8, 8, 8, 8], 80), 16]), Err(Errno::ENETUNREACH));
}

#[test]
fn who_does_not_wait_is_told_later() {
    let (_world, caller) = setup();
    let _listener = listener(&caller, 8080);
    let client = socket(&caller, INET, STREAM | NONBLOCK);
    let to = v4(&caller, LOOPBACK, 8080);
    assert_eq!(caller.call("connect", &[client, to, 16]), Err(Errno::EINPROGRESS));
    assert_eq!(poll(&caller, client), 0x104);
    assert_eq!(caller.call("connect", &[client, to, 16]), Ok(0));
    assert_eq!(caller.call("connect", &[client, to, 16]), Err(Errno::EISCONN));
    let refused = socket(&caller, INET, STREAM | NONBLOCK);
    assert_eq!(caller.call("connect", &[refused, v4(&caller, LOOPBACK, 81), 16]), Err(Errno::EINPROGRESS));
    assert_eq!(poll(&caller, refused) & 0x1d, 0x1d);
    let (error, len) = (caller.room(4), caller.put(&4_u32.to_le_bytes()));
    assert_eq!(caller.call("getsockopt", &[refused, 1, 4, error, len]), Ok(0));
    assert_eq!(caller.int(error), Errno::ECONNREFUSED.raw());
}

#[test]
fn ports_are_claimed_once_unless_reused() {
    let (_world, caller) = setup();
    let _first = listener(&caller, 8080);
    let bind = |fd: u64, at: u64, len: u64| caller.call("bind", &[fd, at, len]);
    let second = socket(&caller, INET, STREAM);
    assert_eq!(bind(second, v4(&caller, [0; 4], 8080), 16), Err(Errno::EADDRINUSE));
    assert_eq!(bind(second, v4(&caller, [127, 0, 0, 2], 8080), 16), Ok(0));
    let third = socket(&caller, INET6, STREAM);
    assert_eq!(bind(third, v6(&caller, 0, 8080), 28), Err(Errno::EADDRINUSE));
    let on = caller.put(&1_u32.to_le_bytes());
    assert_eq!(caller.call("setsockopt", &[third, 41, 26, on, 4]), Ok(0));
    assert_eq!(bind(third, v6(&caller, 0, 8080), 28), Ok(0));
    let [both, six] = [INET, INET6].map(|family| socket(&caller, family, STREAM));
    assert_eq!(caller.call("setsockopt", &[six, 41, 26, on, 4]), Ok(0));
    assert_eq!(bind(both, v4(&caller, [0; 4], 8081), 16), Ok(0));
    assert_eq!(bind(six, v6(&caller, 0, 8081), 28), Ok(0), "any address of either version");
    assert_eq!(bind(socket(&caller, INET, STREAM), v4(&caller, [1, 2, 3, 4], 80), 16), Err(Errno::EADDRNOTAVAIL));
    let reused = [(); 2].map(|()| socket(&caller, INET, STREAM));
    for fd in reused {
        assert_eq!(caller.call("setsockopt", &[fd, 1, 15, on, 4]), Ok(0));
        assert_eq!(bind(fd, v4(&caller, LOOPBACK, 9000), 16), Ok(0));
        assert_eq!(caller.call("listen", &[fd, 1]), Ok(0));
    }
    let any = socket(&caller, INET, STREAM);
    assert_eq!(caller.call("listen", &[any, 1]), Ok(0));
    assert!(port_of(&caller, "getsockname", any) >= 32_768);
}

#[test]
fn version_6_sockets_speak_both() {
    let (_world, caller) = setup();
    let listener = socket(&caller, INET6, STREAM | NONBLOCK);
    assert_eq!(caller.call("bind", &[listener, v6(&caller, 0, 7000), 28]), Ok(0));
    assert_eq!(caller.call("listen", &[listener, 5]), Ok(0));
    let old = socket(&caller, INET, STREAM);
    assert_eq!(caller.call("connect", &[old, v4(&caller, LOOPBACK, 7000), 16]), Ok(0));
    let (from, len) = (caller.room(28), caller.put(&28_u32.to_le_bytes()));
    caller.call("accept", &[listener, from, len]).unwrap();
    assert_eq!(caller.bytes(from + 18, 6), [0xff, 0xff, 127, 0, 0, 1]);
    let new = socket(&caller, INET6, STREAM);
    assert_eq!(caller.call("connect", &[new, v6(&caller, 1, 7000), 28]), Ok(0));
    assert_eq!(caller.call("accept", &[listener, from, len]).map(drop), Ok(()));
    assert_eq!(caller.bytes(from + 8, 16)[15], 1);
}

#[test]
fn datagrams_say_where_they_come_from() {
    let (_world, caller) = setup();
    let (a, b) = (socket(&caller, INET, DATAGRAM), socket(&caller, INET, DATAGRAM));
    assert_eq!(caller.call("bind", &[a, v4(&caller, [0; 4], 53), 16]), Ok(0));
    let data = caller.put(b"query");
    assert_eq!(caller.call("sendto", &[b, data, 5, 0, v4(&caller, LOOPBACK, 53), 16]), Ok(5));
    let (room, from, len) = (caller.room(8), caller.room(16), caller.put(&16_u32.to_le_bytes()));
    assert_eq!(caller.call("recvfrom", &[a, room, 8, 0, from, len]), Ok(5));
    assert_eq!(caller.call("sendto", &[a, data, 2, 0, from, 16]), Ok(2));
    assert_eq!(receive(&caller, b).unwrap(), b"qu");
    assert_eq!(caller.call("sendto", &[b, data, 65_508, 0, from, 16]), Err(Errno::EMSGSIZE));
    assert_eq!(caller.call("connect", &[b, v4(&caller, LOOPBACK, 54), 16]), Ok(0));
    assert_eq!(send(&caller, b, b"nobody"), Ok(6));
    assert_eq!(send(&caller, b, b"hears"), Err(Errno::ECONNREFUSED));
    assert_eq!(send(&caller, socket(&caller, INET, DATAGRAM), b"x"), Err(Errno::EDESTADDRREQ));
}

#[test]
fn a_dissolved_association_frees_what_was_not_bound() {
    let (_world, caller) = setup();
    let unspecified = caller.put(&[0; 16]);
    let datagrams = socket(&caller, INET6, DATAGRAM);
    assert_eq!(caller.call("connect", &[datagrams, v6(&caller, 1, 9000), 28]), Ok(0));
    assert_ne!(port_of(&caller, "getsockname", datagrams), 0);
    assert_eq!(caller.call("connect", &[datagrams, unspecified, 16]), Ok(0));
    let (at, len) = (caller.room(28), caller.put(&28_u32.to_le_bytes()));
    assert_eq!(caller.call("getsockname", &[datagrams, at, len]), Ok(0));
    assert_eq!(caller.bytes(at + 2, 26), [0; 26]);
    // The other family is then as good as new (getaddrinfo(3) of glibc counts on it).
    assert_eq!(caller.call("connect", &[datagrams, v4(&caller, LOOPBACK, 9000), 16]), Ok(0));
    assert_eq!(caller.call("getsockname", &[datagrams, at, len]), Ok(0));
    assert_eq!(caller.bytes(at + 18, 6), [0xff, 0xff, 127, 0, 0, 1]);
    let bound = socket(&caller, INET, DATAGRAM);
    assert_eq!(caller.call("bind", &[bound, v4(&caller, LOOPBACK, 9001), 16]), Ok(0));
    assert_eq!(caller.call("connect", &[bound, v4(&caller, LOOPBACK, 9000), 16]), Ok(0));
    assert_eq!(caller.call("connect", &[bound, unspecified, 16]), Ok(0));
    assert_eq!(port_of(&caller, "getsockname", bound), 9001);
}

#[test]
fn buffers_are_as_small_as_asked_for() {
    let (_world, caller) = setup();
    let listener = listener(&caller, 8080);
    let client = socket(&caller, INET, STREAM);
    let small = caller.put(&4096_i32.to_le_bytes());
    assert_eq!(caller.call("setsockopt", &[listener, 1, 8, small, 4]), Ok(0));
    assert_eq!(caller.call("connect", &[client, v4(&caller, LOOPBACK, 8080), 16]), Ok(0));
    let server = caller.call("accept", &[listener, 0, 0]).unwrap();
    assert_eq!(caller.call("setsockopt", &[client, 1, 7, small, 4]), Ok(0));
    assert_eq!(send(&caller, client, &[1; 10_000]), Ok(8192));
    assert_eq!(send(&caller, client, b"x"), Err(Errno::EAGAIN));
    // What is closed before it was read is answered with a reset.
    caller.close(server);
    assert_eq!(send(&caller, client, b"x"), Err(Errno::ECONNRESET));
}

#[test]
fn a_reset_leaves_data_and_no_peer() {
    let (_world, caller) = setup();
    let listener = listener(&caller, 8080);
    let client = socket(&caller, INET, STREAM);
    assert_eq!(caller.call("connect", &[client, v4(&caller, LOOPBACK, 8080), 16]), Ok(0));
    assert_eq!(send(&caller, client, b"data"), Ok(4));
    let linger = caller.put([1_i32, 0].map(i32::to_le_bytes).as_flattened());
    assert_eq!(caller.call("setsockopt", &[client, 1, 13, linger, 8]), Ok(0));
    let own = port_of(&caller, "getsockname", client);
    caller.close(client);
    let (at, len) = (caller.room(16), caller.put(&16_u32.to_le_bytes()));
    let server = caller.call("accept", &[listener, at, len]).unwrap();
    assert_eq!(caller.bytes(at + 2, 2), own.to_be_bytes());
    assert_eq!(caller.call("getpeername", &[server, at, len]), Err(Errno::ENOTCONN));
    assert_eq!(receive(&caller, server).unwrap(), b"data");
    assert_eq!(receive(&caller, server), Err(Errno::ECONNRESET));
}
