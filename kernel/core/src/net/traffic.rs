//! What went over the loopback interface, as its counters show it. Data moves without packets, so these are the packets
//! that Linux would make of it: headers without options, segments as large as offload lets them be.

use core::sync::atomic::{AtomicU64, Ordering};

use super::Ip;

/// Of IP in version 4 and 6, of UDP, and of TCP with its time stamps.
const V4_BYTES: usize = 20;
const V6_BYTES: usize = 40;
const UDP_BYTES: usize = 8;
const TCP_BYTES: usize = 32;
/// Of TCP with all options of a handshake.
const SYN_BYTES: usize = 40;
/// Data of the largest segment (GSO_LEGACY_MAX_SIZE, less headers).
const SEGMENT_BYTES_MAX: usize = 65_483;

/// Counters of an interface on which nothing is lost: what was sent was received.
#[derive(Debug, Default)]
pub struct Traffic {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    /// Packets and bytes so far.
    pub fn totals(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// A datagram of UDP.
    pub(super) fn datagram(&self, to: Ip, len: usize) {
        self.add(1, ip_bytes(to) + UDP_BYTES + len);
    }

    /// A packet, all of it.
    pub(super) fn packet(&self, len: usize) {
        self.add(1, len);
    }

    /// A handshake of TCP.
    pub(super) fn handshake(&self, to: Ip) {
        self.add(3, 3 * ip_bytes(to) + 2 * SYN_BYTES + TCP_BYTES);
    }

    /// Data of TCP, and its acknowledgement.
    pub(super) fn segments(&self, to: Ip, len: usize) {
        let packets = len.div_ceil(SEGMENT_BYTES_MAX) + 1;
        self.add(packets, packets * (ip_bytes(to) + TCP_BYTES) + len);
    }

    fn add(&self, packets: usize, bytes: usize) {
        self.packets.fetch_add(packets as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

fn ip_bytes(to: Ip) -> usize {
    if to.to_v4().is_some() { V4_BYTES } else { V6_BYTES }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_linux_would_send() {
        let traffic = Traffic::default();
        traffic.datagram(Ip::LOOPBACK_V4, 100);
        traffic.datagram(Ip::LOOPBACK, 0);
        assert_eq!(traffic.totals(), (2, 128 + 48));
        traffic.segments(Ip::LOOPBACK_V4, 70_000);
        assert_eq!(traffic.totals(), (5, 176 + 70_000 + 3 * 52));
        traffic.handshake(Ip::LOOPBACK_V4);
        assert_eq!(traffic.totals().0, 8);
    }
}
