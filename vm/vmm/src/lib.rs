//! The virtual machine monitor of class `vm`.
//!
//! [`config`] says what a microVM is made of; everything else builds and runs it. Clients speak Firecracker's API to
//! `stockade-vm-api`, which knows this crate's configuration and nothing of its machinery.
#![forbid(unsafe_code)]

pub mod config;
pub mod mmds;
