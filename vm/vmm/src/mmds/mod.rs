//! The metadata service: a JSON document that the host writes and the guest reads at a link-local address.
//!
//! [`Mmds`] is the document with its rules; [`Stack`] is the guest's side of it, Ethernet frames in and frames out,
//! without a socket or a descriptor of the host. The two meet in [`http`], one request at a time. What comes from the
//! guest is hostile: requests, tokens and connections are bounded.

mod http;
mod stack;
mod store;
mod token;

#[cfg(test)]
mod tests;

pub use stack::{MMDS_MAC, Stack};
pub use store::{Mmds, MmdsError, SharedMmds};
pub use token::{MAX_TTL_S, TokenError};

/// The answers to all requests in `bytes`, up to the first that is none or not whole. For fuzz targets.
#[cfg(feature = "testing")]
pub fn answers(mmds: &mut Mmds, mut bytes: &[u8], now: std::time::Instant) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    loop {
        match http::answer(mmds, bytes, now) {
            http::Front::Partial => return answers,
            http::Front::Malformed { answer } => answers.push(answer),
            http::Front::Request { bytes: len, answer } => {
                answers.push(answer);
                bytes = bytes.get(len..).unwrap_or_default();
                continue;
            }
        }
        return answers;
    }
}
