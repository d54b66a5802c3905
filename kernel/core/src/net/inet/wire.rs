//! Packets as they are on a wire (RFC 791, RFC 8200), for sockets that see headers: those of raw(7) and packet(7).

use alloc::vec::Vec;

use crate::Errno;
use crate::net::Ip;

/// IPPROTO_ICMP
pub const ICMP: u8 = 1;
/// IPPROTO_UDP
pub const UDP: u8 = 17;
/// IPPROTO_ICMPV6
pub const ICMP_V6: u8 = 58;
/// Of the internet protocol's versions.
const V4_BYTES: usize = 20;
const V6_BYTES: usize = 40;
/// Of UDP.
const UDP_BYTES: usize = 8;
/// What a packet of version 4 is in all.
pub const PACKET_BYTES_MAX: usize = 65_535;
/// IP_DF
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// From where.
    pub from: Ip,
    /// To where.
    pub to: Ip,
    /// What is behind it.
    pub protocol: u8,
    /// TTL or hop limit.
    pub hops: u8,
    /// TOS or traffic class.
    pub class: u8,
}

/// A packet, whole and well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpPacket {
    bytes: Vec<u8>,
    header_len: usize,
    head: Head,
}

impl IpPacket {
    /// Of a version that its addresses say.
    pub fn new(head: Head, payload: &[u8]) -> Self {
        let header = match (head.from.to_v4(), head.to.to_v4()) {
            (Some(from), Some(to)) => v4_header(&head, from, to, payload.len()),
            _ => v6_header(&head, payload.len()),
        };
        Self { header_len: header.len(), bytes: [&header[..], payload].concat(), head }
    }

    /// A datagram of UDP.
    pub fn udp(head: Head, ports: [u16; 2], payload: &[u8]) -> Self {
        let head = Head { protocol: UDP, ..head };
        let mut bytes = Vec::with_capacity(UDP_BYTES + payload.len());
        ports.iter().for_each(|port| bytes.extend(port.to_be_bytes()));
        bytes.extend(low_u16(UDP_BYTES + payload.len()).to_be_bytes());
        bytes.extend([0; 2]);
        bytes.extend(payload);
        // Nothing at all would mean that there is none.
        let checksum = match pseudo_checksum(&head, &bytes) {
            0 => u16::MAX,
            checksum => checksum,
        };
        bytes[6..8].copy_from_slice(&checksum.to_be_bytes());
        Self::new(head, &bytes)
    }

    /// Of version 4, as a program made it (IP_HDRINCL of raw(7)): its length, its checksum, and what it left zero are
    /// filled in.
    pub fn of_program(mut bytes: Vec<u8>, from: Ip) -> Result<Self, Errno> {
        if bytes.len() < V4_BYTES {
            return Err(Errno::EINVAL);
        }
        let header_len = usize::from(bytes[0] & 0xf) * 4;
        if !(V4_BYTES..=bytes.len()).contains(&header_len) {
            return Err(Errno::EINVAL);
        }
        if bytes[12..16] == [0; 4] {
            bytes[12..16].copy_from_slice(&from.to_v4().unwrap_or_default());
        }
        let len = low_u16(bytes.len()).to_be_bytes();
        bytes[2..4].copy_from_slice(&len);
        bytes[10..12].fill(0);
        let sum = checksum(&[&bytes[..header_len]]).to_be_bytes();
        bytes[10..12].copy_from_slice(&sum);
        Ok(Self { head: v4_head(&bytes), bytes, header_len })
    }

    /// What came in a frame; nothing when it is damaged.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    fn parse_v4(bytes: &[u8]) -> Option<Self> {
        let header_len = usize::from(bytes[0] & 0xf) * 4;
        if header_len < V4_BYTES || bytes.len() < header_len || checksum(&[&bytes[..header_len]]) != 0 {
            return None;
        }
        let len = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        let bytes = bytes.get(..len).filter(|_| len >= header_len)?.to_vec();
        Some(Self { head: v4_head(&bytes), bytes, header_len })
    }

    fn parse_v6(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < V6_BYTES {
            return None;
        }
        let len = V6_BYTES + usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        let bytes = bytes.get(..len)?.to_vec();
        let address = |at: usize| bytes[at..at + 16].try_into().map(Ip).unwrap_or_default();
        let class = bytes[0] << 4 | bytes[1] >> 4;
        let head = Head { from: address(8), to: address(24), protocol: bytes[6], hops: bytes[7], class };
        Some(Self { bytes, header_len: V6_BYTES, head })
    }

    /// What its header says.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is behind its header.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.header_len..]
    }

    /// Whether it is of version 4.
    pub fn is_v4(&self) -> bool {
        self.bytes[0] >> 4 == 4
    }

    /// The ports and the data of a datagram of UDP; nothing when it is damaged.
    pub fn datagram(&self) -> Option<([u16; 2], &[u8])> {
        let payload = self.payload();
        let header = payload.first_chunk::<UDP_BYTES>()?;
        let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let len = usize::from(field(4));
        let datagram = payload.get(..len).filter(|_| len >= UDP_BYTES)?;
        if field(6) != 0 && pseudo_checksum(&self.head, datagram) != 0 {
            return None;
        }
        Some(([field(0), field(2)], &datagram[UDP_BYTES..]))
    }
}

fn v4_head(bytes: &[u8]) -> Head {
    let address = |at: usize| Ip::v4([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Head { from: address(12), to: address(16), protocol: bytes[9], hops: bytes[8], class: bytes[1] }
}

fn v4_header(head: &Head, from: [u8; 4], to: [u8; 4], payload_len: usize) -> Vec<u8> {
    let [high, low] = low_u16(V4_BYTES + payload_len).to_be_bytes();
    let mut bytes = alloc::vec![0x45, head.class, high, low, 0, 0];
    bytes.extend(DONT_FRAGMENT);
    bytes.extend([head.hops, head.protocol, 0, 0]);
    bytes.extend(from);
    bytes.extend(to);
    let sum = checksum(&[&bytes]).to_be_bytes();
    bytes[10..12].copy_from_slice(&sum);
    bytes
}

fn v6_header(head: &Head, payload_len: usize) -> Vec<u8> {
    let mut bytes = alloc::vec![0x60 | head.class >> 4, head.class << 4, 0, 0];
    bytes.extend(low_u16(payload_len).to_be_bytes());
    bytes.extend([head.protocol, head.hops]);
    bytes.extend(head.from.0);
    bytes.extend(head.to.0);
    bytes
}

/// A length that fits its field, which the callers see to.
fn low_u16(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

/// The internet checksum (RFC 1071). Parts but the last have even lengths.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u64 = words.map(|word| u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]))).sum();
    let mut sum = sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The same with the addresses before the data (RFC 768; RFC 8200, 8.1).
pub fn pseudo_checksum(head: &Head, data: &[u8]) -> u16 {
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes();
    let behind = [0, 0, 0, head.protocol];
    match (head.from.to_v4(), head.to.to_v4()) {
        (Some(from), Some(to)) => checksum(&[&from, &to, &behind, &len, data]),
        _ => checksum(&[&head.from.0, &head.to.0, &behind, &len, data]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { from: Ip::LOOPBACK_V4, to: Ip::LOOPBACK_V4, protocol: ICMP, hops: 64, class: 0 };

    #[test]
    fn packets_come_back() {
        let v4 = IpPacket::new(HEAD, b"data");
        assert_eq!(IpPacket::parse(v4.bytes()), Some(v4.clone()));
        assert_eq!((v4.payload(), v4.bytes().len()), (&b"data"[..], 24));
        let v6 = IpPacket::new(Head { from: Ip::LOOPBACK, to: Ip::LOOPBACK, class: 0x1c, ..HEAD }, b"data");
        assert_eq!(IpPacket::parse(v6.bytes()), Some(v6.clone()));
        assert_eq!((v6.is_v4(), v6.head().class), (false, 0x1c));
        let udp = IpPacket::udp(HEAD, [7, 9], b"odd");
        assert_eq!(udp.datagram(), Some(([7, 9], &b"odd"[..])));
    }

    #[test]
    fn what_is_damaged_is_none() {
        let whole = IpPacket::udp(HEAD, [7, 9], b"data");
        for end in 0..whole.bytes().len() {
            assert_eq!(IpPacket::parse(&whole.bytes()[..end]), None, "{end}");
        }
        let mut changed = whole.bytes().to_vec();
        changed[8] ^= 1;
        assert_eq!(IpPacket::parse(&changed), None);
        let mut changed = whole.bytes().to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(IpPacket::parse(&changed).unwrap().datagram(), None);
    }

    #[test]
    fn a_program_leaves_out_what_the_kernel_knows() {
        let mut bytes = IpPacket::new(HEAD, b"data").bytes().to_vec();
        bytes[2..4].fill(0);
        bytes[10..16].fill(0);
        let packet = IpPacket::of_program(bytes, Ip::LOOPBACK_V4).unwrap();
        assert_eq!(IpPacket::parse(packet.bytes()), Some(packet));
        assert_eq!(IpPacket::of_program(alloc::vec![0x45; 19], Ip::ANY_V4), Err(Errno::EINVAL));
        assert_eq!(IpPacket::of_program(alloc::vec![0x4f; 24], Ip::ANY_V4), Err(Errno::EINVAL));
    }
}
