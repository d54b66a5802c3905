//! The supervised process's streams: three pipes, or a terminal.

use std::fs::File;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{Winsize, tcsetwinsize};
use stockade_sandbox::{Stdio, Terminal};

use super::protocol::WindowSize;
use crate::logs::LogStream;

/// Our ends.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// What the process writes; a terminal counts as standard output.
    pub(crate) outputs: Vec<(LogStream, OwnedFd)>,
    /// What the process reads.
    pub(crate) input: Option<OwnedFd>,
    /// The terminal, for its window.
    pub(crate) console: Option<OwnedFd>,
}

/// Whether the process may read from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputMode {
    /// Through a pipe.
    Open,
    /// It reads /dev/null.
    Null,
}

/// Pipes: our ends, and what the class gives the process.
pub(crate) fn pipes(input: InputMode) -> Result<(Streams, Stdio), Errno> {
    let (output_ours, output) = pipe_with(PipeFlags::CLOEXEC)?;
    let (error_ours, error) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stdin, input_ours) = match input {
        InputMode::Open => pipe_with(PipeFlags::CLOEXEC).map(|(theirs, ours)| (theirs, Some(ours)))?,
        InputMode::Null => (null()?, None),
    };
    for ours in [Some(&output_ours), Some(&error_ours), input_ours.as_ref()].into_iter().flatten() {
        set_nonblocking(ours)?;
    }
    let outputs = vec![(LogStream::Stdout, output_ours), (LogStream::Stderr, error_ours)];
    let streams = Streams { outputs, input: input_ours, console: None };
    Ok((streams, Stdio { stdin: Some(stdin), stdout: Some(output), stderr: Some(error) }))
}

/// /dev/null for both directions.
pub(crate) fn null() -> Result<OwnedFd, Errno> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, rustix::fs::Mode::empty())
}

/// A terminal in the making: what the class gets, and where its master will arrive.
pub(crate) fn terminal() -> std::io::Result<(UnixStream, Terminal)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours, Terminal::Console(theirs)))
}

/// Receives the terminal's master, which the class sent before its verb returned.
pub(crate) fn receive_console(socket: &UnixStream, input: InputMode) -> Result<Streams, Errno> {
    let master = receive_descriptor(socket)?;
    set_nonblocking(&master)?;
    let file = File::from(master);
    let copy =
        || file.try_clone().map(OwnedFd::from).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
    let input = if input == InputMode::Open { Some(copy()?) } else { None };
    Ok(Streams { outputs: vec![(LogStream::Stdout, copy()?)], input, console: Some(file.into()) })
}

/// The one descriptor in the next message.
fn receive_descriptor(socket: &UnixStream) -> Result<OwnedFd, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    // Some senders put the terminal's name in the message: room enough, and unused.
    let mut name = [0; 4096];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut control, flags)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptor.ok_or(Errno::NOMSG)
}

/// Makes our end answer EAGAIN instead of waiting.
pub(crate) fn set_nonblocking(fd: impl AsFd) -> Result<(), Errno> {
    fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)
}

/// Sets a terminal's window; one that is gone does not mind.
pub(crate) fn resize(console: impl AsFd, size: WindowSize) {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    let _ = tcsetwinsize(console, size);
}
