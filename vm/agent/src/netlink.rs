//! Messages to the kernel's network configuration (rtnetlink(7)), as many as are needed here.

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with};

const HEADER_BYTES: usize = 16;
/// The kernel sends no larger parts of a dump to those who read so much at once.
const RECEIVE_BYTES: usize = 32 * 1024;

/// linux/netlink.h
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;

/// What a change does to what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// Something is changed or removed.
    Existing,
    /// Something is added, or takes the place of its like (NLM_F_CREATE, NLM_F_REPLACE).
    Put,
}

impl Change {
    fn flags(self) -> u16 {
        match self {
            Self::Existing => 0,
            Self::Put => 0x500,
        }
    }
}

/// One message: its kind, a fixed part and attributes.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    kind: u16,
    body: Vec<u8>,
}

impl Message {
    /// A message with its fixed part.
    pub(crate) fn new(kind: u16, fixed: &[u8]) -> Self {
        Self { kind, body: fixed.to_vec() }
    }

    /// Adds an attribute.
    pub(crate) fn with(mut self, attribute: u16, value: &[u8]) -> Self {
        let len = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.body.extend(len.to_ne_bytes());
        self.body.extend(attribute.to_ne_bytes());
        self.body.extend(value);
        self.body.resize(self.body.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an address.
    pub(crate) fn with_address(self, attribute: u16, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.with(attribute, &address.octets()),
            IpAddr::V6(address) => self.with(attribute, &address.octets()),
        }
    }

    fn encode(&self, flags: u16, sequence: u32) -> Vec<u8> {
        let len = u32::try_from(HEADER_BYTES + self.body.len()).unwrap_or(u32::MAX);
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(&self.body);
        bytes
    }
}

/// A connection to the kernel.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens one to the calling process's network namespace.
    pub(crate) fn open() -> rustix::io::Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Makes a change, and waits until it is made.
    pub(crate) fn change(&mut self, message: &Message, change: Change) -> rustix::io::Result<()> {
        self.ask(message, NLM_F_ACK | change.flags(), |_, _| {})
    }

    /// Asks for everything of a kind; `each` gets kinds and bodies.
    pub(crate) fn dump(&mut self, message: &Message, each: impl FnMut(u16, &[u8])) -> rustix::io::Result<()> {
        self.ask(message, NLM_F_DUMP, each)
    }

    fn ask(&mut self, message: &Message, flags: u16, mut each: impl FnMut(u16, &[u8])) -> rustix::io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        send(&self.socket, &message.encode(NLM_F_REQUEST | flags, self.sequence), SendFlags::empty())?;
        let mut buffer = vec![0; RECEIVE_BYTES];
        loop {
            let (_, len) = recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = buffer.get(..len).unwrap_or_default();
            while let Some((kind, sequence, body, next)) = split(rest) {
                rest = next;
                match kind {
                    // What another question of ours left behind.
                    _ if sequence != self.sequence => {}
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return status(body),
                    _ => each(kind, body),
                }
            }
        }
    }
}

/// An acknowledgement is error 0.
fn status(body: &[u8]) -> rustix::io::Result<()> {
    let code = body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
    if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(code.wrapping_neg())) }
}

/// The first message of several: kind, sequence, body, and what follows.
fn split(bytes: &[u8]) -> Option<(u16, u32, &[u8], &[u8])> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let len = usize::try_from(u32::from_ne_bytes(*header.first_chunk()?)).ok()?;
    let body = bytes.get(HEADER_BYTES..len)?;
    let kind = u16::from_ne_bytes([header[4], header[5]]);
    let sequence = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
    Some((kind, sequence, body, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// The attributes of a body after its fixed part.
pub(crate) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [l0, l1, k0, k1] = *rest.first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = rest.get(4..len)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        // The two highest bits are flags.
        Some((u16::from_ne_bytes([k0, k1]) & 0x3fff, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_can_be_taken_apart() {
        let message = Message::new(16, &[1, 2, 3, 4]).with(3, b"eth0\0").with(4, &1500_u32.to_ne_bytes());
        let bytes = [message.encode(5, 9), vec![7]].concat();
        let (kind, sequence, body, rest) = split(&bytes).expect("a message");
        assert_eq!((kind, sequence, rest), (16, 9, &[7][..]));
        let found: Vec<_> = attributes(&body[4..]).collect();
        assert_eq!(found, [(3, &b"eth0\0"[..]), (4, &1500_u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn what_is_cut_off_is_left() {
        let message = Message::new(16, &[0; 16]).with(3, b"eth0").encode(0, 1);
        for len in 0..message.len() {
            assert!(split(&message[..len]).is_none());
        }
        assert_eq!(attributes(&[3, 0, 1, 0]).count() + attributes(&[9, 0, 1, 0, 5]).count(), 0);
    }
}
