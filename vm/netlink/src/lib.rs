//! Questions and requests to the kernel's network by rtnetlink(7), as few as the two ends of class `vm` need: the host
//! asks what a network namespace has, and the guest is given the same.
//!
//! The kernel answers a request with messages that bear its number, the last of which says how it went. Numbers are
//! those of linux/netlink.h, linux/rtnetlink.h and what they include ([`numbers`]).
#![forbid(unsafe_code)]

pub mod numbers;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with};

const FLAG_REQUEST: u16 = 0x1;
const FLAG_ACK: u16 = 0x4;
const FLAG_DUMP: u16 = 0x300;
const FLAG_REPLACE: u16 = 0x100;
const FLAG_EXCLUSIVE: u16 = 0x200;
const FLAG_CREATE: u16 = 0x400;

const TYPE_ERROR: u16 = 2;
const TYPE_DONE: u16 = 3;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct nlattr`.
const ATTRIBUTE: usize = 4;
/// The kernel sends no larger parts of a list to those who read so much at once (netlink(7), NLMSG_GOODSIZE).
const BUFFER: usize = 32 << 10;
/// Without byte order and nesting marks.
const KIND_MASK: u16 = 0x3fff;

/// A message of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub kind: u16,
    /// What follows its header.
    pub body: Vec<u8>,
}

/// What a request is to do about what exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Change it, or remove it.
    Change,
    /// Add to it; its like must not be there.
    Create,
    /// Add to it, or take the place of its like.
    Put,
}

impl Act {
    fn flags(self) -> u16 {
        match self {
            Self::Change => 0,
            Self::Create => FLAG_CREATE | FLAG_EXCLUSIVE,
            Self::Put => FLAG_CREATE | FLAG_REPLACE,
        }
    }
}

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Request(Vec<u8>);

impl Request {
    /// A request of this type, with the fixed part that belongs to it.
    pub fn new(kind: u16, act: Act, fixed: &[u8]) -> Self {
        Self::with_flags(kind, FLAG_ACK | act.flags(), fixed)
    }

    fn with_flags(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((FLAG_REQUEST | flags).to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(fixed);
        Self(bytes)
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(self, kind: u16, data: &[u8]) -> Self {
        self.nested(kind, |mut request| {
            request.0.extend(data);
            request
        })
    }

    /// Adds an address.
    #[must_use]
    pub fn with_address(self, kind: u16, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.with(kind, &address.octets()),
            IpAddr::V6(address) => self.with(kind, &address.octets()),
        }
    }

    /// Adds an attribute that holds what `fill` adds.
    #[must_use]
    pub fn nested(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        let mut filled = fill(self).0;
        let len = u16::try_from(filled.len() - start).unwrap_or(u16::MAX);
        filled[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        filled.resize(filled.len().next_multiple_of(4), 0);
        Self(filled)
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let len = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// A socket to the network namespace that it was opened in.
#[derive(Debug)]
pub struct Socket {
    socket: OwnedFd,
    sequence: Cell<u32>,
}

impl Socket {
    /// Opens one in the calling thread's network namespace.
    pub fn open() -> rustix::io::Result<Self> {
        // NETLINK_ROUTE is number 0.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { socket, sequence: Cell::new(0) })
    }

    /// Carries out a request.
    pub fn carry_out(&self, request: Request) -> rustix::io::Result<()> {
        self.ask(request).map(drop)
    }

    /// All objects that a request of type `kind` lists.
    pub fn list(&self, kind: u16, fixed: &[u8]) -> rustix::io::Result<Vec<Message>> {
        self.ask(Request::with_flags(kind, FLAG_DUMP, fixed))
    }

    /// Messages up to the one that ends the answer.
    fn ask(&self, request: Request) -> rustix::io::Result<Vec<Message>> {
        let number = self.sequence.get().wrapping_add(1);
        self.sequence.set(number);
        send(&self.socket, &request.finish(number), SendFlags::empty())?;
        let mut messages = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let (len, _) = recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = buffer.get(..len).unwrap_or_default();
            while let Some((message, sequence, after)) = split(rest) {
                rest = after;
                match message.kind {
                    // What a request that failed halfway left behind.
                    _ if sequence != number => {}
                    TYPE_DONE => return Ok(messages),
                    TYPE_ERROR => return status(&message.body).map(|()| messages),
                    _ => messages.push(message),
                }
            }
        }
    }
}

/// The first message of several, and the number of its request.
fn split(bytes: &[u8]) -> Option<(Message, u32, &[u8])> {
    let len = usize::try_from(word(bytes, 0)?).ok()?;
    let body = bytes.get(HEADER..len)?.to_vec();
    let message = Message { kind: half(bytes, 4)?, body };
    Some((message, word(bytes, 8)?, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// An error message holds a negative error number, or 0.
fn status(body: &[u8]) -> rustix::io::Result<()> {
    match word(body, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(code) => Err(Errno::from_raw_os_error(code.wrapping_neg())),
        None => Err(Errno::BADMSG),
    }
}

/// The attributes after a message's fixed part: type and data.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(half(bytes, 0)?);
        let (kind, data) = (half(bytes, 2)? & KIND_MASK, bytes.get(ATTRIBUTE..len)?);
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, data))
    })
}

/// The first attribute of a type.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, data)| data)
}

/// An attribute's address.
pub fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(*bytes.first_chunk()?).into()),
        16 => Some(Ipv6Addr::from(*bytes.first_chunk()?).into()),
        _ => None,
    }
}

/// The number at an offset.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The short number at an offset.
pub fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_nested_and_aligned() {
        let request = Request::new(36, Act::Create, &[7; 4]).with(1, b"abc").nested(2, |inner| inner.with(3, &[9; 4]));
        let bytes = request.finish(9);
        assert_eq!((word(&bytes, 0), word(&bytes, 8)), (u32::try_from(bytes.len()).ok(), Some(9)));
        let outer: Vec<_> = attributes(&bytes[HEADER + 4..]).collect();
        assert_eq!(outer[0], (1, &b"abc"[..]));
        assert_eq!(outer[1].0, 2);
        assert_eq!(attribute(outer[1].1, 3), Some(&[9; 4][..]));
    }

    #[test]
    fn messages_follow_each_other() {
        let bytes = [Request::new(16, Act::Change, &[1; 4]).with(3, b"eth0\0").finish(5), vec![7]].concat();
        let (message, sequence, rest) = split(&bytes).expect("a message");
        assert_eq!((message.kind, sequence, rest), (16, 5, &[7][..]));
        assert_eq!(attribute(&message.body[4..], 3), Some(&b"eth0\0"[..]));
    }

    #[test]
    fn what_is_cut_short_ends_the_list() {
        assert_eq!(attributes(&[8, 0, 1, 0, 1, 2]).count(), 0);
        assert_eq!(attributes(&[0, 0, 1, 0]).count() + attributes(&[3, 0, 1, 0]).count(), 0);
        let bytes = Request::new(16, Act::Put, &[0; 16]).with(3, b"eth0").finish(1);
        assert!((0..bytes.len()).all(|len| split(&bytes[..len]).is_none()));
    }

    #[test]
    fn errors_of_the_kernel_are_errors() {
        let socket = Socket::open().expect("a socket");
        // An interface that does not exist.
        let fixed = [&[0; 4][..], &i32::MAX.to_ne_bytes(), &[0; 8]].concat();
        let error = socket.carry_out(Request::new(numbers::SET_LINK, Act::Change, &fixed));
        assert_eq!(error, Err(Errno::NODEV));
        assert!(!socket.list(numbers::GET_LINK, &[0; numbers::LINK_BYTES]).expect("a list").is_empty());
    }
}
