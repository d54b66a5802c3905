//! What control messages say of a datagram's headers, and UDP-Lite.

use super::*;

const IPV6: u64 = 41;
const UDP_LITE: u64 = 136;
const HOP_LIMIT: u32 = 52;
const TRAFFIC_CLASS: u32 = 67;
const CONTROL_TRUNCATED: u32 = 8;

fn set(caller: &Caller, fd: u64, level: u64, name: u64, value: i32) {
    let at = caller.put(&value.to_le_bytes());
    assert_eq!(caller.call("setsockopt", &[fd, level, name, at, 4]), Ok(0));
}

fn message(caller: &Caller, control: u64, control_len: u64) -> u64 {
    let data = caller.put(b"data");
    let vector = caller.put([data, 4].map(u64::to_le_bytes).as_flattened());
    caller.put([0, 0, vector, 1, control, control_len, 0].map(u64::to_le_bytes).as_flattened())
}

fn control(kind: u32, value: i32) -> Vec<u8> {
    [&20_u64.to_le_bytes()[..], &41_u32.to_le_bytes(), &kind.to_le_bytes(), &value.to_le_bytes(), &[0; 4]].concat()
}

/// Sends with control messages, and receives with room for them: the flags, and the control messages that came.
fn exchange(caller: &Caller, controls: &[u8], room: u64) -> (u32, Vec<u8>) {
    let [from, to] = [(); 2].map(|()| socket(caller, INET6, DATAGRAM));
    let address = v6(caller, 1, 9000);
    assert_eq!(caller.call("bind", &[to, address, 28]), Ok(0));
    assert_eq!(caller.call("connect", &[from, address, 28]), Ok(0));
    set(caller, to, IPV6, 51, 1);
    set(caller, to, IPV6, 66, 1);
    let sent = message(caller, caller.put(controls), controls.len() as u64);
    assert_eq!(caller.call("sendmsg", &[from, sent, 0]), Ok(4));
    let at = caller.room(128);
    let header = message(caller, at, room);
    assert_eq!(caller.call("recvmsg", &[to, header, DONT_WAIT]), Ok(4));
    caller.close(to);
    let field = |at: usize| u64::from_le_bytes(caller.bytes(header + at as u64, 8).try_into().unwrap());
    let len = usize::try_from(field(40)).unwrap();
    (u32::try_from(field(48) & 0xffff_ffff).unwrap(), caller.bytes(at, len))
}

#[test]
fn hops_and_class_travel_with_datagrams() {
    let (_world, caller) = setup();
    let both = [control(HOP_LIMIT, 64), control(TRAFFIC_CLASS, 0)].concat();
    assert_eq!(exchange(&caller, &[], 128), (0, both));
    let chosen = [control(HOP_LIMIT, 2), control(TRAFFIC_CLASS, 7)].concat();
    assert_eq!(exchange(&caller, &chosen, 128), (0, chosen.clone()));
    let usual = [control(TRAFFIC_CLASS, -1), control(HOP_LIMIT, 2)].concat();
    assert_eq!(exchange(&caller, &usual, 128).1, [control(HOP_LIMIT, 2), control(TRAFFIC_CLASS, 0)].concat());
}

#[test]
fn control_messages_are_cut_where_the_room_ends() {
    let (_world, caller) = setup();
    assert_eq!(exchange(&caller, &[], 15), (CONTROL_TRUNCATED, Vec::new()));
    let (flags, came) = exchange(&caller, &[], 24 + 18);
    assert_eq!((flags, came.len()), (CONTROL_TRUNCATED, 42));
    assert_eq!(came[24..32], 18_u64.to_le_bytes());
}

#[test]
fn wrong_headers_are_refused() {
    let (_world, caller) = setup();
    let from = socket(&caller, INET6, DATAGRAM);
    assert_eq!(caller.call("connect", &[from, v6(&caller, 1, 9000), 28]), Ok(0));
    for wrong in [control(HOP_LIMIT, 256), control(TRAFFIC_CLASS, -2), control(99, 0)] {
        let sent = message(&caller, caller.put(&wrong), wrong.len() as u64);
        assert_eq!(caller.call("sendmsg", &[from, sent, 0]), Err(Errno::EINVAL));
    }
}

#[test]
fn udp_lite_has_ports_of_its_own() {
    let (_world, caller) = setup();
    let lite = || caller.call("socket", &[INET, DATAGRAM, UDP_LITE]).unwrap();
    let (plain, to, from) = (socket(&caller, INET, DATAGRAM), lite(), lite());
    let address = v4(&caller, LOOPBACK, 9000);
    assert_eq!(caller.call("bind", &[plain, address, 16]), Ok(0));
    assert_eq!(caller.call("bind", &[to, address, 16]), Ok(0));
    let at = caller.put(b"lite");
    assert_eq!(caller.call("sendto", &[from, at, 4, 0, address, 16]), Ok(4));
    assert_eq!(receive(&caller, plain), Err(Errno::EAGAIN));
    assert_eq!(receive(&caller, to).unwrap(), b"lite");
    set(&caller, to, UDP_LITE, 10, 3);
    let (value, len) = (caller.room(4), caller.put(&4_u32.to_le_bytes()));
    assert_eq!(caller.call("getsockopt", &[to, UDP_LITE, 10, value, len]), Ok(0));
    assert_eq!(caller.int(value), 8);
    assert_eq!(caller.call("getsockopt", &[plain, UDP_LITE, 10, value, len]), Err(Errno::ENOPROTOOPT));
}
