//! Static binaries.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use stockade_tests::workspace_root;

use crate::sh;

/// The one target. It is given to cargo by name: otherwise the flags below would also reach proc-macros, which cannot
/// be static.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
const BINARIES: &[&str] = &["stockade", "stockade-oci"];
/// Process 1 of guests, a file of its own beside them.
const AGENT: &str = "stockade-agent";

/// Options of `build`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What the tests use: target/ci, nearly as fast and sooner built.
    #[arg(long)]
    ci: bool,
}

/// Builds.
pub fn run(options: &Options) -> Result<()> {
    let dir = if options.ci { ci() } else { release() }?;
    println!("static binaries: {}", dir.display());
    Ok(())
}

/// The release binaries, in target/release. The agent has a profile of its own: it is small, and survives a panic.
pub fn release() -> Result<PathBuf> {
    cargo("release", &["stockade"])?;
    cargo("agent", &[AGENT])?;
    copy("agent", "release", &[AGENT])?;
    copy("release", "release", BINARIES)
}

/// Nearly the same in a fraction of the build time, for tests: target/ci.
pub fn ci() -> Result<PathBuf> {
    cargo("ci", &["stockade", AGENT])?;
    copy("ci", "ci", &[AGENT])?;
    copy("ci", "ci", BINARIES)
}

fn cargo(profile: &str, packages: &[&str]) -> Result<()> {
    let mut cargo = sh::cmd("cargo", ["build", "--bins", "--profile", profile, "--target", TARGET]);
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    sh::run(cargo.env("RUSTFLAGS", flags()).current_dir(workspace_root()))
}

fn copy(profile: &str, to: &str, names: &[&str]) -> Result<PathBuf> {
    let target = target_dir();
    let (from, to) = (target.join(TARGET).join(profile), target.join(to));
    fs::create_dir_all(&to)?;
    for name in names {
        // Replaced, not overwritten: a container may be running the old one.
        let fresh = to.join(format!(".{name}.new"));
        fs::copy(from.join(name), &fresh).with_context(|| format!("copy {name}"))?;
        fs::rename(&fresh, to.join(name))?;
    }
    Ok(to)
}

fn flags() -> String {
    format!("{} -C target-feature=+crt-static", env::var("RUSTFLAGS").unwrap_or_default()).trim().to_owned()
}

/// Cargo's target directory.
pub fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from)
}
