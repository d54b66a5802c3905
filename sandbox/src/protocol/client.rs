//! The asking side.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use prost::Message;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::Method;
use super::connection::{Connection, ProtocolError};
use crate::{Error, Result};

/// One connection, one question at a time.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    stream: u32,
}

impl Client {
    /// Asks over a connected socket that blocks.
    pub fn new(connection: Connection) -> Self {
        // ttrpc: clients use odd streams.
        Self { connection, stream: 1 }
    }

    /// Connects to a sandbox's socket. [`Error::NotRunning`] when nobody listens there.
    pub fn connect(path: &Path) -> Result<Self> {
        let what = || format!("connect to {}", path.display());
        let address = SocketAddrUnix::new(path).map_err(|errno| Error::os(what(), errno))?;
        let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(|errno| Error::os(what(), errno))?;
        match connect(&socket, &address) {
            Ok(()) => Ok(Self::new(Connection::new(socket))),
            Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT) => Err(Error::NotRunning),
            Err(errno) => Err(Error::os(what(), errno)),
        }
    }

    /// The connection, for whoever goes on with it otherwise.
    pub fn into_connection(self) -> Connection {
        self.connection
    }

    /// Asks, and does not wait for the answer: a peer that stands still acts on it once it goes on.
    pub fn tell(self, method: Method, request: &impl Message) -> Result<()> {
        let told = self.connection.ask(self.stream, method, request.encode_to_vec(), &[]);
        told.map_err(|error| Error::Other(format!("tell the sandbox's monitor: {error}")))
    }

    /// Asks, and waits for the answer.
    pub fn call<A: Message + Default>(
        &mut self,
        method: Method,
        request: &impl Message,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<A> {
        let failed = |error: ProtocolError| Error::Other(format!("ask the sandbox's monitor: {error}"));
        let stream = self.stream;
        self.stream = stream.wrapping_add(2);
        self.connection.ask(stream, method, request.encode_to_vec(), descriptors).map_err(failed)?;
        let answer = self.connection.answer().map_err(failed)?.ok_or(Error::NotRunning)?.result?;
        A::decode(&*answer).map_err(|_| Error::Other("the sandbox's monitor answered nonsense".into()))
    }
}
