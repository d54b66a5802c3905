//! What a runtime process and the process it cloned tell each other over a socketpair.
//!
//! Invariant: each packet is one tag byte and, for some, a body. An end of file instead of a packet means that the
//! other side is gone, or, after exec's last packet, that execve succeeded.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use serde::{Deserialize, Serialize};
use stockade_sandbox::{Error, IsolationClass, Result};

use crate::fail::Context;
use crate::sys::process::close_range;

/// A message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    /// Parent: the child's identity maps are written, go on.
    Go,
    /// Parent: the same, and these are the ids to take on.
    Become {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// First stage: the real child has this pid; it is the parent's child too.
    Pid(u32),
    /// Child: run the hooks that belong before pivot_root, then answer `Go`.
    Hooks,
    /// Child: set the process's rlimits, then answer `Go`.
    Limits,
    /// Child: its descriptor of this number is the seccomp listener; fetch it, then answer `Go`.
    Listener(i32),
    /// Init: everything is set up, it now waits for `start`.
    Ready,
    /// Child: it gave up.
    Failed(Failure),
}

/// An [`Error`] that can travel.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Failure {
    NotFound(String),
    NoSuchProgram(String),
    NotExecutable { program: String, reason: String },
    InvalidConfig(String),
    Unsupported { what: String, why: String },
    Os { what: String, errno: i32 },
    Other(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::ExecutableNotFound(program) => Self::NotFound(program),
            Error::NoSuchProgram(program) => Self::NoSuchProgram(program),
            Error::NotExecutable { program, reason } => Self::NotExecutable { program, reason },
            Error::InvalidConfig(what) => Self::InvalidConfig(what),
            Error::Unsupported { what, why, .. } => Self::Unsupported { what, why },
            Error::Os { what, source } => match source.raw_os_error() {
                Some(errno) => Self::Os { what, errno },
                None => Self::Other(format!("{what}: {source}")),
            },
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound(program) => Self::ExecutableNotFound(program),
            Failure::NoSuchProgram(program) => Self::NoSuchProgram(program),
            Failure::NotExecutable { program, reason } => Self::NotExecutable { program, reason },
            Failure::InvalidConfig(what) => Self::InvalidConfig(what),
            Failure::Unsupported { what, why } => Self::Unsupported { class: IsolationClass::Native, what, why },
            Failure::Os { what, errno } => Self::os(what, io::Error::from_raw_os_error(errno)),
            Failure::Other(text) => Self::Other(text),
        }
    }
}

/// One end.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
}

impl Channel {
    /// Both ends, closed at exec.
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .at("make a socket pair")?;
        Ok((Self { socket: a }, Self { socket: b }))
    }

    /// How long each message is waited for; for ever unless this is called.
    pub(crate) fn set_patience(&self, patience: Duration) -> Result<()> {
        set_socket_timeout(&self.socket, Timeout::Recv, Some(patience))
            .at("limit the wait for the other side of the clone")
    }

    /// Sends a message; a vanished peer is an error, not a signal.
    pub(crate) fn send(&self, message: &Message) -> Result<()> {
        let packet = serde_json::to_vec(message).map_err(|e| Error::Other(e.to_string()))?;
        send(&self.socket, &packet, SendFlags::NOSIGNAL).at("send to the other side of the clone").map(drop)
    }

    /// The next message; `None` at the end.
    pub(crate) fn receive(&self) -> Result<Option<Message>> {
        let mut packet = vec![0; 16 * 1024];
        let (_, length) = loop {
            match recv(&self.socket, &mut packet[..], RecvFlags::empty()) {
                Err(rustix::io::Errno::INTR) => {}
                // A peer that died with our packets unread.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                answer => break answer.at("receive from the other side of the clone")?,
            }
        };
        if length == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&packet[..length]).map(Some).map_err(|e| Error::Other(e.to_string()))
    }

    /// Fails when the other side has gone already, without waiting. A parent that died before its child asked for a
    /// death signal sends none.
    pub(crate) fn check_peer(&self) -> Result<()> {
        match recv(&self.socket, &mut [0u8; 1][..], RecvFlags::DONTWAIT | RecvFlags::PEEK) {
            Ok((_, 0)) | Err(rustix::io::Errno::CONNRESET) => Err(Error::Other("the runtime process is gone".into())),
            _ => Ok(()),
        }
    }

    /// Waits for `Go`; anything else means that the parent gave up.
    pub(crate) fn wait_for_go(&self) -> Result<()> {
        match self.receive()? {
            Some(Message::Go) => Ok(()),
            _ => Err(Error::Other("the runtime process gave up".into())),
        }
    }

    /// In a freshly cloned child: closes its copy of the other side's end, so that an end of file can be seen.
    pub(crate) fn close_copy(&self) {
        let number = self.socket.as_raw_fd().unsigned_abs();
        let _ = close_range(number, number);
    }

    /// A copy of this end with a number of at least `lowest`.
    pub(crate) fn moved_above(&self, lowest: i32) -> Result<Self> {
        rustix::io::fcntl_dupfd_cloexec(&self.socket, lowest).at("copy a descriptor").map(|socket| Self { socket })
    }

    /// The descriptor's number, to be spared when all others are closed.
    pub(crate) fn number(&self) -> u32 {
        self.socket.as_raw_fd().unsigned_abs()
    }
}
