//! Tasks (threads), processes (thread groups), and what they are made of.

mod capabilities;
mod credentials;

pub use capabilities::Capabilities;
pub use credentials::Credentials;
