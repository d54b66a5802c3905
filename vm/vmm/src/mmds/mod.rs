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
