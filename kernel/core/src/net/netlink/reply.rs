//! Answers to requests of rtnetlink(7).

use alloc::vec::Vec;

use crate::Errno;
use crate::abi::{Decoder, Encoder};
use crate::net::{INET, INET6, UNSPEC};

/// Bytes of `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;
/// Types of messages.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const GET_LINK: u16 = 18;
const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;
const GET_NEIGHBOURS: u16 = 30;
const GET_RULES: u16 = 34;
/// Flags of messages.
const MULTI: u16 = 2;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;
/// IFF_UP | IFF_LOOPBACK | IFF_RUNNING | IFF_LOWER_UP
const LINK_FLAGS: u32 = 0x1_0049;
/// RT_TABLE_LOCAL
const LOCAL_TABLE: u8 = 255;
/// RT_SCOPE_HOST
const HOST_SCOPE: u8 = 254;
const INDEX: u32 = 1;

/// A request's header.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    header: &'a [u8],
    body: &'a [u8],
}

/// What is sent back for each request of a message.
pub(super) fn answers(bytes: &[u8], port: u32) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    let mut rest = bytes;
    while let Some((request, behind)) = next(rest) {
        answers.extend(answer(&request, port));
        rest = behind;
    }
    answers
}

fn next(bytes: &[u8]) -> Option<(Request<'_>, &[u8])> {
    if bytes.len() < HEADER_BYTES {
        return None;
    }
    let mut fields = Decoder::new(bytes);
    let (len, kind, flags, sequence): (u32, u16, u16, u32) =
        (fields.take(), fields.take(), fields.take(), fields.take());
    let len = usize::try_from(len).ok().filter(|len| (HEADER_BYTES..=bytes.len()).contains(len))?;
    let request = Request { kind, flags, sequence, header: &bytes[..HEADER_BYTES], body: &bytes[HEADER_BYTES..len] };
    Some((request, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// Behind the last request of rtnetlink(7) (RTM_MAX).
const KINDS_END: u16 = 124;

fn answer(request: &Request<'_>, port: u32) -> Vec<Vec<u8>> {
    let family = request.body.first().copied().map_or(UNSPEC, u16::from);
    let dumps = request.flags & DUMP == DUMP;
    let found = match request.kind {
        GET_LINK if dumps || asks_for_lo(request.body) => alloc::vec![(NEW_LINK, link())],
        GET_LINK => return alloc::vec![error(request, port, Some(Errno::ENODEV))],
        GET_ADDRESS if dumps => of_families(family, NEW_ADDRESS, address),
        GET_ROUTE if dumps => of_families(family, NEW_ROUTE, route),
        GET_NEIGHBOURS | GET_RULES if dumps => Vec::new(),
        // Types below those of requests are for the protocol itself and mean nothing here (NLMSG_MIN_TYPE).
        0..16 => return acknowledged(request, port),
        KINDS_END.. => return alloc::vec![error(request, port, Some(Errno::EOPNOTSUPP))],
        _ if request.kind % 4 != 2 => return alloc::vec![error(request, port, Some(Errno::EPERM))],
        _ => return alloc::vec![error(request, port, Some(Errno::EOPNOTSUPP))],
    };
    let flags = if dumps { MULTI } else { 0 };
    let listed = found.iter().flat_map(|(kind, body)| message(*kind, flags, request.sequence, port, body)).collect();
    let done = message(DONE, MULTI, request.sequence, port, &[0; 4]);
    let mut messages: Vec<Vec<u8>> = Vec::new();
    if !found.is_empty() {
        messages.push(listed);
    }
    if dumps {
        messages.push(done);
        return messages;
    }
    messages.extend(acknowledged(request, port));
    messages
}

fn acknowledged(request: &Request<'_>, port: u32) -> Vec<Vec<u8>> {
    let wanted = request.flags & ACKNOWLEDGE != 0;
    if wanted { alloc::vec![error(request, port, None)] } else { Vec::new() }
}

/// `struct nlmsgerr`: 0 is success.
fn error(request: &Request<'_>, port: u32, errno: Option<Errno>) -> Vec<u8> {
    let mut body = Encoder::with_capacity(36);
    body.put(-errno.map_or(0, Errno::raw)).bytes(request.header);
    if errno.is_some() {
        body.bytes(request.body);
    }
    message(ERROR, 0, request.sequence, port, &body.finish())
}

fn message(kind: u16, flags: u16, sequence: u32, port: u32, body: &[u8]) -> Vec<u8> {
    let len = HEADER_BYTES + body.len();
    let mut bytes = Encoder::with_capacity(len + 3);
    bytes.put(u32::try_from(len).unwrap_or(u32::MAX)).put(kind).put(flags).put(sequence).put(port).bytes(body);
    bytes.zeros(len.next_multiple_of(4) - len);
    bytes.finish()
}

fn attribute(to: &mut Encoder, kind: u16, value: &[u8]) {
    let len = 4 + value.len();
    to.put(u16::try_from(len).unwrap_or(u16::MAX)).put(kind).bytes(value);
    to.zeros(len.next_multiple_of(4) - len);
}

/// Whether a request for one interface means ours: by index, or by its name (IFLA_IFNAME).
fn asks_for_lo(body: &[u8]) -> bool {
    if body.len() < 16 {
        return false;
    }
    let index = u32::from_le_bytes([body[4], body[5], body[6], body[7]]);
    index == INDEX || index == 0 && body[16..].windows(7).any(|part| part == b"\x07\0\x03\0lo\0")
}

/// `struct ifinfomsg` of `lo`.
fn link() -> Vec<u8> {
    const LOOPBACK_HARDWARE: u16 = 772;
    const MTU: u32 = 65_536;
    let mut body = Encoder::new();
    body.zeros(2).put(LOOPBACK_HARDWARE).put(INDEX).put(LINK_FLAGS).put(0_u32);
    // IFLA_IFNAME, IFLA_TXQLEN, IFLA_OPERSTATE, IFLA_LINKMODE, IFLA_MTU, IFLA_QDISC, IFLA_ADDRESS, IFLA_BROADCAST
    attribute(&mut body, 3, b"lo\0");
    attribute(&mut body, 13, &1000_u32.to_le_bytes());
    attribute(&mut body, 16, &[0]);
    attribute(&mut body, 17, &[0]);
    attribute(&mut body, 4, &MTU.to_le_bytes());
    attribute(&mut body, 6, b"noqueue\0");
    attribute(&mut body, 1, &[0; 6]);
    attribute(&mut body, 2, &[0; 6]);
    body.finish()
}

fn of_families(family: u16, kind: u16, make: fn(Family) -> Vec<u8>) -> Vec<(u16, Vec<u8>)> {
    let families = [Family::V4, Family::V6].into_iter();
    families.filter(|own| family == UNSPEC || family == own.number()).map(|own| (kind, make(own))).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn number(self) -> u16 {
        if self == Self::V4 { INET } else { INET6 }
    }

    fn byte(self) -> u8 {
        if self == Self::V4 { 2 } else { 10 }
    }

    /// The address, the network that it stands for, and the bits of that.
    fn loopback(self) -> (&'static [u8], &'static [u8], u8) {
        const V6: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        if self == Self::V4 { (&[127, 0, 0, 1], &[127, 0, 0, 0], 8) } else { (V6, V6, 128) }
    }
}

/// `struct ifaddrmsg`.
fn address(family: Family) -> Vec<u8> {
    const PERMANENT: u8 = 0x80;
    let (address, _, bits) = family.loopback();
    let mut body = Encoder::new();
    body.put(family.byte()).put(bits).put(PERMANENT).put(HOST_SCOPE).put(INDEX);
    // IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_FLAGS
    attribute(&mut body, 1, address);
    if family == Family::V4 {
        attribute(&mut body, 2, address);
        attribute(&mut body, 3, b"lo\0");
    }
    attribute(&mut body, 8, &u32::from(PERMANENT).to_le_bytes());
    body.finish()
}

/// `struct rtmsg`.
fn route(family: Family) -> Vec<u8> {
    const FROM_KERNEL: u8 = 2;
    const LOCAL: u8 = 2;
    let (source, network, bits) = family.loopback();
    let mut body = Encoder::new();
    body.put([family.byte(), bits, 0, 0, LOCAL_TABLE, FROM_KERNEL, HOST_SCOPE, LOCAL]).put(0_u32);
    // RTA_TABLE, RTA_DST, RTA_PREFSRC, RTA_OIF
    attribute(&mut body, 15, &u32::from(LOCAL_TABLE).to_le_bytes());
    attribute(&mut body, 1, network);
    if family == Family::V4 {
        attribute(&mut body, 7, source);
    }
    attribute(&mut body, 4, &INDEX.to_le_bytes());
    body.finish()
}
