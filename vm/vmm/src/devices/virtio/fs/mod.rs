//! File system device (virtio 1.2, 5.11): a directory of the host, served by a file server in another process.
//!
//! We are the front end of the vhost-user protocol (QEMU, docs/interop/vhost-user.rst): the server is given guest
//! memory, the rings' places, the doorbells and the interrupt line, and then serves the driver without us. What it is
//! told of addresses are the guest's own, never those of this process. When it ends, nobody can answer what the guest
//! has asked it: the machine ends too, and says why.

mod server;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use vmm_sys_util::eventfd::EventFd;

use self::server::Server;
use super::queue::Queues;
use super::{Device, Error, Served, Source, SourceMode, copy_config, id};

pub use self::server::Error as ServerError;

/// A queue for what must not wait (FUSE's forget), and one for requests.
const QUEUES: [u16; 2] = [128, 1024];
const REQUEST_QUEUES: u32 = 1;
/// Bytes of the tag in configuration space; a shorter one ends with a zero.
pub const TAG_BYTES_MAX: usize = 36;

/// The device.
pub struct Fs {
    tag: [u8; TAG_BYTES_MAX],
    name: String,
    server: Server,
    /// Watched for the server's end.
    socket: UnixStream,
}

impl Fs {
    /// A share with this tag, which the server at the other end of `socket` serves.
    pub fn new(tag: &str, socket: UnixStream) -> Result<Self, ServerError> {
        let mut bytes = [0; TAG_BYTES_MAX];
        for (to, from) in bytes.iter_mut().zip(tag.bytes()) {
            *to = from;
        }
        let watched = socket.try_clone().map_err(ServerError::Socket)?;
        Ok(Fs { tag: bytes, name: tag.to_owned(), server: Server::greet(socket, QUEUES.len())?, socket: watched })
    }

    fn gone(&self, why: &str) -> Error {
        Error::Fatal(format!("the file server of the share {} {why}", self.name))
    }
}

impl Device for Fs {
    fn id(&self) -> u32 {
        id::FILE_SYSTEM
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUES
    }

    fn served(&self) -> Served {
        Served::Elsewhere
    }

    fn read_config(&self, offset: usize, data: &mut [u8]) {
        let config = [&self.tag[..], &REQUEST_QUEUES.to_le_bytes()].concat();
        copy_config(&config, offset, data);
    }

    fn hand_over(&mut self, features: u64, queues: &mut Queues, doorbells: &[EventFd]) -> Result<(), Error> {
        self.server.start(features, queues, doorbells).map_err(|error| self.gone(&format!("failed: {error}")))
    }

    fn reset(&mut self) {
        if let Err(error) = self.server.stop() {
            tracing::warn!("share {}: {error}", self.name);
        }
    }

    fn notified(&mut self, _: usize, _: &mut Queues) -> Result<(), Error> {
        Ok(())
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source { fd: self.socket.as_raw_fd(), token: 0, mode: SourceMode::Edge }]
    }

    /// A server answers, and says nothing by itself.
    fn ready(&mut self, _: u32, _: &mut Queues) -> Result<(), Error> {
        if self.server.is_alive() { Ok(()) } else { Err(self.gone("ended")) }
    }
}

#[cfg(test)]
mod tests;
