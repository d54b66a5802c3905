//! The conversation with a file server.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use vhost::vhost_user::message::VhostUserHeaderFlag;
use vhost::vhost_user::{Frontend, VhostUserFrontend, VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};
use virtio_queue::QueueT;
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};
use vmm_sys_util::eventfd::EventFd;

use super::super::queue::Queues;
use super::super::{FEATURE_EVENT_INDEX, FEATURE_INDIRECT, FEATURE_VERSION_1};
use crate::memory::{Memory, Region};

/// How long one answer may take: a processor of the guest waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the transport offers to every driver, so that the server has to know it.
const NEEDED: u64 = FEATURE_VERSION_1 | FEATURE_EVENT_INDEX | FEATURE_INDIRECT;

/// Why a file server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its socket.
    #[error("cannot use the file server's socket: {0}")]
    Socket(#[source] io::Error),
    /// It does not do what the protocol says, or ended, or takes too long.
    #[error("the file server does not answer as vhost-user has it: {0}")]
    Protocol(#[from] vhost::Error),
    /// It cannot serve our drivers.
    #[error("the file server lacks features of virtio ({0:#x})")]
    Features(u64),
    /// Guest memory cannot be shared.
    #[error("guest memory lies in no file that a file server could map")]
    Memory,
}

/// A connected server.
pub struct Server {
    frontend: Frontend,
    /// The same socket, to look at.
    socket: UnixStream,
    started: Vec<usize>,
}

impl Server {
    /// Agrees with the server on the protocol.
    pub fn greet(socket: UnixStream, queues: usize) -> Result<Self, Error> {
        let looked_at = socket.try_clone().map_err(Error::Socket)?;
        for set in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
            set(&socket, Some(PATIENCE)).map_err(Error::Socket)?;
        }
        let mut frontend = Frontend::from_stream(socket, queues as u64);
        let offered = frontend.get_features()?;
        let missing = NEEDED & !offered;
        if missing != 0 {
            return Err(Error::Features(missing));
        }
        if offered & VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits() != 0 {
            let known = frontend.get_protocol_features()?;
            let wanted = known & VhostUserProtocolFeatures::REPLY_ACK;
            frontend.set_protocol_features(wanted)?;
            if wanted.contains(VhostUserProtocolFeatures::REPLY_ACK) {
                frontend.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
            }
        }
        frontend.set_owner()?;
        Ok(Server { frontend, socket: looked_at, started: Vec::new() })
    }

    /// Hands the queues over. Addresses of the protocol's "user space" are the guest's physical ones: what matters is
    /// only that rings and memory are told in the same terms.
    pub fn start(&mut self, features: u64, queues: &mut Queues, doorbells: &[EventFd]) -> Result<(), Error> {
        self.frontend.set_features(features | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits())?;
        self.frontend.set_mem_table(&regions(queues.memory())?)?;
        for (index, doorbell) in doorbells.iter().enumerate() {
            self.start_queue(index, queues, doorbell)?;
        }
        Ok(())
    }

    fn start_queue(&mut self, index: usize, queues: &mut Queues, doorbell: &EventFd) -> Result<(), Error> {
        let Some(ring) = queues.registers(index).filter(|ring| ring.ready()) else { return Ok(()) };
        let place = VringConfigData {
            queue_max_size: ring.max_size(),
            queue_size: ring.size(),
            desc_table_addr: ring.desc_table(),
            avail_ring_addr: ring.avail_ring(),
            used_ring_addr: ring.used_ring(),
            ..VringConfigData::default()
        };
        self.frontend.set_vring_num(index, place.queue_size)?;
        self.frontend.set_vring_addr(index, &place)?;
        self.frontend.set_vring_base(index, 0)?;
        self.frontend.set_vring_call(index, queues.interrupt().line())?;
        self.frontend.set_vring_kick(index, doorbell)?;
        self.frontend.set_vring_enable(index, true)?;
        self.started.push(index);
        Ok(())
    }

    /// Takes the queues back: the server touches guest memory no more.
    pub fn stop(&mut self) -> Result<(), Error> {
        for index in std::mem::take(&mut self.started) {
            self.frontend.get_vring_base(index)?;
        }
        Ok(())
    }

    /// Whether the server is at the other end, and silent.
    pub fn is_alive(&self) -> bool {
        let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        let peeked = rustix::net::recv(&self.socket, &mut [0; 1][..], flags);
        matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }
}

fn regions(memory: &Memory) -> Result<Vec<VhostUserMemoryRegionInfo>, Error> {
    memory.iter().map(|region| info(region).ok_or(Error::Memory)).collect()
}

fn info(region: &Region) -> Option<VhostUserMemoryRegionInfo> {
    let file = region.file_offset().filter(|_| region.flags() & libc::MAP_SHARED != 0)?;
    let start = region.start_addr().raw_value();
    Some(VhostUserMemoryRegionInfo {
        guest_phys_addr: start,
        memory_size: region.len(),
        userspace_addr: start,
        mmap_offset: file.start(),
        mmap_handle: file.file().as_raw_fd(),
    })
}
