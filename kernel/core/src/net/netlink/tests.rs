//! Reading interfaces, addresses and routes.

use alloc::vec::Vec;

use crate::Errno;
use crate::testing::{Caller, World};

const NETLINK: u64 = 16;
const DUMP: u16 = 0x301;

/// Asks, and gives the types and bodies of all messages of the answer.
fn ask(caller: &Caller, kind: u16, flags: u16, family: u8) -> Vec<(u16, Vec<u8>)> {
    let socket = caller.call("socket", &[NETLINK, 3, 0]).unwrap();
    let mut request = [&32_u32.to_le_bytes()[..], &kind.to_le_bytes(), &flags.to_le_bytes()].concat();
    request.extend_from_slice(&[7, 0, 0, 0, 0, 0, 0, 0, family]);
    request.resize(32, 0);
    let at = caller.put(&request);
    assert_eq!(caller.call("sendto", &[socket, at, 32, 0, 0, 0]), Ok(32));
    let room = caller.room(2048);
    let mut messages = Vec::new();
    while let Ok(len) = caller.call("recvfrom", &[socket, room, 2048, 0x40, 0, 0]) {
        let bytes = caller.bytes(room, usize::try_from(len).unwrap());
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let len = usize::try_from(u32::from_le_bytes(rest[..4].try_into().unwrap())).unwrap();
            assert_eq!(rest[8], 7);
            messages.push((u16::from_le_bytes([rest[4], rest[5]]), rest[16..len].to_vec()));
            rest = &rest[len.next_multiple_of(4)..];
        }
    }
    messages
}

fn kinds(messages: &[(u16, Vec<u8>)]) -> Vec<u16> {
    messages.iter().map(|(kind, _)| *kind).collect()
}

#[test]
fn there_is_one_interface() {
    let world = World::new();
    let caller = Caller::first(&world);
    let links = ask(&caller, 18, DUMP, 0);
    assert_eq!(kinds(&links), [16, 3]);
    assert!(links[0].1.windows(3).any(|part| part == b"lo\0"));
    assert_eq!(kinds(&ask(&caller, 22, DUMP, 0)), [20, 20, 3]);
    let addresses = ask(&caller, 22, DUMP, 2);
    assert_eq!(kinds(&addresses), [20, 3]);
    assert_eq!(addresses[0].1[..8], [2, 8, 0x80, 254, 1, 0, 0, 0]);
    assert_eq!(kinds(&ask(&caller, 26, DUMP, 10)), [24, 3]);
    assert_eq!(kinds(&ask(&caller, 30, DUMP, 0)), [3]);
}

#[test]
fn nothing_is_changed() {
    let world = World::new();
    let caller = Caller::first(&world);
    let refused = ask(&caller, 16, 5, 0);
    assert_eq!(kinds(&refused), [2]);
    assert_eq!(refused[0].1[..4], (-Errno::EPERM.raw()).to_le_bytes());
    assert_eq!(caller.call("socket", &[NETLINK, 3, 4]), Err(Errno::EPROTONOSUPPORT));
}

#[test]
fn requests_tell_of_the_interface() {
    let world = World::new();
    let caller = Caller::first(&world);
    let socket = caller.call("socket", &[2, 2, 0]).unwrap();
    let request = caller.put(&[b"lo".as_slice(), &[0; 38]].concat());
    assert_eq!(caller.call("ioctl", &[socket, 0x8933, request]), Ok(0));
    assert_eq!(caller.int(request + 16), 1);
    assert_eq!(caller.call("ioctl", &[socket, 0x8915, request]), Ok(0));
    assert_eq!(caller.bytes(request + 20, 4), [127, 0, 0, 1]);
    let other = caller.put(&[b"eth0".as_slice(), &[0; 36]].concat());
    assert_eq!(caller.call("ioctl", &[socket, 0x8913, other]), Err(Errno::ENODEV));
    let list = caller.room(40);
    let conf = caller.put(&[40_u64.to_le_bytes(), list.to_le_bytes()].concat());
    assert_eq!(caller.call("ioctl", &[socket, 0x8912, conf]), Ok(0));
    assert_eq!(caller.bytes(list, 3), b"lo\0");
}
