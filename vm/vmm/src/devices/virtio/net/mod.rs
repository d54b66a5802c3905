//! Network card (virtio 1.2, 5.1) on a tap device.
//!
//! Checksums and segmentation are left to whoever is at the other end of the tap, as far as the driver agrees: frames
//! of up to 64 KiB cross in one piece, with the header that says what is left to do. The kernel checks that header.

mod metadata;
mod tap;

use std::io;

use self::tap::Offloads;
use super::limiter::Limiter;
use super::queue::{Chain, Queues, ROUND};
use super::{Device, Error, Source, SourceMode, copy_config, id, iovec};
use crate::config::MacAddress;

pub use self::metadata::Metadata;
pub use self::tap::{OpenError, Tap};

const QUEUES: [u16; 2] = [256; 2];
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
const TAP: u32 = 0;
const RECEIVE_TIMER: u32 = 1;
const TRANSMIT_TIMER: u32 = 2;
const METADATA_TIMER: u32 = 3;

/// `struct virtio_net_hdr_v1`.
const HEADER: usize = 12;
/// Where it says how many chains a frame took.
const HEADER_BUFFERS: usize = 10;
/// The longest frame with its header: 64 KiB of IP in Ethernet with a VLAN tag.
const FRAME_MAX: usize = HEADER + 18 + 65535;
/// One frame of that length in the smallest chains that a driver offers.
const CHAINS_MAX: usize = 128;

const FEATURE_CSUM: u64 = 1;
const FEATURE_GUEST_CSUM: u64 = 1 << 1;
const FEATURE_MTU: u64 = 1 << 3;
const FEATURE_MAC: u64 = 1 << 5;
const FEATURE_GUEST_TSO4: u64 = 1 << 7;
const FEATURE_GUEST_TSO6: u64 = 1 << 8;
const FEATURE_HOST_TSO4: u64 = 1 << 11;
const FEATURE_HOST_TSO6: u64 = 1 << 12;
const FEATURE_MERGEABLE: u64 = 1 << 15;

/// What the guest is told of the card.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity {
    /// Its address; the guest makes one up where there is none.
    pub mac: Option<MacAddress>,
    /// The longest packet of the network.
    pub mtu: Option<u16>,
}

/// The device.
pub struct Net {
    tap: Tap,
    identity: Identity,
    receive_limiter: Limiter,
    transmit_limiter: Limiter,
    metadata: Option<Metadata>,
    /// Chains for one frame, with the bytes that go into each.
    chains: Vec<(Chain, usize)>,
    chain: Chain,
    /// Room for one frame, made when the driver comes.
    frame: Vec<u8>,
    /// Length of the frame that was read and waits for buffers or for the limiter.
    pending: usize,
    mergeable: Merge,
}

/// Whether one frame may take several chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Merge {
    Yes,
    No,
}

impl Net {
    /// A card on `tap`.
    pub fn new(tap: Tap, identity: Identity, receive_limiter: Limiter, transmit_limiter: Limiter) -> Self {
        Net {
            tap,
            identity,
            receive_limiter,
            transmit_limiter,
            metadata: None,
            chains: Vec::new(),
            chain: Chain::default(),
            frame: Vec::new(),
            pending: 0,
            mergeable: Merge::No,
        }
    }

    /// The card with the metadata service on its link.
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        Net { metadata: Some(metadata), ..self }
    }

    /// Limits of what the guest receives and sends.
    pub fn limiters(&mut self) -> (&mut Limiter, &mut Limiter) {
        (&mut self.receive_limiter, &mut self.transmit_limiter)
    }

    fn transmit(&mut self, queues: &mut Queues) -> Result<(), Error> {
        let (tap, limiter, metadata) = (&self.tap, &mut self.transmit_limiter, &mut self.metadata);
        if limiter.is_waiting() {
            return Ok(());
        }
        queues.serve(TRANSMIT, &mut self.chain, |memory, chain| {
            let len = usize::try_from(chain.readable_len()).unwrap_or(usize::MAX);
            if !(HEADER..=FRAME_MAX).contains(&len) {
                // No frame: the driver gets its buffer back.
                return Some(0);
            }
            if metadata.as_mut().is_some_and(|metadata| metadata.take(memory, chain)) {
                return Some(0);
            }
            if !limiter.take(u64::from(chain.readable_len())) {
                return None;
            }
            if let Err(error) = iovec::write(tap.file(), memory, chain.readable.iter().copied()) {
                // A network loses frames; a header that makes no sense is refused by the kernel.
                tracing::debug!("tap: a frame is lost: {error}");
            }
            Some(0)
        })
    }

    /// Hands frames to the guest until there are no more, or no buffers.
    fn receive(&mut self, queues: &mut Queues) -> Result<(), Error> {
        let mut delivered = 0;
        while !self.receive_limiter.is_waiting() && self.next_frame()? {
            if !self.deliver(queues)? {
                queues.listen(RECEIVE)?;
                // Buffers that came just now are not announced any more.
                if queues.available(RECEIVE) > self.chains.len() {
                    continue;
                }
                break;
            }
            delivered += 1;
            if delivered == ROUND {
                queues.come_again(RECEIVE);
                break;
            }
        }
        if delivered > 0 { queues.interrupt_for(RECEIVE) } else { Ok(()) }
    }

    /// Whether there is a frame for the guest that its limit allows.
    fn next_frame(&mut self) -> Result<bool, Error> {
        if self.pending > 0 {
            return Ok(true);
        }
        if let Some(frame) = self.metadata.as_mut().and_then(Metadata::answer) {
            self.put(&frame);
            return Ok(self.receive_limiter.take(self.pending as u64));
        }
        match self.tap.read(&mut self.frame) {
            // No frame is shorter than its header.
            Ok(len) if len < HEADER => return Ok(false),
            Ok(len) => self.pending = len,
            Err(error) if [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted].contains(&error.kind()) => {
                return Ok(false);
            }
            Err(error) => return Err(Error::Host(format!("tap: {error}"))),
        }
        // One that the limit does not allow waits in its place.
        Ok(self.receive_limiter.take(self.pending as u64))
    }

    /// A frame of ours, with a header that leaves nothing to be done.
    fn put(&mut self, frame: &[u8]) {
        self.pending = HEADER + frame.len();
        self.frame[..HEADER].fill(0);
        self.frame[HEADER..self.pending].copy_from_slice(frame);
    }

    /// Copies the frame into as many chains as it needs; false if there are not enough.
    fn deliver(&mut self, queues: &mut Queues) -> Result<bool, Error> {
        if !self.gather(queues)? {
            return Ok(false);
        }
        let count = u16::try_from(self.chains.len()).unwrap_or(u16::MAX);
        self.frame[HEADER_BUFFERS..HEADER].copy_from_slice(&count.to_le_bytes());
        let mut rest = &self.frame[..self.pending];
        for (chain, len) in &self.chains {
            let (part, after) = rest.split_at(*len);
            chain.write(queues.memory(), 0, part);
            queues.push(RECEIVE, chain.head, u32::try_from(*len).unwrap_or(0))?;
            rest = after;
        }
        self.pending = 0;
        Ok(true)
    }

    fn gather(&mut self, queues: &mut Queues) -> Result<bool, Error> {
        self.chains.clear();
        let mut left = self.pending;
        while left > 0 {
            if !queues.pop(RECEIVE, &mut self.chain)? {
                self.chains.iter().for_each(|_| queues.unpop(RECEIVE));
                return Ok(false);
            }
            let room = usize::try_from(self.chain.writable_len()).unwrap_or(usize::MAX);
            let too_short = room < HEADER || (self.mergeable == Merge::No && room < left);
            if too_short || self.chains.len() == CHAINS_MAX {
                return Err(Error::Queue { queue: RECEIVE, reason: "a frame does not fit into the buffers" });
            }
            let len = room.min(left);
            self.chains.push((self.chain.clone(), len));
            left -= len;
        }
        Ok(true)
    }
}

impl Device for Net {
    fn id(&self) -> u32 {
        id::NET
    }

    fn features(&self) -> u64 {
        let mac = self.identity.mac.map_or(0, |_| FEATURE_MAC);
        let mtu = self.identity.mtu.map_or(0, |_| FEATURE_MTU);
        let to_guest = FEATURE_GUEST_CSUM | FEATURE_GUEST_TSO4 | FEATURE_GUEST_TSO6 | FEATURE_MERGEABLE;
        mac | mtu | to_guest | FEATURE_CSUM | FEATURE_HOST_TSO4 | FEATURE_HOST_TSO6
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUES
    }

    fn read_config(&self, offset: usize, data: &mut [u8]) {
        let mut config = [0; 12];
        config[..6].copy_from_slice(&self.identity.mac.map_or([0; 6], |mac| mac.0));
        config[10..].copy_from_slice(&self.identity.mtu.unwrap_or(0).to_le_bytes());
        copy_config(&config, offset, data);
    }

    fn activate(&mut self, features: u64) {
        self.frame.resize(FRAME_MAX, 0);
        let has = |feature| features & feature != 0;
        self.mergeable = if has(FEATURE_MERGEABLE) { Merge::Yes } else { Merge::No };
        let offers = [
            (FEATURE_GUEST_CSUM, Offloads::CHECKSUM),
            (FEATURE_GUEST_TSO4, Offloads::TSO4),
            (FEATURE_GUEST_TSO6, Offloads::TSO6),
        ];
        let offloads = offers.into_iter().filter(|(feature, _)| has(*feature)).map(|(_, offload)| offload).collect();
        if let Err(error) = self.tap.set_offloads(offloads) {
            tracing::warn!("tap: {error}; its frames may come with more than the guest agreed to");
        }
    }

    fn reset(&mut self) {
        self.pending = 0;
        if let Some(metadata) = &mut self.metadata {
            metadata.clear();
        }
    }

    fn notified(&mut self, queue: usize, queues: &mut Queues) -> Result<(), Error> {
        match queue {
            TRANSMIT => {
                self.transmit(queues)?;
                // What the metadata service answered.
                if self.metadata.is_some() { self.receive(queues) } else { Ok(()) }
            }
            _ => self.receive(queues),
        }
    }

    fn sources(&self) -> Vec<Source> {
        let tap = Source { fd: self.tap.fd(), token: TAP, mode: SourceMode::Edge };
        let timer = |metadata: &Metadata| Source { fd: metadata.fd(), token: METADATA_TIMER, mode: SourceMode::Level };
        let timers = [self.receive_limiter.source(RECEIVE_TIMER), self.transmit_limiter.source(TRANSMIT_TIMER)];
        [tap].into_iter().chain(timers).chain(self.metadata.as_ref().map(timer)).collect()
    }

    fn ready(&mut self, token: u32, queues: &mut Queues) -> Result<(), Error> {
        match token {
            TRANSMIT_TIMER => {
                self.transmit_limiter.elapsed();
                self.notified(TRANSMIT, queues)
            }
            METADATA_TIMER => {
                if let Some(metadata) = &mut self.metadata {
                    metadata.elapsed();
                }
                self.receive(queues)
            }
            RECEIVE_TIMER => {
                self.receive_limiter.elapsed();
                self.receive(queues)
            }
            _ => self.receive(queues),
        }
    }
}

#[cfg(test)]
mod tests;
