//! Firecracker's HTTP API to one microVM, over a unix socket.
//!
//! A [`Server`] reads requests, [`request`] turns each into an [`Action`] or says what is wrong with it, and a
//! [`Session`] carries it out: it holds the configuration, the state, the metadata document, the log and the metrics,
//! and knows what is allowed before and after the start. Only what needs the machine itself goes to a [`Controller`].
//!
//! Clients are trusted as far as the socket's permissions go, but bodies are bounded and no request may crash the
//! monitor. Words, fields and status codes are Firecracker's, of version [`API_VERSION`].
#![forbid(unsafe_code)]

mod action;
mod controller;
pub mod logger;
mod metrics;
mod output;
pub mod request;
mod server;
mod session;

pub use action::{Action, Phase};
pub use controller::{Controller, ControllerError};
pub use logger::Logger;
pub use metrics::Metrics;
pub use server::{BindError, DEFAULT_PAYLOAD_BYTES, Server};
pub use session::{Answer, Fault, Session, Setup};

/// The version of Firecracker whose API is served; what came later is refused as unknown.
pub const API_VERSION: &str = "1.13.0";
