//! The file server of class `kernel`: the one process of a sandbox that has a directory of the host.
//!
//! Its client, the sandbox's monitor, may have been taken over: whatever it says, it gets nothing outside the
//! directory. Files are named by numbers that the server gave out, and by *one* name in a directory that has such a
//! number: `..`, slashes and links of the host are never followed, so there is no path that somebody could swap. Data
//! does not pass through here: the client gets descriptors of regular files, and of nothing else.
//!
//! [`protocol`] is what both ends say; [`receive`] begins a server.
#![forbid(unsafe_code)]

pub mod protocol;
mod server;

pub use server::{Ready, ServeError, hand_over, receive};
