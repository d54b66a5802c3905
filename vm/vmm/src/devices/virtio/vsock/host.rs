//! The host's side of the sockets: how its processes ask for the guest, and where the guest's connections go.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// Connections that wait to be taken at either end of a channel; more are refused.
const WAITING_MAX: usize = 64;

/// What a connection that the host asks for begins with.
#[derive(Debug)]
pub enum Asked {
    /// A line that says which port it is for, and that is answered (Firecracker's scheme).
    Line(UnixStream),
    /// The guest's data at once, for this port.
    Port(u32, UnixStream),
}

/// The host's side.
pub trait Host: Send {
    /// Readable when somebody asks for the guest.
    fn fd(&self) -> BorrowedFd<'_>;
    /// Who asks; [`ErrorKind::WouldBlock`] when nobody does.
    fn accept(&mut self) -> io::Result<Asked>;
    /// Where the guest's connection to a port goes.
    fn connect(&mut self, port: u32) -> io::Result<UnixStream>;
}

/// Unix sockets by paths: one that is listened on, and one per port of the host with `_PORT` appended.
#[derive(Debug)]
pub struct Sockets {
    path: PathBuf,
    listener: UnixListener,
}

impl Sockets {
    /// Listens at `path`.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { path: path.into(), listener })
    }
}

impl Host for Sockets {
    fn fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    fn accept(&mut self) -> io::Result<Asked> {
        self.listener.accept().map(|(stream, _)| Asked::Line(stream))
    }

    fn connect(&mut self, port: u32) -> io::Result<UnixStream> {
        let mut path = self.path.clone().into_os_string();
        path.push(format!("_{port}"));
        // A peer that does not accept must not hold up the devices.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket.into())
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!("vsock: {}: {error}", self.path.display());
        }
    }
}

/// The device's end of a channel within this process: no path, no name, nobody else.
#[derive(Debug)]
pub struct Channel(Arc<Shared>);

/// The process's end of it.
#[derive(Debug)]
pub struct ChannelPeer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The ports of the host that the guest can connect to.
    ports: Vec<u32>,
    to_guest: Waiting,
    from_guest: Waiting,
}

/// Connections on their way to one end.
#[derive(Debug)]
struct Waiting {
    queue: Mutex<VecDeque<(u32, UnixStream)>>,
    bell: OwnedFd,
}

/// A channel, open to the guest at these ports.
pub fn channel(ports: &[u32]) -> io::Result<(Channel, ChannelPeer)> {
    let shared = Arc::new(Shared { ports: ports.to_vec(), to_guest: Waiting::new()?, from_guest: Waiting::new()? });
    Ok((Channel(shared.clone()), ChannelPeer(shared)))
}

impl Waiting {
    fn new() -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { queue: Mutex::default(), bell })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u32, UnixStream)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one end of a new socket and gives the other.
    fn send(&self, port: u32) -> io::Result<UnixStream> {
        let mut queue = self.lock();
        if queue.len() == WAITING_MAX {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = UnixStream::pair()?;
        queue.push_back((port, theirs));
        rustix::io::write(&self.bell, &1_u64.to_ne_bytes())?;
        Ok(ours)
    }

    fn take(&self) -> Option<(u32, UnixStream)> {
        let mut queue = self.lock();
        let first = queue.pop_front();
        if queue.is_empty() {
            // Not rung since the last time, at worst.
            let _ = rustix::io::read(&self.bell, &mut [0_u8; 8]);
        }
        first
    }
}

impl Host for Channel {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.to_guest.bell.as_fd()
    }

    fn accept(&mut self) -> io::Result<Asked> {
        let (port, stream) = self.0.to_guest.take().ok_or(ErrorKind::WouldBlock)?;
        Ok(Asked::Port(port, stream))
    }

    fn connect(&mut self, port: u32) -> io::Result<UnixStream> {
        match self.0.ports.contains(&port) {
            true => self.0.from_guest.send(port),
            false => Err(ErrorKind::ConnectionRefused.into()),
        }
    }
}

impl ChannelPeer {
    /// A connection to a port of the guest. It closes if the guest does not want it.
    pub fn connect(&self, port: u32) -> io::Result<UnixStream> {
        self.0.to_guest.send(port)
    }

    /// The next connection that the guest made, and the port of the host that it is for.
    pub fn accept(&self) -> Option<(u32, UnixStream)> {
        self.0.from_guest.take()
    }
}

/// Readable when the guest has connected.
impl AsFd for ChannelPeer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.from_guest.bell.as_fd()
    }
}
