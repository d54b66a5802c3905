//! What the end-to-end tests share: fixtures, commands with deadlines, bundles, a loopback registry, and the check
//! that nothing leaks.
//!
//! Everything here panics with a full account instead of returning errors: its callers are tests. Every wait has a
//! deadline. Needs root and the fixtures that `cargo xtask setup` builds.
#![forbid(unsafe_code)]

mod bundle;
mod command;
mod containerd;
mod daemon;
mod docker;
mod fixtures;
mod lab;
pub mod leaks;
mod podman;
mod programs;
mod pty;
pub mod reference;
mod registry;
mod scratch;
mod trace;
mod wait;

pub use bundle::Bundle;
pub use command::{Cmd, Output, Running, run};
pub use containerd::{BUSYBOX, Containerd};
pub use daemon::oci_runtime;
pub use docker::Docker;
pub use fixtures::{bin, example, fixture, fixtures_dir, oci_layout, rootfs, workspace_root};
pub use lab::Lab;
pub use podman::Podman;
pub use programs::{ATTACKS, CONFORMANCE, LAB, Programs};
pub use pty::Pty;
pub use registry::Registry;
pub use scratch::Scratch;
pub use trace::HostCalls;
pub use wait::wait_until;
