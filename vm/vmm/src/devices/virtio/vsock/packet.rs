//! Packets of the vsock device (virtio 1.2, 5.10.6): a header, then data.

use bitflags::bitflags;

use super::super::queue::Chain;
use crate::memory::Memory;

/// Length of a header.
pub const HEADER_LEN: u32 = 44;
/// The host's address.
pub const HOST_CID: u64 = 2;
/// Stream sockets; there are no others here.
pub const TYPE_STREAM: u16 = 1;

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Connect.
    Request,
    /// Connected.
    Response,
    /// There is no such connection, or no more.
    Reset,
    /// One or both directions end.
    Shutdown,
    /// Data.
    Data,
    /// So much may be sent.
    CreditUpdate,
    /// How much may be sent?
    CreditRequest,
}

const OPERATIONS: [(u16, Operation); 7] = [
    (1, Operation::Request),
    (2, Operation::Response),
    (3, Operation::Reset),
    (4, Operation::Shutdown),
    (5, Operation::Data),
    (6, Operation::CreditUpdate),
    (7, Operation::CreditRequest),
];

impl Operation {
    fn parse(number: u16) -> Option<Self> {
        OPERATIONS.iter().find(|(known, _)| *known == number).map(|(_, operation)| *operation)
    }

    fn number(self) -> u16 {
        OPERATIONS.iter().find(|(_, known)| *known == self).map_or(0, |(number, _)| *number)
    }
}

bitflags! {
    /// Which directions end, from the sender's point of view.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Shutdown: u32 {
        /// It will receive no more.
        const RECEIVE = 1;
        /// It will send no more.
        const SEND = 2;
    }
}

/// A connection's name: the port on the host's side, and the guest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ports {
    /// Of the host.
    pub host: u32,
    /// Of the guest.
    pub guest: u32,
}

/// A header from the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Where it says that it comes from.
    pub source_cid: u64,
    /// Where it goes.
    pub destination_cid: u64,
    /// The connection.
    pub ports: Ports,
    /// Length of its data, as the guest says.
    pub len: u32,
    /// Socket type.
    pub kind: u16,
    /// What it is for, if known.
    pub operation: Option<Operation>,
    /// Directions, with [`Operation::Shutdown`].
    pub shutdown: Shutdown,
    /// The sender's buffer.
    pub credit: Credit,
}

/// What each packet says of its sender's buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Credit {
    /// Its size.
    pub buffer: u32,
    /// Bytes taken out of it since the connection began, modulo 2^32.
    pub forwarded: u32,
}

impl Received {
    /// The header of a chain; none if it is too short.
    pub fn parse(memory: &Memory, chain: &Chain) -> Option<Self> {
        let mut bytes = [0; HEADER_LEN as usize];
        if chain.read(memory, 0, &mut bytes) < bytes.len() {
            return None;
        }
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let quad = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Some(Received {
            source_cid: quad(0),
            destination_cid: quad(8),
            ports: Ports { guest: word(16), host: word(20) },
            len: word(24),
            kind: half(28),
            operation: Operation::parse(half(30)),
            shutdown: Shutdown::from_bits_truncate(word(32)),
            credit: Credit { buffer: word(36), forwarded: word(40) },
        })
    }
}

/// A header to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The connection.
    pub ports: Ports,
    /// What it is for.
    pub operation: Operation,
    /// Directions, with [`Operation::Shutdown`].
    pub shutdown: Shutdown,
    /// Our buffer.
    pub credit: Credit,
}

impl Sent {
    /// Its bytes, for a guest with this address and `len` bytes of data.
    pub fn bytes(&self, guest_cid: u64, len: u32) -> [u8; HEADER_LEN as usize] {
        let mut bytes = [0; HEADER_LEN as usize];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &HOST_CID.to_le_bytes());
        put(8, &guest_cid.to_le_bytes());
        put(16, &self.ports.host.to_le_bytes());
        put(20, &self.ports.guest.to_le_bytes());
        put(24, &len.to_le_bytes());
        put(28, &TYPE_STREAM.to_le_bytes());
        put(30, &self.operation.number().to_le_bytes());
        put(32, &self.shutdown.bits().to_le_bytes());
        put(36, &self.credit.buffer.to_le_bytes());
        put(40, &self.credit.forwarded.to_le_bytes());
        bytes
    }
}
