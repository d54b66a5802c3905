//! Questions and requests to the kernel's network by rtnetlink(7), as few as are needed here. Numbers are those of
//! linux/netlink.h and linux/rtnetlink.h.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

const FLAG_REQUEST: u16 = 0x1;
const FLAG_ACK: u16 = 0x4;
const FLAG_DUMP: u16 = 0x300;
/// Refuse what exists already.
const FLAG_NEW: u16 = 0x600;

const TYPE_ERROR: u16 = 2;
const TYPE_DONE: u16 = 3;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct nlattr`.
const ATTRIBUTE: usize = 4;
/// The kernel never sends more at once (netlink(7), NLMSG_GOODSIZE).
const BUFFER: usize = 32 << 10;
/// Without byte order and nesting marks.
const KIND_MASK: u16 = 0x3fff;

/// A message of the kernel: its type, and what follows its header.
#[derive(Debug)]
pub(super) struct Message {
    pub kind: u16,
    pub body: Vec<u8>,
}

/// A request in the making.
#[derive(Debug)]
pub(super) struct Request(Vec<u8>);

/// What a request is to do about what exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Change,
    Create,
}

impl Request {
    /// A request of this type, with the fixed part that belongs to it.
    pub(super) fn new(kind: u16, act: Act, fixed: &[u8]) -> Self {
        let flags = if act == Act::Create { FLAG_NEW } else { 0 };
        Self::with_flags(kind, FLAG_REQUEST | FLAG_ACK | flags, fixed)
    }

    fn with_flags(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(fixed);
        Self(bytes)
    }

    /// Adds an attribute.
    pub(super) fn with(self, kind: u16, data: &[u8]) -> Self {
        self.nested(kind, |mut request| {
            request.0.extend(data);
            request
        })
    }

    /// Adds an attribute that holds what `fill` adds.
    pub(super) fn nested(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        let mut filled = fill(self).0;
        let len = u16::try_from(filled.len() - start).unwrap_or(u16::MAX);
        filled[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        filled.resize(filled.len().next_multiple_of(4), 0);
        Self(filled)
    }

    fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0
    }
}

/// A socket to the network namespace that it was opened in.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        // NETLINK_ROUTE is number 0.
        Ok(Self(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?))
    }

    /// Carries out a request.
    pub(super) fn carry_out(&self, request: Request) -> io::Result<()> {
        send(&self.0, &request.finish(), SendFlags::empty())?;
        self.receive().map(drop)
    }

    /// All objects that a request of type `kind` lists.
    pub(super) fn list(&self, kind: u16, fixed: &[u8]) -> io::Result<Vec<Message>> {
        let request = Request::with_flags(kind, FLAG_REQUEST | FLAG_DUMP, fixed);
        send(&self.0, &request.finish(), SendFlags::empty())?;
        self.receive()
    }

    /// Messages up to the one that ends the answer.
    fn receive(&self) -> io::Result<Vec<Message>> {
        let mut messages = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let (len, _) = recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..len];
            while let Some((message, after)) = split(rest) {
                rest = after;
                match message.kind {
                    TYPE_DONE => return Ok(messages),
                    TYPE_ERROR => return status(&message.body).map(|()| messages),
                    _ => messages.push(message),
                }
            }
        }
    }
}

/// The first message of several.
fn split(bytes: &[u8]) -> Option<(Message, &[u8])> {
    let len = usize::try_from(word(bytes, 0)?).ok()?;
    let body = bytes.get(HEADER..len)?.to_vec();
    let message = Message { kind: half(bytes, 4)?, body };
    Some((message, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// An error message holds a negative error number, or 0.
fn status(body: &[u8]) -> io::Result<()> {
    match word(body, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(code) => Err(Errno::from_raw_os_error(code.wrapping_neg()).into()),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The attributes after a message's fixed part: type and data.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(half(bytes, 0)?);
        let (kind, data) = (half(bytes, 2)? & KIND_MASK, bytes.get(ATTRIBUTE..len)?);
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, data))
    })
}

/// The number at an offset.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_nested_and_aligned() {
        let request = Request::new(36, Act::Create, &[7; 4]).with(1, b"abc").nested(2, |inner| inner.with(3, &[9; 4]));
        let bytes = request.finish();
        assert_eq!(word(&bytes, 0), u32::try_from(bytes.len()).ok());
        let outer: Vec<_> = attributes(&bytes[HEADER + 4..]).collect();
        assert_eq!(outer[0], (1, &b"abc"[..]));
        assert_eq!(outer[1].0, 2);
        assert_eq!(attributes(outer[1].1).collect::<Vec<_>>(), [(3, &[9; 4][..])]);
    }

    #[test]
    fn what_is_cut_short_ends_the_list() {
        assert_eq!(attributes(&[8, 0, 1, 0, 1, 2]).count(), 0);
        assert_eq!(attributes(&[0, 0, 1, 0]).count(), 0);
        assert!(split(&[200, 0, 0, 0]).is_none());
    }

    #[test]
    fn errors_of_the_kernel_are_errors() {
        let socket = Socket::open().expect("a socket");
        // An interface that does not exist.
        let fixed = [&[0; 4][..], &i32::MAX.to_ne_bytes(), &[0; 8]].concat();
        let error = socket.carry_out(Request::new(19, Act::Change, &fixed)).expect_err("no such interface");
        assert_eq!(error.raw_os_error(), Some(Errno::NODEV.raw_os_error()));
    }
}
