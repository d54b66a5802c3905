//! The lab: a virtual machine with what a test needs and the machine at hand may lack: a standard `/dev/kvm` that runs
//! guests, and cgroup v2 with every controller. QEMU emulates an AMD processor with SVM in software, so it works
//! anywhere; a Debian cloud kernel runs on it. The host's files are at their paths, below a tmpfs: whatever a command
//! writes is gone with the lab.
//!
//! [`Lab::boot`] starts one, [`Lab::run`] runs commands in it, one after the other; dropping it ends it. All of its
//! processes live in a pid namespace that dies with the caller, and its files in a mount namespace's tmpfs: `kill -9`
//! of the caller leaves nothing.
#![forbid(unsafe_code)]

pub mod agent;
mod initramfs;
mod keeper;
mod machine;
mod qemu;
mod tail;
mod wire;

pub use machine::{BootError, Lab, RunError, Settings, Time};
pub use wire::{Command, Stream};
