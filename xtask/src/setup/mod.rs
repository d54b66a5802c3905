//! `cargo xtask setup`: packages, then fixtures. Every step looks first and does only what is missing.

mod debian;
mod images;
mod layers;
mod packages;
mod rootfs;
mod stamp;

use anyhow::Result;
use stockade_tests::fixtures_dir;

/// Installs what is missing and builds what is not built yet.
pub fn run() -> Result<()> {
    packages::install_missing()?;
    let fixtures = stamp::Folder::open(fixtures_dir())?;
    fixtures.build("rootfs/busybox", rootfs::busybox)?;
    fixtures.build("rootfs/debian", rootfs::debian)?;
    fixtures.build("oci", |dir| images::oci_layout(dir, &fixtures.path("rootfs")))?;
    fixtures.build("registry", |dir| images::registry(dir, &fixtures.path("oci")))?;
    println!("fixtures: {}", fixtures.path("").display());
    Ok(())
}
