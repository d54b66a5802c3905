//! What the two commands share and are made of: `stockade` for people, `stockade-oci` for container managers.
//!
//! Binaries stay thin: they parse, call one function here and turn its result into an exit status. Only this crate
//! picks the implementation of an isolation class; everything below it knows the trait alone.
#![forbid(unsafe_code)]

mod args;
pub mod config;
pub mod format;
pub mod human;
pub mod oci;
mod options;
pub mod parse;
pub mod runtime;
pub mod suggest;
pub mod template;
pub mod verbs;
mod vmm;
