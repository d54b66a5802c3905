//! Out-of-band data of TCP.

use super::*;

const OUT_OF_BAND: u64 = 1;
const SIOCATMARK: u64 = 0x8905;

fn pair(caller: &Caller) -> [u64; 2] {
    let listener = listener(caller, 8080);
    let client = socket(caller, INET, STREAM);
    assert_eq!(caller.call("connect", &[client, v4(caller, LOOPBACK, 8080), 16]), Ok(0));
    [client, caller.call("accept", &[listener, 0, 0]).unwrap()]
}

fn send_urgent(caller: &Caller, fd: u64, text: &[u8]) {
    let at = caller.put(text);
    assert_eq!(caller.call("sendto", &[fd, at, text.len() as u64, OUT_OF_BAND, 0, 0]), Ok(text.len() as u64));
}

fn receive_urgent(caller: &Caller, fd: u64) -> Result<u8, Errno> {
    let at = caller.room(1);
    assert_eq!(caller.call("recvfrom", &[fd, at, 1, OUT_OF_BAND, 0, 0])?, 1);
    Ok(caller.bytes(at, 1)[0])
}

fn is_at_mark(caller: &Caller, fd: u64) -> bool {
    let at = caller.room(4);
    assert_eq!(caller.call("ioctl", &[fd, SIOCATMARK, at]), Ok(0));
    caller.int(at) == 1
}

#[test]
fn the_last_byte_is_read_apart() {
    let (_world, caller) = setup();
    let [client, server] = pair(&caller);
    assert_eq!(receive_urgent(&caller, server), Err(Errno::EINVAL));
    send_urgent(&caller, client, b"abc");
    assert_eq!(send(&caller, client, b"def"), Ok(3));
    assert_eq!(poll(&caller, server), 0x147);
    assert_eq!(receive(&caller, server).unwrap(), b"ab");
    assert!(is_at_mark(&caller, server));
    assert_eq!(receive_urgent(&caller, server), Ok(b'c'));
    assert_eq!(receive_urgent(&caller, server), Err(Errno::EINVAL));
    assert_eq!(poll(&caller, server), 0x145);
    assert_eq!(receive(&caller, server).unwrap(), b"def");
    assert!(!is_at_mark(&caller, server));
}

#[test]
fn alone_it_is_nothing_to_read() {
    let (_world, caller) = setup();
    let [client, server] = pair(&caller);
    send_urgent(&caller, client, b"!");
    assert_eq!(poll(&caller, server), 0x106);
    assert_eq!(receive(&caller, server), Err(Errno::EAGAIN));
    assert_eq!(send(&caller, client, b"x"), Ok(1));
    assert_eq!(receive(&caller, server).unwrap(), b"x");
    // Whoever reads past it loses it.
    assert_eq!(receive_urgent(&caller, server), Err(Errno::EINVAL));
    assert_eq!(poll(&caller, server), 0x104);
}

#[test]
fn it_may_come_with_all_other_data() {
    let (_world, caller) = setup();
    let [client, server] = pair(&caller);
    let on = caller.put(&1_i32.to_le_bytes());
    assert_eq!(caller.call("setsockopt", &[server, 1, 10, on, 4]), Ok(0));
    send_urgent(&caller, client, b"abc");
    assert_eq!(receive_urgent(&caller, server), Err(Errno::EINVAL));
    assert_eq!(receive(&caller, server).unwrap(), b"ab");
    assert_eq!(receive(&caller, server).unwrap(), b"c");
}

#[test]
fn datagrams_have_none() {
    let (_world, caller) = setup();
    let datagrams = socket(&caller, INET, DATAGRAM);
    let at = caller.put(b"x");
    let to = v4(&caller, LOOPBACK, 9);
    assert_eq!(caller.call("sendto", &[datagrams, at, 1, OUT_OF_BAND, to, 16]), Err(Errno::EOPNOTSUPP));
}
