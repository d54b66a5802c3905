//! One connection: a unix socket of the host, and what the guest may send and wants to hear.
//!
//! Flow control (virtio 1.2, 5.10.6.3): each side says how large its buffer is and how much was taken out of it; the
//! other never sends more than fits. A guest that does is reset.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown as SocketShutdown;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::packet::{Credit, Operation, Ports, Received, Sent, Shutdown};

/// What a guest may have under way to one socket that nobody reads.
pub const BUFFER: u32 = 256 << 10;
/// The guest hears of free space when this much came free.
const CREDIT_STEP: u32 = BUFFER / 4;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The host connected; the guest has not answered.
    Requested,
    /// Both ends know each other.
    Open,
    /// The guest has closed; what it sent before is still on its way to the host.
    Draining,
    /// To be forgotten.
    Closed,
}

/// A control packet that waits for a buffer of the guest, in order of urgency.
#[derive(Debug, Clone, Copy, Default)]
struct Owed {
    request: bool,
    response: bool,
    reset: bool,
    shutdown: Shutdown,
    credit_update: bool,
    credit_request: bool,
}

/// What a process of the host hears once the guest accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// Nothing.
    None,
    /// A line with the port that it has.
    Line,
}

/// One connection.
pub struct Connection {
    ports: Ports,
    greeting: Greeting,
    stream: UnixStream,
    phase: Phase,
    owed: Owed,
    /// The socket may have data; cleared when it says that it has none.
    readable: bool,
    /// The host sends no more.
    ended: bool,
    /// Told the guest of that already.
    told: Shutdown,
    /// From the guest, not yet taken by the socket.
    backlog: VecDeque<u8>,
    /// Which ends the guest closed.
    guest_shutdown: Shutdown,
    guest_credit: Credit,
    /// Bytes sent to the guest, modulo 2^32.
    sent: u32,
    /// Bytes the socket took, modulo 2^32.
    forwarded: u32,
    /// The last that the guest heard of `forwarded`.
    announced: u32,
}

impl Connection {
    /// A connection that the guest asked for and that the host's socket accepted.
    pub fn accepted(ports: Ports, stream: UnixStream, credit: Credit) -> Self {
        let owed = Owed { response: true, ..Default::default() };
        Connection { owed, guest_credit: credit, ..Self::new(ports, stream, Phase::Open) }
    }

    /// A connection that a process of the host asks the guest for.
    pub fn requested(ports: Ports, stream: UnixStream, greeting: Greeting) -> Self {
        let owed = Owed { request: true, ..Default::default() };
        Connection { owed, greeting, ..Self::new(ports, stream, Phase::Requested) }
    }

    fn new(ports: Ports, stream: UnixStream, phase: Phase) -> Self {
        Connection {
            ports,
            greeting: Greeting::None,
            stream,
            phase,
            owed: Owed::default(),
            readable: true,
            ended: false,
            told: Shutdown::empty(),
            backlog: VecDeque::new(),
            guest_shutdown: Shutdown::empty(),
            guest_credit: Credit::default(),
            sent: 0,
            forwarded: 0,
            announced: 0,
        }
    }

    /// Its name.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Whether it can be forgotten.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Closed && !self.owed.reset
    }

    /// The socket has data, or came to its end.
    pub fn readable(&mut self) {
        self.readable = true;
    }

    /// The socket takes data again.
    pub fn writable(&mut self) {
        self.drain();
    }

    /// A packet of the guest for this connection.
    pub fn receive(&mut self, packet: &Received, data: &[u8]) {
        self.guest_credit = packet.credit;
        match packet.operation {
            Some(Operation::Response) if self.phase == Phase::Requested => self.opened(),
            Some(Operation::Data) if self.phase == Phase::Open => self.forward(data),
            Some(Operation::Shutdown) => self.shut(packet.shutdown),
            Some(Operation::CreditUpdate) => {}
            Some(Operation::CreditRequest) => self.owed.credit_update = true,
            Some(Operation::Reset) => self.phase = Phase::Closed,
            _ => self.reset(),
        }
    }

    /// The next packet for the guest: `room` says how much data its buffer takes, `data` gets it.
    pub fn next(&mut self, room: usize, data: &mut Vec<u8>) -> Option<Sent> {
        data.clear();
        let (operation, shutdown) = match self.control() {
            Some(control) => control,
            None => self.read(room, data)?,
        };
        self.announced = self.forwarded;
        self.owed.credit_update = false;
        let credit = Credit { buffer: BUFFER, forwarded: self.forwarded };
        Some(Sent { ports: self.ports, operation, shutdown, credit })
    }

    /// Whether [`Connection::next`] could have one.
    pub fn has_packet(&self) -> bool {
        let owed = &self.owed;
        let control = owed.request || owed.response || owed.reset || owed.credit_update || owed.credit_request;
        control || !owed.shutdown.is_empty() || self.may_read()
    }

    fn control(&mut self) -> Option<(Operation, Shutdown)> {
        let owed = &mut self.owed;
        if owed.reset {
            *owed = Owed::default();
            return Some((Operation::Reset, Shutdown::empty()));
        }
        let flags = [
            (&mut owed.request, Operation::Request),
            (&mut owed.response, Operation::Response),
            (&mut owed.credit_update, Operation::CreditUpdate),
            (&mut owed.credit_request, Operation::CreditRequest),
        ];
        for (flag, operation) in flags {
            if std::mem::take(flag) {
                return Some((operation, Shutdown::empty()));
            }
        }
        let shutdown = std::mem::take(&mut owed.shutdown);
        (!shutdown.is_empty()).then_some((Operation::Shutdown, shutdown))
    }

    fn may_read(&self) -> bool {
        self.phase == Phase::Open
            && self.readable
            && !self.ended
            && !self.guest_shutdown.contains(Shutdown::RECEIVE)
            && self.guest_room() > 0
    }

    fn guest_room(&self) -> u32 {
        let under_way = self.sent.wrapping_sub(self.guest_credit.forwarded);
        self.guest_credit.buffer.saturating_sub(under_way)
    }

    fn read(&mut self, room: usize, data: &mut Vec<u8>) -> Option<(Operation, Shutdown)> {
        if !self.may_read() || room == 0 {
            return None;
        }
        let room = room.min(usize::try_from(self.guest_room()).unwrap_or(usize::MAX));
        data.resize(room, 0);
        match self.stream.read(data) {
            Ok(0) => {
                data.clear();
                self.host_ended()
            }
            Ok(len) => {
                data.truncate(len);
                self.sent = self.sent.wrapping_add(u32::try_from(len).unwrap_or(u32::MAX));
                self.owed.credit_request = self.guest_room() == 0;
                Some((Operation::Data, Shutdown::empty()))
            }
            Err(error) => {
                data.clear();
                self.read_failed(&error)
            }
        }
    }

    fn read_failed(&mut self, error: &io::Error) -> Option<(Operation, Shutdown)> {
        match error.kind() {
            io::ErrorKind::Interrupted => None,
            io::ErrorKind::WouldBlock => {
                self.readable = false;
                None
            }
            _ => {
                self.phase = Phase::Closed;
                Some((Operation::Reset, Shutdown::empty()))
            }
        }
    }

    /// The host's process closed its end, or only its writing half.
    fn host_ended(&mut self) -> Option<(Operation, Shutdown)> {
        self.ended = true;
        let ends = if is_hung_up(&self.stream) { Shutdown::all() } else { Shutdown::SEND };
        self.told |= ends;
        Some((Operation::Shutdown, ends))
    }

    fn opened(&mut self) {
        self.phase = Phase::Open;
        if self.greeting == Greeting::None {
            return;
        }
        let answer = format!("OK {}\n", self.ports.host);
        // A new socket takes a line.
        if self.stream.write_all(answer.as_bytes()).is_err() {
            self.reset();
        }
    }

    fn forward(&mut self, data: &[u8]) {
        if self.guest_shutdown.contains(Shutdown::SEND) || self.backlog.len() + data.len() > BUFFER as usize {
            return self.reset();
        }
        self.backlog.extend(data);
        self.drain();
    }

    fn drain(&mut self) {
        while !self.backlog.is_empty() {
            match self.stream.write(self.backlog.as_slices().0) {
                Ok(len) => {
                    self.backlog.drain(..len);
                    self.forwarded = self.forwarded.wrapping_add(u32::try_from(len).unwrap_or(u32::MAX));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return self.host_takes_no_more(),
            }
        }
        self.owed.credit_update |= self.forwarded.wrapping_sub(self.announced) >= CREDIT_STEP;
        if self.backlog.is_empty() {
            self.drained();
        }
    }

    /// The host's process is gone, or does not read; what it sent before stays readable.
    fn host_takes_no_more(&mut self) {
        self.backlog.clear();
        if self.phase == Phase::Draining {
            return self.reset();
        }
        if !self.told.contains(Shutdown::RECEIVE) {
            self.owed.shutdown |= Shutdown::RECEIVE;
            self.told |= Shutdown::RECEIVE;
        }
    }

    /// All that the guest sent is with the host.
    fn drained(&mut self) {
        if self.guest_shutdown.contains(Shutdown::SEND) {
            // Fails only where the other end is gone already.
            let _ = self.stream.shutdown(SocketShutdown::Write);
        }
        if self.phase == Phase::Draining {
            self.reset();
        }
    }

    fn shut(&mut self, ends: Shutdown) {
        self.guest_shutdown |= ends;
        if self.guest_shutdown == Shutdown::all() && self.phase != Phase::Closed {
            self.phase = Phase::Draining;
        }
        self.drain();
    }

    fn reset(&mut self) {
        self.phase = Phase::Closed;
        self.owed = Owed { reset: true, ..Default::default() };
    }
}

impl AsRef<UnixStream> for Connection {
    fn as_ref(&self) -> &UnixStream {
        &self.stream
    }
}

/// Whether the other end was closed wholly, and not only for writing.
fn is_hung_up(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|count| count > 0 && fds[0].revents().contains(PollFlags::HUP))
}
