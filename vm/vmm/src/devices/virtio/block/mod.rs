//! Block device (virtio 1.2, 5.2) over a raw file or device of the host.

mod disk;
mod request;

use self::request::Request;
use super::limiter::Limiter;
use super::queue::{Chain, Queues};
use super::{Device, DeviceState, Error, Invalid, Source, copy_config, id};
use crate::config::CacheType;
use crate::memory::Memory;

pub use self::disk::{Access, Disk, OpenError};

/// Unit of addresses and lengths, whatever the disk's own.
const SECTOR: u64 = 512;
const QUEUES: [u16; 1] = [256];

const FEATURE_SEGMENTS_MAX: u64 = 1 << 2;
const FEATURE_READ_ONLY: u64 = 1 << 5;
const FEATURE_FLUSH: u64 = 1 << 9;
const FEATURE_DISCARD: u64 = 1 << 13;
const FEATURE_WRITE_ZEROES: u64 = 1 << 14;

/// Segments of one request: a queue of descriptors without header and status.
const SEGMENTS_MAX: u32 = 254;
/// The longest range of one discard, in sectors: 1 GiB.
const DISCARD_SECTORS_MAX: u32 = 2 << 20;
/// Ranges of one discard.
const DISCARD_RANGES_MAX: u32 = 16;

/// The device.
pub struct Block {
    disk: Disk,
    limiter: Limiter,
    chain: Chain,
}

impl Block {
    /// A device for `disk` that keeps to a limit.
    pub fn new(disk: Disk, limiter: Limiter) -> Self {
        Block { disk, limiter, chain: Chain::default() }
    }

    /// Puts another disk in its place; the driver has to be told.
    pub fn replace(&mut self, disk: Disk) {
        self.disk = disk;
    }

    /// Changes its limits.
    pub fn limiter(&mut self) -> &mut Limiter {
        &mut self.limiter
    }

    /// `struct virtio_blk_config`.
    fn config(&self) -> [u8; 60] {
        let mut config = [0; 60];
        let mut put = |at: usize, bytes: &[u8]| config[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.disk.sectors().to_le_bytes());
        put(12, &SEGMENTS_MAX.to_le_bytes());
        put(36, &DISCARD_SECTORS_MAX.to_le_bytes());
        put(40, &DISCARD_RANGES_MAX.to_le_bytes());
        put(44, &8_u32.to_le_bytes());
        put(48, &DISCARD_SECTORS_MAX.to_le_bytes());
        put(52, &DISCARD_RANGES_MAX.to_le_bytes());
        // Write zeroes may unmap.
        put(56, &[1]);
        config
    }
}

impl Device for Block {
    fn id(&self) -> u32 {
        id::BLOCK
    }

    fn features(&self) -> u64 {
        let access = match self.disk.access() {
            Access::ReadOnly => FEATURE_READ_ONLY,
            Access::ReadWrite => FEATURE_DISCARD | FEATURE_WRITE_ZEROES,
        };
        let flush = if self.disk.cache() == CacheType::Writeback { FEATURE_FLUSH } else { 0 };
        FEATURE_SEGMENTS_MAX | access | flush
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUES
    }

    fn read_config(&self, offset: usize, data: &mut [u8]) {
        copy_config(&self.config(), offset, data);
    }

    fn notified(&mut self, queue: usize, queues: &mut Queues) -> Result<(), Error> {
        let (disk, limiter) = (&self.disk, &mut self.limiter);
        if limiter.is_waiting() {
            return Ok(());
        }
        queues.serve(queue, &mut self.chain, |memory, chain| {
            let bytes = u64::from(chain.readable_len()) + u64::from(chain.writable_len());
            limiter.take(bytes).then(|| serve(disk, memory, chain))
        })
    }

    /// What the guest flushed, and what it only wrote, is on the disk that goes with the snapshot.
    fn state(&self) -> Option<DeviceState> {
        if let Err(error) = self.disk.sync() {
            tracing::warn!("disk: {error}");
        }
        Some(DeviceState::Block { sectors: self.disk.sectors() })
    }

    fn restore(&mut self, state: &DeviceState, _: Option<&mut Queues>) -> Result<(), Invalid> {
        match (*state, self.disk.sectors()) {
            (DeviceState::Block { sectors }, here) if sectors == here => Ok(()),
            (DeviceState::Block { sectors: saved }, here) => Err(Invalid::Disk { saved, here }),
            _ => Err(Invalid::Kind),
        }
    }

    fn sources(&self) -> Vec<Source> {
        vec![self.limiter.source(0)]
    }

    fn ready(&mut self, _: u32, queues: &mut Queues) -> Result<(), Error> {
        self.limiter.elapsed();
        self.notified(0, queues)
    }
}

/// Serves one request; bytes written to the guest, the status among them.
fn serve(disk: &Disk, memory: &Memory, chain: &Chain) -> u32 {
    let Some(request) = Request::parse(memory, chain) else {
        // Not even a place for the status.
        return 0;
    };
    let (status, written) = request.serve(disk, memory, chain);
    request.finish(memory, chain, status, written)
}

#[cfg(test)]
mod tests;
