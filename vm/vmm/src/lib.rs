//! The virtual machine monitor of class `vm`.
//!
//! [`config`] says what a microVM is made of; everything else builds and runs it. Clients speak Firecracker's API to
//! `stockade-vm-api`, which knows this crate's configuration and nothing of its machinery.
//!
//! [`machine`] builds a guest out of the other parts and runs it; [`hypervisor`] hides KVM; [`boot`] writes what a
//! kernel finds at its start; [`devices`] are what it can talk to; [`snapshot`] is how it is kept and goes on
//! elsewhere. Nothing here knows of images, containers, or HTTP.

pub mod boot;
pub mod config;
pub mod devices;
pub mod hypervisor;
pub mod machine;
pub mod memory;
pub mod mmds;
pub mod seccomp;
pub mod snapshot;
