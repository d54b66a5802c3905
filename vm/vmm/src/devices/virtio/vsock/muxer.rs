//! All connections of one guest, and the sockets that lead to them.
//!
//! Sockets wait in an epoll instance of their own, edge-triggered: a connection remembers that it may have data until a
//! read says otherwise, so that a guest without buffers costs nothing.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::event::{Timespec, epoll};

use super::connection::{Connection, Greeting};
use super::handshake::{Handshake, Progress};
use super::host::{Asked, Host};
use super::packet::{Credit, HOST_CID, Operation, Ports, Received, Sent, Shutdown, TYPE_STREAM};

/// Connections and unfinished handshakes together.
const CONNECTIONS_MAX: usize = 1023;
/// Resets that wait for a guest which takes none; the oldest are dropped.
const RESETS_MAX: usize = 1024;
/// Host ports of connections that the host asks for start here, as in Firecracker.
const HOST_PORT_FIRST: u32 = 1 << 30;
const LISTENER: u64 = 0;
const EVENTS: usize = 64;

enum Peer {
    Handshake(Handshake),
    Connection(Connection),
}

/// All of it.
pub struct Muxer {
    guest_cid: u64,
    host: Box<dyn Host>,
    epoll: OwnedFd,
    peers: BTreeMap<u64, Peer>,
    names: BTreeMap<(u32, u32), u64>,
    next_token: u64,
    next_port: u32,
    /// Connections that may have a packet, each once.
    waiting: VecDeque<u64>,
    resets: VecDeque<Ports>,
}

impl Muxer {
    /// For the guest with this address.
    pub fn new(guest_cid: u64, host: Box<dyn Host>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, host.fd(), epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        Ok(Muxer {
            guest_cid,
            host,
            epoll,
            peers: BTreeMap::new(),
            names: BTreeMap::new(),
            next_token: LISTENER + 1,
            next_port: HOST_PORT_FIRST,
            waiting: VecDeque::new(),
            resets: VecDeque::new(),
        })
    }

    /// The guest's address.
    pub fn guest_cid(&self) -> u64 {
        self.guest_cid
    }

    /// Readable when a socket has something to say.
    pub fn fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Whether there is a packet for the guest.
    pub fn has_packet(&self) -> bool {
        !self.waiting.is_empty() || !self.resets.is_empty()
    }

    /// Sees to all sockets that have something to say.
    pub fn poll(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&now))?;
        for event in events {
            match event.data.u64() {
                LISTENER => self.accept(),
                token => self.event(token, event.flags),
            }
        }
        Ok(())
    }

    /// A packet from the guest.
    pub fn receive(&mut self, packet: &Received, data: &[u8]) {
        if packet.source_cid != self.guest_cid || packet.destination_cid != HOST_CID {
            return;
        }
        let token = self.names.get(&key(packet.ports)).copied();
        match (packet.operation, token) {
            _ if packet.kind != TYPE_STREAM => self.reset(packet.ports),
            (Some(Operation::Request), None) => self.connect(packet.ports, packet.credit),
            (_, Some(token)) => self.with(token, |connection| connection.receive(packet, data)),
            (Some(Operation::Reset), None) => {}
            (_, None) => self.reset(packet.ports),
        }
    }

    /// The next packet for the guest, whose buffer takes `room` bytes of data.
    pub fn next(&mut self, room: usize, data: &mut Vec<u8>) -> Option<Sent> {
        data.clear();
        if let Some(ports) = self.resets.pop_front() {
            let (shutdown, credit) = (Shutdown::empty(), Credit::default());
            return Some(Sent { ports, operation: Operation::Reset, shutdown, credit });
        }
        while let Some(token) = self.waiting.pop_front() {
            let Some(Peer::Connection(connection)) = self.peers.get_mut(&token) else { continue };
            let packet = connection.next(room, data);
            self.settle(token);
            if packet.is_some() {
                return packet;
            }
        }
        None
    }

    /// Forgets all connections; processes of the host see their sockets close.
    pub fn clear(&mut self) {
        self.peers.clear();
        self.names.clear();
        self.waiting.clear();
        self.resets.clear();
    }

    fn event(&mut self, token: u64, flags: epoll::EventFlags) {
        match self.peers.get_mut(&token) {
            Some(Peer::Handshake(handshake)) => {
                let progress = handshake.advance();
                self.handshake(token, &progress);
            }
            Some(Peer::Connection(_)) => self.with(token, |connection| {
                if flags.contains(epoll::EventFlags::OUT) {
                    connection.writable();
                }
                if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::HUP) {
                    connection.readable();
                }
            }),
            None => {}
        }
    }

    fn accept(&mut self) {
        loop {
            match self.host.accept() {
                // One too many is closed at once.
                Ok(_) if self.peers.len() >= CONNECTIONS_MAX => {}
                Ok(asked) => self.begin(asked),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() != ErrorKind::WouldBlock {
                        tracing::warn!("vsock: cannot accept a connection: {error}");
                    }
                    return;
                }
            }
        }
    }

    fn begin(&mut self, asked: Asked) {
        let token = self.token();
        let (Asked::Line(stream) | Asked::Port(_, stream)) = &asked;
        if let Err(error) = self.watch(token, stream) {
            return tracing::warn!("vsock: {error}");
        }
        match asked {
            Asked::Line(stream) => {
                self.peers.insert(token, Peer::Handshake(Handshake::new(stream)));
                // Its line may have come with it.
                self.event(token, epoll::EventFlags::IN);
            }
            Asked::Port(guest, stream) => {
                let ports = Ports { host: self.port(guest), guest };
                self.insert(token, Connection::requested(ports, stream, Greeting::None));
            }
        }
    }

    fn handshake(&mut self, token: u64, progress: &Progress) {
        match progress {
            Progress::Waiting => {}
            Progress::Failed => drop(self.peers.remove(&token)),
            Progress::Port(guest) => {
                let Some(Peer::Handshake(handshake)) = self.peers.remove(&token) else { return };
                let ports = Ports { host: self.port(*guest), guest: *guest };
                self.insert(token, Connection::requested(ports, handshake.into_stream(), Greeting::Line));
            }
        }
    }

    fn connect(&mut self, ports: Ports, credit: Credit) {
        let token = self.token();
        let stream = match self.peers.len() < CONNECTIONS_MAX {
            true => self.host.connect(ports.host),
            false => Err(ErrorKind::QuotaExceeded.into()),
        };
        let ready = stream.and_then(|stream| self.watch(token, &stream).map(|()| stream));
        match ready {
            Ok(stream) => self.insert(token, Connection::accepted(ports, stream, credit)),
            Err(error) => {
                tracing::debug!("vsock: the guest's connection to port {} is refused: {error}", ports.host);
                self.reset(ports);
            }
        }
    }

    fn watch(&self, token: u64, stream: &UnixStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, stream, epoll::EventData::new_u64(token), flags)?)
    }

    fn insert(&mut self, token: u64, connection: Connection) {
        self.names.insert(key(connection.ports()), token);
        self.peers.insert(token, Peer::Connection(connection));
        self.settle(token);
    }

    fn with(&mut self, token: u64, act: impl FnOnce(&mut Connection)) {
        if let Some(Peer::Connection(connection)) = self.peers.get_mut(&token) {
            act(connection);
            self.settle(token);
        }
    }

    /// After any change: a connection that is over goes, one with a packet waits for its turn.
    fn settle(&mut self, token: u64) {
        let Some(Peer::Connection(connection)) = self.peers.get(&token) else { return };
        if connection.is_over() {
            self.names.remove(&key(connection.ports()));
            self.peers.remove(&token);
        } else if connection.has_packet() && !self.waiting.contains(&token) {
            self.waiting.push_back(token);
        }
    }

    fn reset(&mut self, ports: Ports) {
        if self.resets.len() == RESETS_MAX {
            self.resets.pop_front();
        }
        self.resets.push_back(ports);
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    /// A host port that no connection to this guest port has.
    fn port(&mut self, guest: u32) -> u32 {
        loop {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(HOST_PORT_FIRST);
            if !self.names.contains_key(&key(Ports { host: port, guest })) {
                return port;
            }
        }
    }
}

fn key(ports: Ports) -> (u32, u32) {
    (ports.host, ports.guest)
}
