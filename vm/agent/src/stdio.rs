//! A process's standard streams: pipes or a terminal on its side, streams of the host on ours.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::pipe::{PipeFlags, pipe_with};
use stockade_sandbox::protocol::{FdRole, StreamId};
use stockade_sandbox::{Error, Result, Stdio, Terminal};

use crate::lobby::Lobby;
use crate::relay::{Kind, Relay};

/// What a process gets, and what moves its bytes once it has been made.
#[derive(Debug)]
pub(crate) enum Wiring {
    /// Pipes; what the host sent no stream for is the null device.
    Pipes {
        /// The process's ends.
        stdio: Stdio,
        /// Ours.
        relays: Vec<Relay>,
    },
    /// A terminal, whose master comes through `ours` when the process opens it.
    Terminal {
        /// The host's stream.
        stream: OwnedFd,
        /// Where the master arrives.
        ours: UnixStream,
        /// Where it is sent.
        theirs: UnixStream,
    },
}

impl Wiring {
    /// Takes the streams out of the lobby.
    pub(crate) fn new(streams: &[StreamId], lobby: &mut Lobby) -> Result<Self> {
        let taken = streams.iter().map(|stream| {
            let socket = lobby.take(stream.id).ok_or_else(|| Error::Other("a stream is missing".to_owned()));
            Ok((stream.role(), socket?))
        });
        let mut taken = taken.collect::<Result<Vec<_>>>()?;
        if let Some(place) = taken.iter().position(|(role, _)| *role == FdRole::Terminal) {
            let (ours, theirs) = UnixStream::pair().map_err(|error| Error::os("make a console socket", error))?;
            ours.set_nonblocking(true).map_err(|error| Error::os("make a console socket", error))?;
            return Ok(Self::Terminal { stream: taken.swap_remove(place).1, ours, theirs });
        }
        let (mut stdio, mut relays) = (Stdio::default(), Vec::new());
        for (role, socket) in taken {
            let end = connect(role, socket, &mut relays)?;
            *place(&mut stdio, role) = Some(end);
        }
        for role in [FdRole::Stdin, FdRole::Stdout, FdRole::Stderr] {
            place(&mut stdio, role).get_or_insert(null()?);
        }
        Ok(Self::Pipes { stdio, relays })
    }

    /// What class native takes, and what stays here.
    pub(crate) fn split(self) -> (Stdio, Terminal, Ours) {
        match self {
            Self::Pipes { stdio, relays } => (stdio, Terminal::None, Ours::Pipes(relays)),
            Self::Terminal { stream, ours, theirs } => {
                (Stdio::default(), Terminal::Console(theirs), Ours::Terminal { stream, ours })
            }
        }
    }
}

/// Our side, while the process is made.
#[derive(Debug)]
pub(crate) enum Ours {
    Pipes(Vec<Relay>),
    Terminal { stream: OwnedFd, ours: UnixStream },
}

/// Our side of a process that runs.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// What moves.
    pub relays: Vec<Relay>,
    /// The terminal's master.
    pub terminal: Option<Rc<OwnedFd>>,
}

impl Ours {
    /// Once the process is there, so is its terminal.
    pub(crate) fn connect(self) -> Result<Streams> {
        let (stream, ours) = match self {
            Self::Pipes(relays) => return Ok(Streams { relays, terminal: None }),
            Self::Terminal { stream, ours } => (Rc::new(stream), ours),
        };
        let master = Rc::new(receive(&ours)?);
        set_non_blocking(&master)?;
        let typing = Relay::new(Kind::Typing, stream.clone(), master.clone());
        let output = Relay::new(Kind::Output, master.clone(), stream);
        Ok(Streams { relays: vec![typing, output], terminal: Some(master) })
    }
}

impl Streams {
    /// Moves what can be moved.
    pub(crate) fn pump(&mut self) {
        let mut hung_up = false;
        for relay in &mut self.relays {
            hung_up |= relay.pump();
        }
        if hung_up {
            *self = Self::default();
        }
        self.relays.retain(|relay| !relay.is_over());
    }

    /// Whether something that the process said is still under way, or may be said.
    pub(crate) fn is_speaking(&self) -> bool {
        self.relays.iter().any(Relay::is_output)
    }

    /// Nobody reads any more.
    pub(crate) fn stop_listening(&mut self) {
        self.relays.retain(Relay::is_output);
    }
}

/// Makes a pipe and its relay; the process's end.
fn connect(role: FdRole, socket: OwnedFd, relays: &mut Vec<Relay>) -> Result<OwnedFd> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| Error::os("make a pipe", errno))?;
    let socket = Rc::new(socket);
    if role == FdRole::Stdin {
        set_non_blocking(&write)?;
        relays.push(Relay::new(Kind::Input, socket, Rc::new(write)));
        return Ok(read);
    }
    set_non_blocking(&read)?;
    relays.push(Relay::new(Kind::Output, Rc::new(read), socket));
    Ok(write)
}

fn place(stdio: &mut Stdio, role: FdRole) -> &mut Option<OwnedFd> {
    match role {
        FdRole::Stdin => &mut stdio.stdin,
        FdRole::Stdout => &mut stdio.stdout,
        _ => &mut stdio.stderr,
    }
}

fn null() -> Result<OwnedFd> {
    open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| Error::os("open /dev/null", errno))
}

fn set_non_blocking(file: &OwnedFd) -> Result<()> {
    let set = fcntl_getfl(file).and_then(|flags| fcntl_setfl(file, flags | OFlags::NONBLOCK));
    set.map_err(|errno| Error::os("set up a stream", errno))
}

fn receive(socket: &UnixStream) -> Result<OwnedFd> {
    let failed = |errno| Error::os("receive the terminal", errno);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 256];
    recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC).map_err(failed)?;
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    descriptors.flatten().next().ok_or_else(|| Error::Other("the process sent no terminal".to_owned()))
}
