//! Entropy for the guest (virtio 1.2, 5.4), from the host's random number generator.

use super::limiter::Limiter;
use super::queue::{Chain, Queues, Span, slice};
use super::{Device, Error, Source, id};
use crate::memory::Memory;
use vm_memory::Bytes;

const QUEUES: [u16; 1] = [256];
/// One request gets at most this much, whatever its buffers hold; the driver asks again.
const REQUEST_MAX: u32 = 64 << 10;
/// Random bytes are made in pieces of this size, so that no request allocates.
const PIECE: usize = 256;

/// The device.
#[derive(Default)]
pub struct Rng {
    chain: Chain,
    limiter: Option<Limiter>,
}

impl Rng {
    /// A device that keeps to a limit; without one there is none.
    pub fn limited(limiter: Limiter) -> Self {
        Rng { limiter: Some(limiter), ..Default::default() }
    }
}

impl Device for Rng {
    fn id(&self) -> u32 {
        id::ENTROPY
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> &[u16] {
        &QUEUES
    }

    fn read_config(&self, _: usize, _: &mut [u8]) {}

    fn notified(&mut self, queue: usize, queues: &mut Queues) -> Result<(), Error> {
        let limiter = &mut self.limiter;
        if limiter.as_ref().is_some_and(Limiter::is_waiting) {
            return Ok(());
        }
        queues.serve(queue, &mut self.chain, |memory, chain| {
            let bytes = u64::from(chain.writable_len().min(REQUEST_MAX));
            let allowed = limiter.as_mut().is_none_or(|limiter| limiter.take(bytes));
            allowed.then(|| fill(memory, chain))
        })
    }

    fn sources(&self) -> Vec<Source> {
        self.limiter.iter().map(|limiter| limiter.source(0)).collect()
    }

    fn ready(&mut self, _: u32, queues: &mut Queues) -> Result<(), Error> {
        if let Some(limiter) = &mut self.limiter {
            limiter.elapsed();
        }
        self.notified(0, queues)
    }
}

fn fill(memory: &Memory, chain: &Chain) -> u32 {
    slice(&chain.writable, 0, REQUEST_MAX).map(|span| fill_span(memory, span)).sum()
}

/// Bytes written; fewer than asked for only if the host has no generator.
fn fill_span(memory: &Memory, span: Span) -> u32 {
    let mut done = 0;
    while done < span.len {
        let mut piece = [0; PIECE];
        let len = usize::try_from(span.len - done).map_or(PIECE, |left| left.min(PIECE));
        let Ok(got) = rustix::rand::getrandom(&mut piece[..len], rustix::rand::GetRandomFlags::empty()) else { break };
        let at = vm_memory::GuestAddress(span.address.0 + u64::from(done));
        if got == 0 || memory.write_slice(&piece[..got], at).is_err() {
            break;
        }
        done += u32::try_from(got).unwrap_or(0);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Driver, Part};
    use super::*;
    use crate::config::{RateLimiterConfig, TokenBucketConfig};

    #[test]
    fn buffers_are_filled_up_to_the_limit() {
        let mut driver = Driver::new(&[256]);
        driver.add(0, &[Part::Write(0x1_0000, 300), Part::Write(0x2_0000, 5)]);
        driver.add(0, &[Part::Write(0x1_0000, 4 * REQUEST_MAX)]);
        Rng::default().notified(0, &mut driver.queues).expect("served");
        assert_eq!(driver.used(0), [(0, 305), (2, REQUEST_MAX)]);
        assert_ne!(driver.read(0x1_0000, 300), vec![0; 300]);
        assert!(driver.interrupted());
    }

    #[test]
    fn a_limit_holds_requests_back() {
        let size = TokenBucketConfig { size: 64, one_time_burst: None, refill_time: 3_600_000 };
        let limits = RateLimiterConfig { bandwidth: Some(size), ops: None };
        let mut rng = Rng::limited(Limiter::new(Some(limits)).expect("timer"));
        let mut driver = Driver::new(&[256]);
        driver.add(0, &[Part::Write(0x1_0000, 64)]);
        driver.add(0, &[Part::Write(0x2_0000, 64)]);
        rng.notified(0, &mut driver.queues).expect("served");
        rng.notified(0, &mut driver.queues).expect("waits");
        assert_eq!(driver.used(0), [(0, 64)]);
        rng.limiter.as_mut().expect("a limiter").set(None);
        rng.ready(0, &mut driver.queues).expect("served");
        assert_eq!(driver.used(0), [(1, 64)]);
    }

    #[test]
    fn a_request_without_room_gets_nothing() {
        let mut driver = Driver::new(&[256]);
        driver.add(0, &[Part::Read(0x1_0000, 16)]);
        Rng::default().notified(0, &mut driver.queues).expect("served");
        assert_eq!(driver.used(0), [(0, 0)]);
    }
}
