//! The guest's side of the service: a host on the guest's link that answers ARP and TCP port 80.
//!
//! A network device hands over the frames that [`Stack::takes`] and sends the guest whatever comes back. No clock runs
//! here: the caller says what time it is, and [`Stack::poll_delay`] when it should ask again.
//!
//! Checksums of the guest's frames are not looked at: a guest leaves them to its device, which is this machine.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant as Time;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::http::{self, Front, MAX_REQUEST_BYTES};
use super::{Mmds, SharedMmds};

/// The service's Ethernet address, the same on every link.
pub const MMDS_MAC: [u8; 6] = [0x06, 0x01, 0x23, 0x45, 0x67, 0x01];

const PORT: u16 = 80;
/// Sockets; one always listens, so that the last free one's connection ends the one that was idle longest.
const SOCKETS: usize = 8;
const BUFFER_BYTES: usize = 4096;
/// An Ethernet frame of a link with an MTU of 1500.
const FRAME_BYTES: usize = 1514;
const ETHERNET_BYTES: usize = 14;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];

/// One guest interface's way to the service.
pub struct Stack {
    address: Ipv4Addr,
    mmds: SharedMmds,
    begun: Instant,
    link: Link,
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: Vec<Connection>,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stack").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Stack {
    /// The service at `address`.
    #[must_use]
    pub fn new(address: Ipv4Addr, mmds: SharedMmds, now: Instant) -> Self {
        let mut link = Link::default();
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(MMDS_MAC)));
        config.random_seed = random_seed();
        let mut interface = Interface::new(config, &mut link, Time::ZERO);
        // Whatever address the guest has, it is on the link: nothing lies behind it.
        let everyone = IpCidr::new(IpAddress::Ipv4(address), 0);
        interface.update_ip_addrs(|addresses| {
            // The list was empty and holds at least one.
            let _ = addresses.push(everyone);
        });
        let mut sockets = SocketSet::new(Vec::new());
        let connections = (0..SOCKETS).map(|_| Connection::new(&mut sockets, now)).collect();
        Self { address, mmds, begun: now, link, interface, sockets, connections }
    }

    /// Whether a frame is for the service: ARP for its address, or IPv4 to it.
    #[must_use]
    pub fn takes(&self, frame: &[u8]) -> bool {
        let address = match frame.get(ETHERNET_BYTES - 2..ETHERNET_BYTES) {
            // RFC 826: the target's protocol address ends the packet.
            Some(kind) if kind == ETHERTYPE_ARP => frame.get(ETHERNET_BYTES + 24..ETHERNET_BYTES + 28),
            // RFC 791: the destination.
            Some(kind) if kind == ETHERTYPE_IPV4 => frame.get(ETHERNET_BYTES + 16..ETHERNET_BYTES + 20),
            _ => None,
        };
        address == Some(self.address.octets().as_slice())
    }

    /// Takes one frame of the guest, and gives those that the guest shall have.
    pub fn handle(&mut self, frame: &[u8], now: Instant) -> Vec<Vec<u8>> {
        self.link.received.push_back(frame.to_vec());
        self.poll(now)
    }

    /// Does what time has made due, and gives the frames that the guest shall have.
    pub fn poll(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let time = self.time(now);
        self.interface.poll(time, &mut self.link, &mut self.sockets);
        self.serve(now);
        self.interface.poll(time, &mut self.link, &mut self.sockets);
        self.make_room();
        std::mem::take(&mut self.link.sent)
    }

    /// When [`Stack::poll`] is due, if it is to be at all.
    pub fn poll_delay(&mut self, now: Instant) -> Option<Duration> {
        let time = self.time(now);
        self.interface.poll_delay(time, &self.sockets).map(Into::into)
    }

    fn time(&self, now: Instant) -> Time {
        let passed = now.saturating_duration_since(self.begun);
        Time::from_micros(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX))
    }

    fn serve(&mut self, now: Instant) {
        // A panic elsewhere leaves the document whole: it is replaced, never edited.
        let mut mmds = self.mmds.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for connection in &mut self.connections {
            connection.serve(self.sockets.get_mut(connection.handle), &mut mmds, now);
        }
    }

    /// Keeps one socket listening.
    fn make_room(&mut self) {
        let listens = |handle| self.sockets.get::<tcp::Socket<'_>>(handle).is_listening();
        if self.connections.iter().any(|connection| listens(connection.handle)) {
            return;
        }
        if let Some(idle) = self.connections.iter_mut().min_by_key(|connection| connection.active) {
            idle.listen_again(self.sockets.get_mut(idle.handle));
        }
    }
}

/// A number that the guest cannot guess, for TCP's sequences; without one, a guest misleads only itself.
fn random_seed() -> u64 {
    let mut seed = [0; 8];
    match getrandom::fill(&mut seed) {
        Ok(()) => u64::from_le_bytes(seed),
        Err(_) => 0,
    }
}

struct Connection {
    handle: SocketHandle,
    request: Vec<u8>,
    answer: VecDeque<u8>,
    /// When the guest last said something, or connected.
    active: Instant,
    waits: bool,
    ends: bool,
}

impl Connection {
    fn new(sockets: &mut SocketSet<'static>, now: Instant) -> Self {
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER_BYTES]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        let handle = sockets.add(socket);
        let mut connection =
            Self { handle, request: Vec::new(), answer: VecDeque::new(), active: now, waits: true, ends: false };
        connection.listen_again(sockets.get_mut(handle));
        connection
    }

    fn listen_again(&mut self, socket: &mut tcp::Socket<'_>) {
        self.request.clear();
        self.answer.clear();
        self.ends = false;
        self.waits = true;
        socket.abort();
        // It is closed, and the port is not zero.
        let _ = socket.listen(PORT);
    }

    fn serve(&mut self, socket: &mut tcp::Socket<'_>, mmds: &mut Mmds, now: Instant) {
        if socket.is_listening() {
            return;
        }
        if !socket.is_open() {
            return self.listen_again(socket);
        }
        if std::mem::take(&mut self.waits) {
            self.active = now;
        }
        self.receive(socket, now);
        while self.answer.is_empty() && !self.ends && self.respond(mmds, now) {
            self.send(socket);
        }
        self.send(socket);
        let said_all = socket.state() == tcp::State::CloseWait && !socket.can_recv();
        if self.answer.is_empty() && (self.ends || said_all) {
            socket.close();
        }
    }

    fn receive(&mut self, socket: &mut tcp::Socket<'_>, now: Instant) {
        let room = MAX_REQUEST_BYTES.saturating_sub(self.request.len());
        let taken = socket.recv(|bytes| {
            let count = bytes.len().min(room);
            self.request.extend_from_slice(&bytes[..count]);
            (count, count)
        });
        if matches!(taken, Ok(1..)) {
            self.active = now;
        }
    }

    /// Answers the next request, if there is a whole one.
    fn respond(&mut self, mmds: &mut Mmds, now: Instant) -> bool {
        if self.request.is_empty() {
            return false;
        }
        match http::answer(mmds, &self.request, now) {
            Front::Partial => return false,
            Front::Request { bytes, answer } => {
                self.request.drain(..bytes);
                self.answer.extend(answer);
            }
            Front::Malformed { answer } => {
                self.ends = true;
                self.answer.extend(answer);
            }
        }
        true
    }

    fn send(&mut self, socket: &mut tcp::Socket<'_>) {
        let (front, _) = self.answer.as_slices();
        match socket.send_slice(front) {
            Ok(sent) => drop(self.answer.drain(..sent)),
            // The guest is gone.
            Err(_) => self.answer.clear(),
        }
    }
}

/// The guest's link: frames that came and frames that go.
#[derive(Default)]
pub(super) struct Link {
    pub(super) received: VecDeque<Vec<u8>>,
    pub(super) sent: Vec<Vec<u8>>,
}

impl Device for Link {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: Time) -> Option<(Received, Sent<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Received(frame), Sent(&mut self.sent)))
    }

    fn transmit(&mut self, _: Time) -> Option<Sent<'_>> {
        Some(Sent(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut checksum = ChecksumCapabilities::default();
        checksum.ipv4 = Checksum::Tx;
        checksum.tcp = Checksum::Tx;
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities.checksum = checksum;
        capabilities
    }
}

pub(super) struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

pub(super) struct Sent<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut frame = vec![0; len];
        let result = fill(&mut frame);
        self.0.push(frame);
        result
    }
}
