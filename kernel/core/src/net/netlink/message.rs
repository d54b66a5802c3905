//! Requests and answers as netlink(7) frames them.

use alloc::vec::Vec;

use crate::Errno;
use crate::abi::{Decoder, Encoder};

/// Bytes of `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;
/// Types of messages of the protocol itself.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// NLMSG_MIN_TYPE: those below mean nothing in requests.
pub(super) const KINDS_START: u16 = 16;
/// Flags of messages.
const MULTI: u16 = 2;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;

/// A request's header and what is behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    /// Whom its answer is for.
    pub port: u32,
    header: &'a [u8],
    pub body: &'a [u8],
}

/// The requests of a message.
pub(super) fn requests(bytes: &[u8], port: u32) -> impl Iterator<Item = Request<'_>> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (request, behind) = next(rest, port)?;
        rest = behind;
        Some(request)
    })
}

fn next(bytes: &[u8], port: u32) -> Option<(Request<'_>, &[u8])> {
    if bytes.len() < HEADER_BYTES {
        return None;
    }
    let mut fields = Decoder::new(bytes);
    let (len, kind, flags, sequence): (u32, u16, u16, u32) =
        (fields.take(), fields.take(), fields.take(), fields.take());
    let len = usize::try_from(len).ok().filter(|len| (HEADER_BYTES..=bytes.len()).contains(len))?;
    let (header, body) = (&bytes[..HEADER_BYTES], &bytes[HEADER_BYTES..len]);
    let request = Request { kind, flags, sequence, port, header, body };
    Some((request, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

impl Request<'_> {
    /// Whether it asks for all there are.
    pub fn dumps(&self) -> bool {
        self.flags & DUMP == DUMP
    }

    /// What is sent back when these were found: type and body.
    pub fn found(&self, found: &[(u16, Vec<u8>)]) -> Vec<Vec<u8>> {
        let flags = if self.dumps() { MULTI } else { 0 };
        let listed: Vec<u8> = found.iter().flat_map(|(kind, body)| self.message(*kind, flags, body)).collect();
        let mut messages: Vec<Vec<u8>> = Vec::new();
        if !found.is_empty() {
            messages.push(listed);
        }
        if self.dumps() {
            messages.push(self.message(DONE, MULTI, &[0; 4]));
            return messages;
        }
        messages.extend(self.acknowledged());
        messages
    }

    /// Nothing, unless it wants to hear of its success.
    pub fn acknowledged(&self) -> Vec<Vec<u8>> {
        let wanted = self.flags & ACKNOWLEDGE != 0;
        if wanted { alloc::vec![self.error(None)] } else { Vec::new() }
    }

    /// Says why not.
    pub fn refused(&self, errno: Errno) -> Vec<Vec<u8>> {
        alloc::vec![self.error(Some(errno))]
    }

    /// `struct nlmsgerr`: 0 is success.
    fn error(&self, errno: Option<Errno>) -> Vec<u8> {
        let mut body = Encoder::with_capacity(36);
        body.put(-errno.map_or(0, Errno::raw)).bytes(self.header);
        if errno.is_some() {
            body.bytes(self.body);
        }
        self.message(ERROR, 0, &body.finish())
    }

    fn message(&self, kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let len = HEADER_BYTES + body.len();
        let mut bytes = Encoder::with_capacity(len + 3);
        bytes.put(u32::try_from(len).unwrap_or(u32::MAX)).put(kind).put(flags).put(self.sequence).put(self.port);
        bytes.bytes(body).zeros(len.next_multiple_of(4) - len);
        bytes.finish()
    }
}

/// Appends an attribute.
pub(super) fn attribute(to: &mut Encoder, kind: u16, value: &[u8]) {
    let len = 4 + value.len();
    to.put(u16::try_from(len).unwrap_or(u16::MAX)).put(kind).bytes(value);
    to.zeros(len.next_multiple_of(4) - len);
}

/// The attribute of a type among others; the last one counts.
pub(super) fn find_attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    /// NLA_F_NESTED and NLA_F_NET_BYTEORDER are no part of a type.
    const TYPE_MASK: u16 = 0x3fff;
    let (mut rest, mut found) = (bytes, None);
    while rest.len() >= 4 {
        let mut fields = Decoder::new(rest);
        let (len, kind): (u16, u16) = (fields.take(), fields.take());
        let len = usize::from(len);
        let Some(value) = rest.get(4..len) else { break };
        if kind & TYPE_MASK == wanted {
            found = Some(value);
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}
