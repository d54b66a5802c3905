//! Hand-made layers: whiteouts, opaque directories, hard links, attributes, devices, odd names.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::sh;

/// Makes the layers as tar files in `dir`, lowest first.
pub fn make(dir: &Path) -> Result<Vec<PathBuf>> {
    sh::check(sh::cmd("sh", ["-c", include_str!("layers.sh")]).current_dir(dir))?;
    Ok(["2.tar", "3.tar", "4.tar"].map(|name| dir.join(name)).to_vec())
}

/// Makes a root directory into a layer.
pub fn from_rootfs(rootfs: &Path, tar: &Path) -> Result<()> {
    let options = ["--create", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--sort=name", "--file"];
    sh::check(sh::cmd("tar", options).arg(tar).arg("--directory").arg(rootfs).arg("."))
}
