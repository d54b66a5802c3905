//! Options of TCP, UDP and the internet protocol. Most concern packets, of which there are none: they are kept.

use alloc::collections::BTreeMap;

use crate::Errno;
use crate::net::{INET, INET6};

use super::Protocol;

pub(super) const IP: u32 = 0;
const TCP: u32 = 6;
const UDP: u32 = 17;
pub(super) const IPV6: u32 = 41;
const UDP_LITE: u32 = 136;
/// IPV6_V6ONLY
const V6_ONLY: (u32, u32) = (IPV6, 26);

/// Level, name and first value of those that are known (tcp(7), udp(7), ip(7), ipv6(7)).
const KNOWN: &[(u32, u32, i32)] = &[
    // TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2
    (TCP, 1, 0),
    (TCP, 2, 0),
    (TCP, 3, 0),
    (TCP, 4, 7200),
    (TCP, 5, 75),
    (TCP, 6, 9),
    (TCP, 7, 6),
    (TCP, 8, 60),
    // TCP_DEFER_ACCEPT, TCP_WINDOW_CLAMP, TCP_QUICKACK, TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_NOTSENT_LOWAT
    (TCP, 9, 0),
    (TCP, 10, 0),
    (TCP, 12, 1),
    (TCP, 18, 0),
    (TCP, 23, 0),
    (TCP, 25, 0),
    // TCP_THIN_LINEAR_TIMEOUTS, TCP_THIN_DUPACK, TCP_SAVE_SYN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE
    (TCP, 16, 0),
    (TCP, 17, 0),
    (TCP, 27, 0),
    (TCP, 30, 0),
    (TCP, 34, 0),
    // UDP_CORK, UDP_NO_CHECK6_TX, UDP_NO_CHECK6_RX, UDP_GRO
    (UDP, 1, 0),
    (UDP, 101, 0),
    (UDP, 102, 0),
    (UDP, 104, 0),
    // UDP_CORK, UDPLITE_SEND_CSCOV, UDPLITE_RECV_CSCOV
    (UDP_LITE, 1, 0),
    (UDP_LITE, 10, 0),
    (UDP_LITE, 11, 0),
    // IP_TOS, IP_TTL, IP_PKTINFO, IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTTL, IP_RECVTOS, IP_FREEBIND
    (IP, 1, 0),
    (IP, 2, 64),
    (IP, 8, 0),
    (IP, 10, 1),
    (IP, 11, 0),
    (IP, 12, 0),
    (IP, 13, 0),
    (IP, 15, 0),
    // IP_RECVOPTS, IP_RETOPTS, IP_PASSSEC, IP_MINTTL, IP_RECVFRAGSIZE, IP_RECVERR_RFC4884, IP_MULTICAST_ALL
    (IP, 6, 0),
    (IP, 7, 0),
    (IP, 18, 0),
    (IP, 21, 0),
    (IP, 25, 0),
    (IP, 26, 0),
    (IP, 49, 1),
    // IP_TRANSPARENT, IP_BIND_ADDRESS_NO_PORT, IP_MULTICAST_TTL, IP_MULTICAST_LOOP
    (IP, 19, 0),
    (IP, 24, 0),
    (IP, 33, 1),
    (IP, 34, 1),
    // IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_MTU_DISCOVER, IPV6_RECVERR, IPV6_V6ONLY
    (IPV6, 16, 64),
    (IPV6, 18, 1),
    (IPV6, 19, 1),
    (IPV6, 23, 1),
    (IPV6, 25, 0),
    (IPV6, 26, 0),
    // IPV6_MULTICAST_ALL, IPV6_ROUTER_ALERT_ISOLATE, IPV6_RECVERR_RFC4884, IPV6_FLOWINFO_SEND, IPV6_RECVHOPOPTS
    (IPV6, 29, 1),
    (IPV6, 30, 0),
    (IPV6, 31, 0),
    (IPV6, 33, 0),
    (IPV6, 53, 0),
    // IPV6_RECVRTHDR, IPV6_RECVDSTOPTS, IPV6_RECVPATHMTU, IPV6_DONTFRAG, IPV6_AUTOFLOWLABEL
    (IPV6, 56, 0),
    (IPV6, 58, 0),
    (IPV6, 60, 0),
    (IPV6, 62, 0),
    (IPV6, 70, 1),
    // IPV6_MINHOPCOUNT, IPV6_TRANSPARENT, IPV6_RECVFRAGSIZE, IPV6_FREEBIND
    (IPV6, 73, 0),
    (IPV6, 75, 0),
    (IPV6, 77, 0),
    (IPV6, 78, 0),
    // IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_TCLASS
    (IPV6, 49, 0),
    (IPV6, 51, 0),
    (IPV6, 66, 0),
    (IPV6, 67, 0),
];

/// Ways to control congestion, of which there is none. The first is a socket's own.
const CONGESTION: [&str; 2] = ["cubic", "reno"];
/// TCP_CONGESTION, as the place of a name above.
const CHOSEN_CONGESTION: (u32, u32) = (TCP, 13);

/// The options that were changed.
#[derive(Clone, Debug, Default)]
pub(super) struct ProtocolOptions(BTreeMap<(u32, u32), i32>);

impl ProtocolOptions {
    /// Whether `::` stands for addresses of version 6 only.
    pub fn is_only_v6(&self) -> bool {
        self.0.get(&V6_ONLY).is_some_and(|value| *value != 0)
    }

    /// How congestion is controlled (TCP_CONGESTION).
    pub fn congestion(&self) -> &'static str {
        let chosen = self.0.get(&CHOSEN_CONGESTION).copied().and_then(|at| usize::try_from(at).ok());
        CONGESTION[chosen.unwrap_or(0)]
    }

    /// Changes that: `ENOENT` where there is no way of that name.
    pub fn set_congestion(&mut self, name: &[u8]) -> Result<(), Errno> {
        let at = CONGESTION.iter().zip(0..).find(|(known, _)| known.as_bytes() == name).ok_or(Errno::ENOENT)?.1;
        self.0.insert(CHOSEN_CONGESTION, at);
        Ok(())
    }

    /// Whether an option cannot change once a socket has a port.
    pub fn is_fixed_by_bind(level: u32, name: u32) -> bool {
        (level, name) == V6_ONLY
    }

    /// The value of an option.
    pub fn get(&self, family: u16, protocol: Protocol, level: u32, name: u32) -> Result<i32, Errno> {
        // Only IPv4 tells a level that is not its own from an option that it does not know.
        let own_levels: &[u32] = match protocol {
            Protocol::Tcp => &[IP, TCP],
            Protocol::Udp | Protocol::UdpLite => &[IP, UDP, UDP_LITE],
            Protocol::Other => &[IP],
        };
        let other_level = family == INET && !own_levels.contains(&level);
        let unknown = if other_level { Errno::EOPNOTSUPP } else { Errno::ENOPROTOOPT };
        let first = find(family, protocol, level, name).map_err(|_| unknown)?;
        Ok(self.0.get(&(level, name)).copied().unwrap_or(first))
    }

    /// The value of an option that is known.
    pub fn value(&self, level: u32, name: u32) -> i32 {
        let first = || KNOWN.iter().find(|known| (known.0, known.1) == (level, name)).map_or(0, |known| known.2);
        self.0.get(&(level, name)).copied().unwrap_or_else(first)
    }

    /// Changes an option.
    pub fn set(&mut self, family: u16, protocol: Protocol, level: u32, name: u32, value: i32) -> Result<(), Errno> {
        find(family, protocol, level, name)?;
        self.0.insert((level, name), within(level, name, value)?);
        Ok(())
    }
}

/// What is kept of a value: `EINVAL` outside what tcp(7) and ip(7) allow.
fn within(level: u32, name: u32, value: i32) -> Result<i32, Errno> {
    let allowed = match (level, name) {
        // TCP_KEEPIDLE, TCP_KEEPINTVL: MAX_TCP_KEEPIDLE
        (TCP, 4 | 5) => 1..=32_767,
        // TCP_MAXSEG: TCP_MIN_MSS, MAX_TCP_WINDOW
        (TCP, 2) if value != 0 => 88..=32_767,
        // TCP_WINDOW_CLAMP: half of SOCK_MIN_RCVBUF
        (TCP, 10) => return Ok(value.max(1152)),
        // TCP_THIN_DUPACK is obsolete.
        (TCP, 17) if value == 0 || value == 1 => return Ok(0),
        // TCP_THIN_LINEAR_TIMEOUTS, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE, TCP_SAVE_SYN
        (TCP, 16 | 17 | 30 | 34) => 0..=1,
        (TCP, 27) => 0..=2,
        // IP_MINTTL, IPV6_MINHOPCOUNT
        (IP, 21) | (IPV6, 73) => 0..=255,
        // TCP_KEEPCNT, TCP_SYNCNT
        (TCP, 6 | 7) => 1..=127,
        (IP, 2) if value == -1 => return Ok(64),
        (IP, 2) => 1..=255,
        // TCP_NODELAY, TCP_CORK
        (TCP, 1 | 3) => return Ok(i32::from(value != 0)),
        // udplite(7): from 8 to 65,535 bytes, or all.
        (UDP_LITE, 10 | 11) if value != 0 => return Ok(value.clamp(8, 65_535)),
        _ => return Ok(value),
    };
    if allowed.contains(&value) { Ok(value) } else { Err(Errno::EINVAL) }
}

fn find(family: u16, protocol: Protocol, level: u32, name: u32) -> Result<i32, Errno> {
    let fits = match level {
        TCP => protocol == Protocol::Tcp,
        UDP => matches!(protocol, Protocol::Udp | Protocol::UdpLite),
        UDP_LITE => protocol == Protocol::UdpLite,
        IPV6 => family == INET6,
        _ => true,
    };
    let known = KNOWN.iter().find(|(known, option, _)| (*known, *option) == (level, name) && fits);
    known.map(|(_, _, value)| *value).ok_or(Errno::ENOPROTOOPT)
}
