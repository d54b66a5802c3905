//! The loopback interface as sockets see it that look at packets.
//!
//! Data of TCP and UDP moves without packets. Where a socket of raw(7) or packet(7) is open, those of UDP are made for
//! it to see; those of TCP never are.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use stockade_kernel_sync::Mutex;

use super::Net;
use super::inet::{self, IpPacket, Lacking, RawSocket, icmp};
use super::packet::{Frame, PacketSocket, Way};

/// Who looks at the interface.
#[derive(Debug, Default)]
pub struct Loopback {
    watchers: AtomicUsize,
    raw: Mutex<Vec<Weak<RawSocket>>>,
    packet: Mutex<Vec<Weak<PacketSocket>>>,
}

impl Loopback {
    /// Whether packets are worth making.
    pub fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// One more socket of raw(7).
    pub fn add_raw(&self, socket: &Weak<RawSocket>) {
        self.watchers.fetch_add(1, Ordering::Relaxed);
        self.raw.lock().push(socket.clone());
    }

    /// One more socket of packet(7).
    pub fn add_packet(&self, socket: &Weak<PacketSocket>) {
        self.watchers.fetch_add(1, Ordering::Relaxed);
        self.packet.lock().push(socket.clone());
    }

    /// One of them is dropped.
    pub fn remove(&self) {
        self.watchers.fetch_sub(1, Ordering::Relaxed);
        self.raw.lock().retain(|socket| socket.strong_count() > 0);
        self.packet.lock().retain(|socket| socket.strong_count() > 0);
    }

    /// The sockets of raw(7).
    pub fn raw(&self) -> Vec<Arc<RawSocket>> {
        self.raw.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Shows a frame to sockets of packet(7), on its way out and on its way in. Who sent it sees the latter only.
    pub fn show(&self, frame: &Frame<'_>, sender: *const PacketSocket) {
        let sockets: Vec<_> = self.packet.lock().iter().filter_map(Weak::upgrade).collect();
        let others = sockets.iter().filter(|socket| !core::ptr::eq(Arc::as_ptr(socket), sender));
        others.for_each(|socket| socket.see(frame, Way::Out));
        sockets.iter().for_each(|socket| socket.see(frame, Way::In));
    }
}

impl Net {
    /// Sends a packet over the interface.
    pub(super) fn transmit(&self, packet: IpPacket) {
        self.transmit_as(packet, core::ptr::null());
    }

    /// The same for a socket of packet(7).
    pub(super) fn transmit_as(&self, packet: IpPacket, mut sender: *const PacketSocket) {
        let mut under_way = VecDeque::from([packet]);
        while let Some(packet) = under_way.pop_front() {
            self.traffic().packet(packet.bytes().len());
            self.loopback().show(&Frame::of(&packet), sender);
            sender = core::ptr::null();
            under_way.extend(self.arrive(&packet));
        }
    }

    /// Shows what went without packets, and says that nobody has it.
    pub(super) fn overhear(&self, packet: &IpPacket, reached: Reached) {
        self.loopback().show(&Frame::of(packet), core::ptr::null());
        self.hand_to_raw(packet);
        let error = match reached {
            Reached::Somebody => None,
            Reached::Nobody => icmp::unreachable(packet, Lacking::Port),
        };
        if let Some(error) = error {
            self.transmit(error);
        }
    }

    /// Hands a packet to whom it is for, and gives what is said to it.
    fn arrive(&self, packet: &IpPacket) -> Option<IpPacket> {
        if !packet.head().to.is_local() {
            return None;
        }
        let heard = self.hand_to_raw(packet);
        match packet.head().protocol {
            inet::ICMP | inet::ICMP_V6 => icmp::reply(packet),
            inet::UDP => self.arrive_datagram(packet),
            // Connections have no packets, so none of them can mean one.
            TCP => None,
            _ if heard => None,
            _ => icmp::unreachable(packet, Lacking::Protocol),
        }
    }

    fn hand_to_raw(&self, packet: &IpPacket) -> bool {
        let (pings, raw): (Vec<_>, Vec<_>) = self.loopback().raw().into_iter().partition(|socket| socket.is_ping());
        let _heard = pings.iter().rev().any(|socket| socket.hear(packet));
        raw.iter().filter(|socket| socket.hear(packet)).count() > 0
    }

    fn arrive_datagram(&self, packet: &IpPacket) -> Option<IpPacket> {
        let (ports, data) = packet.datagram()?;
        match inet::arrive(self, packet.head(), ports, data) {
            Reached::Somebody => None,
            Reached::Nobody => icmp::unreachable(packet, Lacking::Port),
        }
    }
}

/// Whether a datagram had a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It had.
    Somebody,
    /// Nobody has the port.
    Nobody,
}

/// IPPROTO_TCP
const TCP: u8 = 6;
