//! What the kernel itself says by ICMP (RFC 792, RFC 4443; icmp(7)).

use alloc::vec::Vec;

use super::wire::{Head, ICMP, ICMP_V6, IpPacket, checksum, pseudo_checksum};

/// Bytes of a message's header.
pub const HEADER_BYTES: usize = 8;
/// ICMP_ECHO and ICMP_ECHOREPLY, ICMPV6_ECHO_REQUEST and ICMPV6_ECHO_REPLY.
const ECHO: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
/// Messages of errors hold no more in all than every machine takes.
const ERROR_BYTES_MAX: usize = 576;
const ERROR_BYTES_MAX_V6: usize = 1280;
/// IPTOS_PREC_INTERNETCONTROL, of errors.
const CONTROL_CLASS: u8 = 0xc0;
const HOPS: u8 = 64;

/// What could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Nobody has the port.
    Port,
    /// Nobody speaks the protocol.
    Protocol,
}

/// The type of an echo request of a version.
pub fn echo_request(is_v4: bool) -> u8 {
    if is_v4 { ECHO } else { ECHO_V6 }
}

/// The answer to a packet, if it is an echo request.
pub fn reply(packet: &IpPacket) -> Option<IpPacket> {
    let (request, reply) = if packet.is_v4() { (ECHO, ECHO_REPLY) } else { (ECHO_V6, ECHO_REPLY_V6) };
    let is_request = packet.payload().len() >= HEADER_BYTES && packet.payload()[..2] == [request, 0];
    if !is_request || !is_sound(packet) {
        return None;
    }
    let head = *packet.head();
    let mut message = packet.payload().to_vec();
    message[0] = reply;
    let head = Head { from: head.to, to: head.from, hops: HOPS, ..head };
    seal(&head, &mut message);
    Some(IpPacket::new(head, &message))
}

/// Whether a packet is an echo reply, and to which number (its identifier).
pub fn replied(packet: &IpPacket) -> Option<u16> {
    let wanted = if packet.is_v4() { ECHO_REPLY } else { ECHO_REPLY_V6 };
    let header = packet.payload().first_chunk::<HEADER_BYTES>()?;
    (header[..2] == [wanted, 0] && is_sound(packet)).then(|| u16::from_be_bytes([header[4], header[5]]))
}

/// Says to a packet's sender why it reached nobody. Errors are not answered.
pub fn unreachable(packet: &IpPacket, lacking: Lacking) -> Option<IpPacket> {
    let head = packet.head();
    if [ICMP, ICMP_V6].contains(&head.protocol) {
        return None;
    }
    // ICMP_DEST_UNREACH; ICMPV6_DEST_UNREACH, and ICMPV6_PARAMPROB with the place of the next header's number.
    let (kind, code, rest, most, protocol) = match (packet.is_v4(), lacking) {
        (true, Lacking::Port) => (3, 3, 0, ERROR_BYTES_MAX - 20, ICMP),
        (true, Lacking::Protocol) => (3, 2, 0, ERROR_BYTES_MAX - 20, ICMP),
        (false, Lacking::Port) => (1, 4, 0, ERROR_BYTES_MAX_V6 - 40, ICMP_V6),
        (false, Lacking::Protocol) => (4, 1, 6, ERROR_BYTES_MAX_V6 - 40, ICMP_V6),
    };
    let mut message: Vec<u8> = alloc::vec![kind, code, 0, 0, 0, 0, 0, rest];
    let copied = packet.bytes().len().min(most - HEADER_BYTES);
    message.extend(&packet.bytes()[..copied]);
    let class = if packet.is_v4() { head.class & 0x1e | CONTROL_CLASS } else { 0 };
    let head = Head { from: head.to, to: head.from, protocol, hops: HOPS, class };
    seal(&head, &mut message);
    Some(IpPacket::new(head, &message))
}

/// Puts the checksum into a message.
pub fn seal(head: &Head, message: &mut [u8]) {
    message[2..4].fill(0);
    let sum = sum(head, message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
}

fn is_sound(packet: &IpPacket) -> bool {
    sum(packet.head(), packet.payload()) == 0
}

fn sum(head: &Head, message: &[u8]) -> u16 {
    if head.protocol == ICMP { checksum(&[message]) } else { pseudo_checksum(head, message) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Ip;

    fn head(ip: Ip, protocol: u8) -> Head {
        Head { from: ip, to: ip, protocol, hops: 64, class: 0 }
    }

    #[test]
    fn echo_requests_are_answered() {
        for (ip, protocol, kind) in [(Ip::LOOPBACK_V4, ICMP, ECHO), (Ip::LOOPBACK, ICMP_V6, ECHO_V6)] {
            let head = head(ip, protocol);
            let mut message = [&[kind, 0, 0, 0, 0x12, 0x34, 0, 1][..], b"data"].concat();
            assert_eq!(reply(&IpPacket::new(head, &message)), None, "its checksum is wrong");
            seal(&head, &mut message);
            let reply = reply(&IpPacket::new(head, &message)).unwrap();
            assert_eq!((replied(&reply), &reply.payload()[8..]), (Some(0x1234), &b"data"[..]));
            assert_eq!(super::reply(&reply), None);
        }
    }

    #[test]
    fn errors_hold_the_beginning_of_what_was_sent() {
        let packet = IpPacket::udp(head(Ip::LOOPBACK_V4, 17), [1, 2], &[7; 2000]);
        let error = unreachable(&packet, Lacking::Port).unwrap();
        assert_eq!((error.bytes().len(), &error.payload()[..2]), (ERROR_BYTES_MAX, &[3, 3][..]));
        assert_eq!(error.payload()[8..], packet.bytes()[..ERROR_BYTES_MAX - 28]);
        assert_eq!(unreachable(&error, Lacking::Port), None);
    }
}
