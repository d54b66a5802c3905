//! What a supervisor and its clients say to each other, over a unix SOCK_SEQPACKET socket: one packet per message, the
//! first byte its kind, integers big-endian. The first client is born with the supervisor; others connect to
//! `attach.sock` in the container's run directory. A client leaves by closing its end.
//!
//! ```text
//! client:      Hello (Input | InputEnd | Resize)*
//! supervisor:  (Started | Failed)? Output* Exited?        Started and Failed go to the first client only
//! ```

use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::logs::LogStream;

/// Bytes of stream data in one message.
pub(crate) const DATA_BYTES_MAX: usize = 16 << 10;
/// Bytes of one message; the text of [`Reply::Failed`] may be longer than data.
pub(crate) const MESSAGE_BYTES_MAX: usize = 128 << 10;

/// What a client is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Waits for the end.
    Watch,
    /// Gets the output.
    Output,
    /// Gets the output and gives the input.
    InputOutput,
}

/// A terminal's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowSize {
    /// Lines.
    pub(crate) rows: u16,
    /// Characters per line.
    pub(crate) columns: u16,
}

/// From a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// Who it is; first of all.
    Hello(Role),
    /// Bytes for the process.
    Input(&'a [u8]),
    /// No more bytes for the process.
    InputEnd,
    /// The client's window.
    Resize(WindowSize),
}

/// From a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// The workload runs.
    Started,
    /// It cannot: the exit code that stands for the reason, and its text.
    Failed(u8, &'a str),
    /// Bytes from the process.
    Output(LogStream, &'a [u8]),
    /// It has ended, and all is cleaned up.
    Exited(i32),
}

impl<'a> Request<'a> {
    /// The message as bytes, in `packet`.
    pub(crate) fn encode(&self, packet: &mut Vec<u8>) {
        packet.clear();
        match self {
            Self::Hello(Role::Watch) => packet.extend([b'h', 0]),
            Self::Hello(Role::Output) => packet.extend([b'h', 1]),
            Self::Hello(Role::InputOutput) => packet.extend([b'h', 2]),
            Self::Input(data) => tagged(packet, b'i', data),
            Self::InputEnd => packet.push(b'e'),
            Self::Resize(size) => {
                packet.push(b'r');
                packet.extend(size.rows.to_be_bytes());
                packet.extend(size.columns.to_be_bytes());
            }
        }
    }

    /// The message in `packet`; `None` for anything else.
    pub(crate) fn decode(packet: &'a [u8]) -> Option<Self> {
        match packet {
            [b'h', 0] => Some(Self::Hello(Role::Watch)),
            [b'h', 1] => Some(Self::Hello(Role::Output)),
            [b'h', 2] => Some(Self::Hello(Role::InputOutput)),
            [b'i', data @ ..] => Some(Self::Input(data)),
            [b'e'] => Some(Self::InputEnd),
            &[b'r', a, b, c, d] => {
                Some(Self::Resize(WindowSize { rows: u16::from_be_bytes([a, b]), columns: u16::from_be_bytes([c, d]) }))
            }
            _ => None,
        }
    }
}

impl<'a> Reply<'a> {
    /// The message as bytes, in `packet`.
    pub(crate) fn encode(&self, packet: &mut Vec<u8>) {
        packet.clear();
        match self {
            Self::Started => packet.push(b's'),
            Self::Failed(code, text) => {
                packet.extend([b'f', *code]);
                packet.extend(text.as_bytes());
            }
            Self::Output(LogStream::Stdout, data) => tagged(packet, b'1', data),
            Self::Output(LogStream::Stderr, data) => tagged(packet, b'2', data),
            Self::Exited(code) => tagged(packet, b'q', &code.to_be_bytes()),
        }
    }

    /// The message in `packet`; `None` for anything else.
    pub(crate) fn decode(packet: &'a [u8]) -> Option<Self> {
        match packet {
            [b's'] => Some(Self::Started),
            [b'f', code, text @ ..] => Some(Self::Failed(*code, std::str::from_utf8(text).ok()?)),
            [b'1', data @ ..] => Some(Self::Output(LogStream::Stdout, data)),
            [b'2', data @ ..] => Some(Self::Output(LogStream::Stderr, data)),
            [b'q', code @ ..] => Some(Self::Exited(i32::from_be_bytes(code.try_into().ok()?))),
            _ => None,
        }
    }
}

/// A kind and what follows.
fn tagged(packet: &mut Vec<u8>, tag: u8, data: &[u8]) {
    packet.push(tag);
    packet.extend(data);
}

/// Two connected ends.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// A socket that listens at `name` in `dir`. Reached through the directory's descriptor: paths of sockets are short.
pub(crate) fn listen(dir: &Path, name: &str) -> Result<OwnedFd, Errno> {
    let (address, _dir) = address(dir, name)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 64)?;
    Ok(socket)
}

/// Connects to the socket at `name` in `dir`.
pub(crate) fn connect(dir: &Path, name: &str) -> Result<OwnedFd, Errno> {
    let (address, _dir) = address(dir, name)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// A short path for a long directory; the descriptor must live as long as the path is used.
fn address(dir: &Path, name: &str) -> Result<(SocketAddrUnix, OwnedFd), Errno> {
    use std::os::fd::AsRawFd;
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, rustix::fs::Mode::empty())?;
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", fd.as_raw_fd()))?;
    Ok((address, fd))
}

/// Sends a packet, waiting for room if the socket blocks.
pub(crate) fn send(socket: impl AsFd, packet: &[u8]) -> Result<(), Errno> {
    loop {
        match rustix::net::send(&socket, packet, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends a packet if there is room now; [`Errno::AGAIN`] otherwise.
pub(crate) fn try_send(socket: impl AsFd, packet: &[u8]) -> Result<(), Errno> {
    rustix::net::send(&socket, packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(drop)
}

/// Receives a packet into `buffer`; its length, 0 at the end. A packet that does not fit is an error.
pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8], flags: RecvFlags) -> Result<usize, Errno> {
    let mut control = RecvAncillaryBuffer::default();
    loop {
        let mut parts = [IoSliceMut::new(buffer)];
        match rustix::net::recvmsg(&socket, &mut parts, &mut control, flags) {
            Ok(message) if message.flags.contains(ReturnFlags::TRUNC) => return Err(Errno::MSGSIZE),
            Ok(message) => return Ok(message.bytes),
            // A far end that closes with packets unread is told of once, ahead of what it sent before
            // (net/core/datagram.c takes sk_err first): the next call has that, or the end.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_round_trip() {
        let size = WindowSize { rows: 24, columns: 300 };
        let role = Request::Hello(Role::InputOutput);
        let mut packet = Vec::new();
        for request in [role, Request::Input(b""), Request::InputEnd, Request::Resize(size)] {
            request.encode(&mut packet);
            assert_eq!(Request::decode(&packet), Some(request));
        }
        for bad in [&b""[..], b"h", b"h3", b"e1", b"r123", b"?"] {
            assert_eq!(Request::decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn replies_round_trip() {
        let mut packet = Vec::new();
        for reply in [
            Reply::Started,
            Reply::Failed(127, "no such file"),
            Reply::Output(LogStream::Stdout, b"a\0b"),
            Reply::Output(LogStream::Stderr, b""),
            Reply::Exited(-1),
        ] {
            reply.encode(&mut packet);
            assert_eq!(Reply::decode(&packet), Some(reply));
        }
        for bad in [&b""[..], b"f", b"q123", b"s1", b"f\0\xff"] {
            assert_eq!(Reply::decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sockets_carry_packets_below_long_directories() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(200));
        std::fs::create_dir(&long).unwrap();
        let listener = listen(&long, "s").unwrap();
        let client = connect(&long, "s").unwrap();
        let server = rustix::net::accept(&listener).unwrap();
        send(&client, b"one").unwrap();
        send(&client, b"two").unwrap();
        drop(client);
        let mut buffer = [0; 8];
        let mut next = || receive(&server, &mut buffer, RecvFlags::empty()).map(|n| buffer[..n].to_vec());
        assert_eq!(next().unwrap(), b"one");
        assert_eq!(next().unwrap(), b"two");
        assert_eq!(next().unwrap(), b"");
    }
}
