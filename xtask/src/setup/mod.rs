//! `cargo xtask setup`: packages, then fixtures. Every step looks first and does only what is missing.

mod debian;
mod images;
mod kernel;
mod layers;
pub mod packages;
mod rootfs;
pub mod stamp;
mod workloads;

use anyhow::Result;
use stockade_tests::fixtures_dir;

use crate::guest_kernel;

/// What the set-up is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The demonstration and the benchmarks.
    Demo,
    /// The tests that CI runs.
    Tests,
    /// Every test.
    AllTests,
}

/// Options of `setup`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Also what `cargo xtask test --all` needs: 2 GB more, and a guest kernel, ten minutes of a processor.
    #[arg(long)]
    all: bool,
}

/// Sets up for the tests.
pub fn verb(options: &Options) -> Result<()> {
    run(if options.all { Scope::AllTests } else { Scope::Tests })
}

/// Sets up what the lab needs, and nothing else.
pub fn lab() -> Result<()> {
    packages::install_missing(packages::PACKAGES)?;
    stamp::Folder::open(fixtures_dir())?.build("lab/kernel", kernel::debian)
}

/// Installs what is missing and builds what is not built yet.
pub fn run(scope: Scope) -> Result<()> {
    packages::install_missing(packages::PACKAGES)?;
    let fixtures = stamp::Folder::open(fixtures_dir())?;
    fixtures.build("rootfs/busybox", rootfs::busybox)?;
    fixtures.build("rootfs/debian", rootfs::debian)?;
    if scope >= Scope::Tests {
        fixtures.build("lab/kernel", kernel::debian)?;
        fixtures.build("rootfs/workloads", |dir| workloads::fast(dir, &fixtures.path("rootfs/debian")))?;
    }
    if scope >= Scope::AllTests {
        fixtures.build("rootfs/workloads-all", |dir| workloads::all(dir, &fixtures.path("rootfs/workloads")))?;
    }
    fixtures.build("oci", |dir| images::oci_layout(dir, &fixtures.path("rootfs")))?;
    fixtures.build("registry", |dir| images::registry(dir, &fixtures.path("oci")))?;
    println!("fixtures: {}", fixtures.path("").display());
    drop(fixtures);
    if scope >= Scope::AllTests { guest_kernel::build_missing(None) } else { Ok(()) }
}
