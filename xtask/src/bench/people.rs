//! `stockade` as the benchmarks drive it.

use std::process::{Command, Stdio};

use anyhow::Result;
use stockade_tests::{Registry, Scratch, bin};

use crate::sh;

/// A `stockade` command with the scratch's directories, silent.
pub fn stockade<S: AsRef<std::ffi::OsStr>>(scratch: &Scratch, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(bin("stockade"));
    command.arg("--root").arg(scratch.root()).arg("--state").arg(scratch.state());
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Pulls an image of the registry and returns its reference.
pub fn pull(scratch: &Scratch, registry: &Registry, name: &str) -> Result<String> {
    let reference = registry.reference(name);
    sh::check(&mut stockade(scratch, ["pull", "--quiet", &reference]))?;
    Ok(reference)
}
