//! `cargo xtask docs`: the reference pages that the binaries write themselves.

use std::fs;

use anyhow::{Context, Result};
use stockade_tests::{reference, workspace_root};

use crate::{build, sh};

/// Builds the binaries and asks them, in another process that knows where they are.
pub fn run(options: &Options) -> Result<()> {
    if options.prepared {
        return write();
    }
    let binaries = build::ci()?;
    let me = std::env::current_exe().context("find this program")?;
    sh::continue_in(std::process::Command::new(me).args(["docs", "--prepared"]).env("STOCKADE_BIN_DIR", binaries))
}

/// Options of `docs`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The binaries are built and `STOCKADE_BIN_DIR` names them.
    #[arg(long, hide = true)]
    prepared: bool,
}

fn write() -> Result<()> {
    for page in reference::pages() {
        let path = workspace_root().join(page.path);
        fs::create_dir_all(path.parent().context("a page lies in a folder")?)?;
        fs::write(&path, page.text).with_context(|| format!("write {}", path.display()))?;
        println!("wrote {}", page.path);
    }
    Ok(())
}
