//! Routes, addresses and the interface (rtnetlink(7)).

use alloc::vec::Vec;

use super::message::{KINDS_START, Request, attribute};
use crate::Errno;
use crate::abi::Encoder;
use crate::net::{INET, INET6, UNSPEC};

/// Types of messages.
const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const GET_LINK: u16 = 18;
const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;
const GET_NEIGHBOURS: u16 = 30;
const GET_RULES: u16 = 34;
/// IFF_UP | IFF_LOOPBACK | IFF_RUNNING | IFF_LOWER_UP
const LINK_FLAGS: u32 = 0x1_0049;
/// RT_TABLE_LOCAL
const LOCAL_TABLE: u8 = 255;
/// RT_SCOPE_HOST
const HOST_SCOPE: u8 = 254;
const INDEX: u32 = 1;

/// Behind the last request of rtnetlink(7) (RTM_MAX).
const KINDS_END: u16 = 124;

/// What is sent back for a request.
pub(super) fn answer(request: &Request<'_>) -> Vec<Vec<u8>> {
    let family = request.body.first().copied().map_or(UNSPEC, u16::from);
    let dumps = request.dumps();
    let found = match request.kind {
        GET_LINK if dumps || asks_for_lo(request.body) => alloc::vec![(NEW_LINK, link())],
        GET_LINK => return request.refused(Errno::ENODEV),
        GET_ADDRESS if dumps => of_families(family, NEW_ADDRESS, address),
        GET_ROUTE if dumps => of_families(family, NEW_ROUTE, route),
        GET_NEIGHBOURS | GET_RULES if dumps => Vec::new(),
        0..KINDS_START => return request.acknowledged(),
        KINDS_END.. => return request.refused(Errno::EOPNOTSUPP),
        _ if request.kind % 4 != 2 => return request.refused(Errno::EPERM),
        _ => return request.refused(Errno::EOPNOTSUPP),
    };
    request.found(&found)
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
