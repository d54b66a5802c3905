//! Terminals: the socket that carries a master side, and the caller's own terminal in raw mode.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use stockade_sandbox::{Error, Result};

/// Connects to the caller's `--console-socket`.
pub fn connect(path: &Path) -> Result<UnixStream> {
    UnixStream::connect(path).map_err(|e| Error::os(format!("dial unix {}", path.display()), e))
}

/// Takes the master side that the class sent over the other end of `socket`.
pub fn receive_master(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 4096];
    recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    fds.flatten().next().ok_or_else(|| io::Error::other("no terminal was sent"))
}

/// The caller's terminal in raw mode; dropping it restores the old mode.
#[derive(Debug)]
pub struct RawTerminal(Termios);

impl RawTerminal {
    /// Puts standard input in raw mode; `None` when it is no terminal.
    pub fn enter() -> Option<Self> {
        let old = tcgetattr(stdin()).ok()?;
        let mut raw = old.clone();
        raw.make_raw();
        // Not Flush: what was typed ahead is meant for the container.
        tcsetattr(stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(old))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// Gives the container's terminal the size of the caller's, if it has one.
pub fn copy_size(master: impl AsFd) {
    if let Ok(size) = tcgetwinsize(stdin()) {
        let _ = tcsetwinsize(master, size);
    }
}
