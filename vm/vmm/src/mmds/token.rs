//! Session tokens of the metadata service's second version.
//!
//! A token is random and lives in a table, which a guest can fill: the one that ends first then makes room. A restored
//! guest's table is empty, so that no token is good for two guests.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use thiserror::Error;

/// The longest life of a token, in seconds: six hours.
pub const MAX_TTL_S: u32 = 21_600;
const MAX_TOKENS: usize = 256;
const TOKEN_BYTES: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Tokens {
    ends: HashMap<String, Instant>,
}

impl Tokens {
    pub(super) fn issue(&mut self, ttl_s: u32, now: Instant) -> Result<String, TokenError> {
        if ttl_s == 0 || ttl_s > MAX_TTL_S {
            return Err(TokenError::InvalidTtl(ttl_s));
        }
        self.make_room(now);
        let mut secret = [0; TOKEN_BYTES];
        getrandom::fill(&mut secret).map_err(|_| TokenError::Random)?;
        let token: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        self.ends.insert(token.clone(), now + Duration::from_secs(ttl_s.into()));
        Ok(token)
    }

    pub(super) fn has(&self, token: &str, now: Instant) -> bool {
        self.ends.get(token).is_some_and(|end| *end > now)
    }

    fn make_room(&mut self, now: Instant) {
        self.ends.retain(|_, end| *end > now);
        if self.ends.len() < MAX_TOKENS {
            return;
        }
        let first = self.ends.iter().min_by_key(|(_, end)| **end).map(|(token, _)| token.clone());
        first.map(|token| self.ends.remove(&token));
    }
}

/// Why no token is given out.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    /// A life that is too short or too long.
    #[error(
        "Invalid time to live value provided for token: {0}. Please provide a value between 1 and {max}.",
        max = MAX_TTL_S
    )]
    InvalidTtl(u32),
    /// The host has no random numbers.
    #[error("Failed to generate a key")]
    Random,
}
