//! Rate limiters, and the entropy device, which has nothing else.

use serde::{Deserialize, Serialize};

/// A token bucket: `size` tokens, full again after `refill_time` ms, and a first burst that is never refilled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct TokenBucketConfig {
    /// Tokens in a full bucket.
    pub size: u64,
    /// Tokens that may be spent once, on top.
    pub one_time_burst: Option<u64>,
    /// How long an empty bucket takes to fill, in milliseconds.
    pub refill_time: u64,
}

impl TokenBucketConfig {
    /// Whether the bucket limits anything: a size or a time of zero turns it off.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.size != 0 && self.refill_time != 0
    }
}

/// Limits of one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimiterConfig {
    /// A token is a byte.
    pub bandwidth: Option<TokenBucketConfig>,
    /// A token is an operation.
    pub ops: Option<TokenBucketConfig>,
}

impl RateLimiterConfig {
    /// The limiter after a change: a bucket that the change does not name stays, one that limits nothing goes.
    #[must_use]
    pub fn updated(self, update: Self) -> Self {
        let pick = |old, new: Option<TokenBucketConfig>| new.map_or(old, |new| new.is_limit().then_some(new));
        Self { bandwidth: pick(self.bandwidth, update.bandwidth), ops: pick(self.ops, update.ops) }
    }

    /// The limiter without buckets that limit nothing, if anything is left of it.
    #[must_use]
    pub fn effective(self) -> Option<Self> {
        let limits = Self::default().updated(self);
        (limits != Self::default()).then_some(limits)
    }
}

/// The body of `PUT /entropy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EntropyConfig {
    /// Limits of what the guest draws.
    pub rate_limiter: Option<RateLimiterConfig>,
}
