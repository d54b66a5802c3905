//! Formatting and clippy.

use anyhow::Result;
use stockade_tests::workspace_root;

use crate::sh;

/// Checks; changes nothing.
pub fn run() -> Result<()> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    sh::run(sh::cmd("cargo", ["fmt", "--all", "--check"]).current_dir(workspace_root()))?;
    sh::run(sh::cmd("cargo", clippy).current_dir(workspace_root()))
}
