//! Limits of bytes and operations: token buckets with Firecracker's meaning.
//!
//! A bucket holds `size` tokens and is filled again, evenly, within its refill time; what a first burst may take beyond
//! is never filled again. A request larger than the bucket takes it all and is paid for by a longer wait.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};

use super::{Source, SourceMode};
use crate::config::{RateLimiterConfig, TokenBucketConfig};

/// No timer is set shorter, so that waiting costs few wake-ups.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// No bucket is filled slower: sums of times then fit.
const REFILL_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// One bucket.
#[derive(Debug, Clone)]
struct Bucket {
    size: u64,
    refill: Duration,
    burst: u64,
    level: u64,
    /// Up to when it was filled; later than now while a large request is being paid for.
    filled_until: Instant,
}

impl Bucket {
    fn new(config: TokenBucketConfig, now: Instant) -> Option<Self> {
        let refill = Duration::from_millis(config.refill_time).min(REFILL_MAX);
        let burst = config.one_time_burst.unwrap_or(0);
        config.is_limit().then_some(Bucket { size: config.size, refill, burst, level: config.size, filled_until: now })
    }

    /// The time in which so many tokens come.
    fn time_of(&self, tokens: u64) -> Duration {
        let nanos = self.refill.as_nanos() * u128::from(tokens) / u128::from(self.size);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_until).min(self.refill);
        let tokens = elapsed.as_nanos() * u128::from(self.size) / self.refill.as_nanos();
        let tokens = u64::try_from(tokens).unwrap_or(self.size);
        self.level = self.level.saturating_add(tokens).min(self.size);
        self.filled_until = match self.level == self.size {
            true => self.filled_until.max(now),
            false => self.filled_until + self.time_of(tokens),
        };
    }

    /// Takes tokens, or says how long there will not be enough.
    fn take(&mut self, tokens: u64, now: Instant) -> Result<(), Duration> {
        self.fill(now);
        let wanted = tokens.saturating_sub(self.burst);
        let needed = wanted.min(self.size);
        if self.level < needed {
            return Err(self.time_of(needed - self.level));
        }
        self.burst -= tokens - wanted;
        self.level -= needed;
        self.filled_until += self.time_of(wanted - needed);
        Ok(())
    }

    fn give_back(&mut self, tokens: u64) {
        self.level = self.level.saturating_add(tokens).min(self.size);
    }
}

/// Both limits of one direction of one device, with a timer for the wait.
pub struct Limiter {
    bytes: Option<Bucket>,
    operations: Option<Bucket>,
    timer: OwnedFd,
    waiting: bool,
}

impl Limiter {
    /// No limit where none is configured.
    pub fn new(config: Option<RateLimiterConfig>) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let mut limiter = Limiter { bytes: None, operations: None, timer, waiting: false };
        limiter.set(config);
        Ok(limiter)
    }

    /// Other limits from now on.
    pub fn set(&mut self, config: Option<RateLimiterConfig>) {
        let now = Instant::now();
        let bucket = |config: Option<TokenBucketConfig>| config.and_then(|config| Bucket::new(config, now));
        self.bytes = config.and_then(|config| bucket(config.bandwidth));
        self.operations = config.and_then(|config| bucket(config.ops));
        // What waits may go on; its device looks when the timer ends.
        if self.waiting {
            self.wait(WAIT_MIN);
        }
    }

    /// The timer, for the device's sources.
    pub fn source(&self, token: u32) -> Source {
        Source { fd: self.timer.as_raw_fd(), token, mode: SourceMode::Level }
    }

    /// Whether the device has to wait for the timer.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Takes one operation of so many bytes; if that is too much now, the timer is set.
    pub fn take(&mut self, bytes: u64) -> bool {
        match self.try_take(bytes, Instant::now()) {
            Ok(()) => true,
            Err(wait) => {
                self.wait(wait.max(WAIT_MIN));
                false
            }
        }
    }

    /// The timer ended.
    pub fn elapsed(&mut self) {
        let mut count = [0; 8];
        // Read only to clear it; it may be set again meanwhile.
        let _ = rustix::io::read(&self.timer, &mut count);
        self.waiting = false;
    }

    fn try_take(&mut self, bytes: u64, now: Instant) -> Result<(), Duration> {
        if let Some(operations) = &mut self.operations {
            operations.take(1, now)?;
        }
        let Some(bucket) = &mut self.bytes else { return Ok(()) };
        bucket.take(bytes, now).inspect_err(|_| {
            if let Some(operations) = &mut self.operations {
                operations.give_back(1);
            }
        })
    }

    fn wait(&mut self, wait: Duration) {
        let it_value = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        self.waiting = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(size: u64, burst: u64) -> (Bucket, Instant) {
        let now = Instant::now();
        let config = TokenBucketConfig { size, one_time_burst: Some(burst), refill_time: 1000 };
        (Bucket::new(config, now).expect("a limit"), now)
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn tokens_come_back_evenly() {
        let (mut bucket, now) = bucket(100, 0);
        assert_eq!(bucket.take(100, now), Ok(()));
        assert_eq!(bucket.take(10, now), Err(ms(100)));
        assert_eq!(bucket.take(10, now + ms(99)), Err(ms(10)));
        assert_eq!(bucket.take(10, now + ms(100)), Ok(()));
        assert_eq!(bucket.take(100, now + ms(1100)), Ok(()));
        assert_eq!(bucket.take(101, now + ms(1150)), Err(ms(950)));
    }

    #[test]
    fn a_burst_comes_once() {
        let (mut bucket, now) = bucket(10, 50);
        assert_eq!(bucket.take(60, now), Ok(()));
        assert_eq!(bucket.take(11, now + ms(10_000)), Ok(()), "more than fits passes when it is full");
        assert_eq!(bucket.take(10, now + ms(11_000)), Err(ms(100)), "and is paid for");
        assert_eq!(bucket.take(10, now + ms(11_100)), Ok(()));
    }

    #[test]
    fn odd_limits_are_no_limits_and_never_panic() {
        let now = Instant::now();
        let config = |size, refill_time| TokenBucketConfig { size, one_time_burst: None, refill_time };
        assert!(Bucket::new(config(0, 100), now).is_none());
        assert!(Bucket::new(config(100, 0), now).is_none());
        let mut bucket = Bucket::new(config(u64::MAX, u64::MAX / 2), now).expect("a limit");
        assert_eq!(bucket.take(u64::MAX, now), Ok(()));
        assert!(bucket.take(u64::MAX, now + ms(1)).is_err());
    }

    #[test]
    fn a_refused_operation_costs_nothing() {
        let limit = |size| Some(TokenBucketConfig { size, one_time_burst: None, refill_time: 3_600_000 });
        let mut limiter = Limiter::new(Some(RateLimiterConfig { bandwidth: limit(10), ops: limit(2) })).expect("timer");
        assert!(limiter.take(10));
        assert!(!limiter.take(10) && limiter.is_waiting());
        assert!(limiter.take(0), "one operation is left");
    }
}
