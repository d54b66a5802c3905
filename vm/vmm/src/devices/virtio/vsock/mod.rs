//! Sockets between guest and host (virtio 1.2, 5.10) by Firecracker's scheme of unix sockets.
//!
//! A process of the host connects to the device's socket and says `CONNECT port`; a guest that connects to port P of
//! the host reaches the unix socket whose path has `_P` appended. A process that has the machine within itself can have
//! a [`channel`] instead.

mod connection;
mod handshake;
mod host;
mod muxer;
mod packet;

use std::io;
use std::path::Path;

pub use self::host::{Channel, ChannelPeer, channel};
use self::host::{Host, Sockets};
use self::muxer::Muxer;
use self::packet::{HEADER_LEN, Received};
use super::queue::{Chain, Queues, ROUND};
use super::{Device, DeviceState, Error, Invalid, Source, SourceMode, copy_config, id};
use crate::memory::Memory;

const QUEUES: [u16; 3] = [256; 3];
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
const EVENT: usize = 2;
/// `VIRTIO_VSOCK_EVENT_TRANSPORT_RESET`: all connections are gone, and the guest's address may be another.
const TRANSPORT_RESET: [u8; 4] = [0; 4];
/// The longest data of one packet; Linux sends no longer ones.
const DATA_MAX: u32 = 64 << 10;

/// The device.
pub struct Vsock {
    muxer: Muxer,
    chain: Chain,
    data: Vec<u8>,
}

impl Vsock {
    /// A device for the guest with this address, reached through a new socket at `path`.
    pub fn new(guest_cid: u32, path: &Path) -> io::Result<Self> {
        Self::over(guest_cid, Box::new(Sockets::bind(path)?))
    }

    /// A device for the guest with this address, reached through a channel within this process.
    pub fn within(guest_cid: u32, channel: Channel) -> io::Result<Self> {
        Self::over(guest_cid, Box::new(channel))
    }

    fn over(guest_cid: u32, host: Box<dyn Host>) -> io::Result<Self> {
        Ok(Vsock { muxer: Muxer::new(guest_cid.into(), host)?, chain: Chain::default(), data: Vec::new() })
    }

    /// Packets of the guest.
    fn transmit(&mut self, queues: &mut Queues) -> Result<(), Error> {
        let (muxer, data) = (&mut self.muxer, &mut self.data);
        queues.serve(TRANSMIT, &mut self.chain, |memory, chain| {
            take(muxer, memory, chain, data);
            Some(0)
        })
    }

    /// Packets for the guest, as long as there are some, and buffers for them.
    fn receive(&mut self, queues: &mut Queues) -> Result<(), Error> {
        let mut filled = 0;
        while self.muxer.has_packet() {
            if filled == ROUND {
                queues.come_again(RECEIVE);
                break;
            }
            if !queues.pop(RECEIVE, &mut self.chain)? {
                // Buffers that came just now are not announced any more.
                if queues.listen(RECEIVE)? {
                    continue;
                }
                break;
            }
            match self.fill(queues.memory())? {
                Some(written) => {
                    queues.push(RECEIVE, self.chain.head, written)?;
                    filled += 1;
                }
                None => queues.unpop(RECEIVE),
            }
        }
        if filled > 0 { queues.interrupt_for(RECEIVE) } else { Ok(()) }
    }

    /// Tells the driver that no connection survived. A driver without a buffer for it learns it from resets.
    fn announce_reset(&mut self, queues: &mut Queues) -> Result<(), Error> {
        if !queues.pop(EVENT, &mut self.chain)? {
            return Ok(());
        }
        let written = self.chain.write(queues.memory(), 0, &TRANSPORT_RESET);
        queues.push(EVENT, self.chain.head, u32::try_from(written).unwrap_or(0))?;
        queues.interrupt_for(EVENT)
    }

    /// Writes the next packet into the chain; its length, if there was one.
    fn fill(&mut self, memory: &Memory) -> Result<Option<u32>, Error> {
        let short = Error::Queue { queue: RECEIVE, reason: "a buffer is shorter than a header" };
        let room = self.chain.writable_len().checked_sub(HEADER_LEN).ok_or(short)?.min(DATA_MAX);
        let Some(packet) = self.muxer.next(usize::try_from(room).unwrap_or(0), &mut self.data) else {
            return Ok(None);
        };
        let len = u32::try_from(self.data.len()).unwrap_or(room);
        self.chain.write(memory, 0, &packet.bytes(self.muxer.guest_cid(), len));
        self.chain.write(memory, HEADER_LEN, &self.data);
        Ok(Some(HEADER_LEN + len))
    }
}

/// A packet of the guest; a broken one is dropped.
fn take(muxer: &mut Muxer, memory: &Memory, chain: &Chain, data: &mut Vec<u8>) {
    let Some(packet) = Received::parse(memory, chain) else { return };
    if packet.len > DATA_MAX || packet.len > chain.readable_len() - HEADER_LEN {
        return;
    }
    data.clear();
    data.resize(usize::try_from(packet.len).unwrap_or(0), 0);
    chain.read(memory, HEADER_LEN, data);
    muxer.receive(&packet, data);
}

impl Device for Vsock {
    fn id(&self) -> u32 {
        id::VSOCK
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUES
    }

    fn read_config(&self, offset: usize, data: &mut [u8]) {
        copy_config(&self.muxer.guest_cid().to_le_bytes(), offset, data);
    }

    fn reset(&mut self) {
        self.muxer.clear();
    }

    fn notified(&mut self, queue: usize, queues: &mut Queues) -> Result<(), Error> {
        if queue == TRANSMIT {
            self.transmit(queues)?;
        }
        self.receive(queues)
    }

    /// Connections do not survive: their other ends are processes of a host.
    fn restore(&mut self, state: &DeviceState, queues: Option<&mut Queues>) -> Result<(), Invalid> {
        if *state != DeviceState::Plain {
            return Err(Invalid::Kind);
        }
        Ok(queues.map_or(Ok(()), |queues| self.announce_reset(queues))?)
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source { fd: self.muxer.fd(), token: 0, mode: SourceMode::Level }]
    }

    fn ready(&mut self, _: u32, queues: &mut Queues) -> Result<(), Error> {
        self.muxer.poll().map_err(|error| Error::Host(format!("vsock: {error}")))?;
        self.receive(queues)
    }
}

#[cfg(test)]
mod tests;
