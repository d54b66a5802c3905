//! Block device (virtio 1.2, 5.2) over a raw file or device of the host.
//!
//! By io_uring several requests are under way at a time and the devices' thread goes on meanwhile; without it the disk
//! has a thread of its own and serves one request after the other. A flush begins when all writes that came before it
//! are over.

mod disk;
mod engine;
mod flight;
mod request;
mod ring;

use self::engine::{Engine, Operation};
use self::flight::Flight;
use self::request::{Request, Status, Work, status_of};
use super::limiter::Limiter;
use super::queue::{Chain, Queues, ROUND};
use super::{Device, DeviceState, Error, Invalid, Served, Source, SourceMode, copy_config, id};
use crate::config::{CacheType, IoEngine};
use crate::memory::Memory;

pub use self::disk::{Access, Disk, OpenError};

/// Unit of addresses and lengths, whatever the disk's own.
const SECTOR: u64 = 512;
const QUEUES: [u16; 1] = [256];
const QUEUE: usize = 0;

/// Sources.
const TIMER: u32 = 0;
const RING: u32 = 1;

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
    engine: Engine,
    chain: Chain,
}

/// What became of a look for one more chain.
enum Taken {
    /// It was taken.
    One,
    /// There is one, which has to wait for something.
    Waits,
    /// There is none.
    None,
}

impl Block {
    /// A device for `disk` that keeps to a limit.
    pub fn new(disk: Disk, limiter: Limiter, engine: IoEngine) -> Self {
        Block { disk, limiter, engine: Engine::new(engine), chain: Chain::default() }
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

    fn notified(&mut self, _: usize, queues: &mut Queues) -> Result<(), Error> {
        let Block { disk, limiter, engine, chain } = self;
        match engine {
            Engine::Ring(flight) => Round { disk, limiter, flight, chain }.run(queues),
            Engine::Here if limiter.is_waiting() => Ok(()),
            Engine::Here => {
                queues.serve(QUEUE, chain, |memory, chain| limiter.take(len(chain)).then(|| serve(disk, memory, chain)))
            }
        }
    }

    fn served(&self) -> Served {
        match self.engine {
            Engine::Ring(_) => Served::Here,
            Engine::Here => Served::Apart,
        }
    }

    fn quiesce(&mut self, queues: &mut Queues) -> Result<(), Error> {
        let Engine::Ring(flight) = &mut self.engine else { return Ok(()) };
        while flight.wait().map_err(host)? {
            give_back(flight, queues)?;
        }
        if queues.available(QUEUE) > 0 {
            // What waited for the others was not begun, and nothing else will tell of it.
            queues.come_again(QUEUE);
        }
        queues.interrupt_for(QUEUE)
    }

    fn reset(&mut self) {
        if let Engine::Ring(flight) = &mut self.engine
            && let Err(error) = flight.abandon()
        {
            tracing::error!("a disk's requests do not end: {error}");
        }
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
        let ring = match &self.engine {
            Engine::Ring(flight) => Some(Source { fd: flight.fd(), token: RING, mode: SourceMode::Level }),
            Engine::Here => None,
        };
        [Some(self.limiter.source(TIMER)), ring].into_iter().flatten().collect()
    }

    fn ready(&mut self, token: u32, queues: &mut Queues) -> Result<(), Error> {
        if token == TIMER {
            self.limiter.elapsed();
        }
        self.notified(QUEUE, queues)
    }
}

/// One turn of a disk with a ring.
struct Round<'a> {
    disk: &'a Disk,
    limiter: &'a mut Limiter,
    flight: &'a mut Flight,
    chain: &'a mut Chain,
}

impl Round<'_> {
    /// Begins what can be begun and gives back what is over, until there is nothing to do but to wait.
    fn run(&mut self, queues: &mut Queues) -> Result<(), Error> {
        let mut taken = 0;
        loop {
            give_back(self.flight, queues)?;
            let left = self.take_all(queues, &mut taken)?;
            self.flight.submit().map_err(host)?;
            // What is in the host's memory is over by now.
            let done = give_back(self.flight, queues)?;
            if taken == ROUND {
                queues.come_again(QUEUE);
            }
            if done == 0 || !left || taken == ROUND {
                return queues.interrupt_for(QUEUE);
            }
        }
    }

    /// Takes chains; whether one is left that waits for those before it.
    fn take_all(&mut self, queues: &mut Queues, taken: &mut usize) -> Result<bool, Error> {
        if self.limiter.is_waiting() {
            return Ok(false);
        }
        loop {
            queues.quiet(QUEUE)?;
            loop {
                if *taken == ROUND {
                    return Ok(true);
                }
                match self.take(queues)? {
                    Taken::One => *taken += 1,
                    Taken::Waits => return Ok(!self.limiter.is_waiting()),
                    Taken::None => break,
                }
            }
            if !queues.listen(QUEUE)? {
                return Ok(false);
            }
        }
    }

    fn take(&mut self, queues: &mut Queues) -> Result<Taken, Error> {
        if !self.flight.has_room() {
            return Ok(if queues.available(QUEUE) > 0 { Taken::Waits } else { Taken::None });
        }
        if !queues.pop(QUEUE, self.chain)? {
            return Ok(Taken::None);
        }
        let request = Request::parse(queues.memory(), self.chain);
        let must_wait = request.is_some_and(|request| request.is_flush()) && self.flight.has_writes();
        if must_wait || !self.limiter.take(len(self.chain)) {
            queues.unpop(QUEUE);
            return Ok(Taken::Waits);
        }
        self.begin(request, queues).map(|()| Taken::One)
    }

    fn begin(&mut self, request: Option<Request>, queues: &mut Queues) -> Result<(), Error> {
        let Some(request) = request else { return queues.push(QUEUE, self.chain.head, 0) };
        let memory = queues.memory();
        match request.work(self.disk, memory, self.chain) {
            Work::Done(status, written) => {
                let written = request.answer().give(memory, status, written);
                queues.push(QUEUE, self.chain.head, written)
            }
            Work::Steps(steps, written) => self.flight.take(steps, request.answer(), written, memory).map_err(host),
        }
    }
}

/// Gives back what is over; how many requests that were.
fn give_back(flight: &mut Flight, queues: &mut Queues) -> Result<usize, Error> {
    let mut count = 0;
    loop {
        while let Some((head, written)) = flight.next_done(queues.memory()).map_err(host)? {
            queues.push(QUEUE, head, written)?;
            count += 1;
        }
        // Requests of several steps went on.
        if flight.submit().map_err(host)? == 0 {
            return Ok(count);
        }
    }
}

fn host(error: std::io::Error) -> Error {
    Error::Host(format!("a disk's requests cannot be begun: {error}"))
}

fn len(chain: &Chain) -> u64 {
    u64::from(chain.readable_len()) + u64::from(chain.writable_len())
}

/// Serves one request here and now; bytes written to the guest, the status among them.
fn serve(disk: &Disk, memory: &Memory, chain: &Chain) -> u32 {
    let Some(request) = Request::parse(memory, chain) else {
        // Not even a place for the status.
        return 0;
    };
    let (status, written) = match request.work(disk, memory, chain) {
        Work::Done(status, written) => (status, written),
        Work::Steps(mut steps, written) => match status_of(&steps.iter_mut().try_for_each(Operation::run)) {
            Status::Ok => (Status::Ok, written),
            status => (status, 0),
        },
    };
    request.answer().give(memory, status, written)
}

#[cfg(test)]
mod tests;
