//! `cargo xtask test`: the tests in a mount namespace of their own, and the machine compared before and after.

use std::fs;

use anyhow::{Context, Result, bail};
use rustix::process::{getpid, set_child_subreaper};
use serde::Deserialize;
use stockade_tests::leaks::{self, Snapshot};
use stockade_tests::{fixtures_dir, workspace_root};

use crate::{build, lint, setup, sh};

/// Options of `test`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Check formatting and run clippy first, as CI does.
    #[arg(long)]
    all: bool,
    /// Run only tests whose name contains this.
    filter: Option<String>,
    /// Everything is set up and this is the mount namespace to test in.
    #[arg(long, hide = true)]
    prepared: bool,
}

/// Sets up, builds, and runs the tests.
pub fn run(options: &Options) -> Result<()> {
    if options.prepared {
        return run_here(options);
    }
    if options.all {
        lint::run()?;
    }
    setup::run()?;
    let binaries = build::ci()?;
    let mut inner = in_own_mount_namespace()?;
    inner.args(["test", "--prepared"]).args(&options.filter);
    sh::continue_in(inner.env("STOCKADE_BIN_DIR", binaries).env("STOCKADE_FIXTURES", fixtures_dir()))
}

/// Shared propagation, as systemd sets it up on ordinary hosts: a container's mount that escapes to the host shows
/// there.
fn in_own_mount_namespace() -> Result<std::process::Command> {
    let me = std::env::current_exe().context("find this program")?;
    let mut command = sh::cmd("unshare", ["--mount", "--propagation", "private", "sh", "-c"]);
    command.args(["mount --make-rshared / && exec \"$@\"", "sh"]).arg(me);
    Ok(command)
}

fn run_here(options: &Options) -> Result<()> {
    // Whatever outlives its test becomes our child, and is found.
    set_child_subreaper(Some(getpid())).context("become the subreaper of all tests")?;
    let before = Snapshot::take();
    let mut cargo = sh::cmd("cargo", ["test", "--workspace", "--no-fail-fast"]);
    let result = sh::run(cargo.args(&options.filter).current_dir(workspace_root()));
    let left = [before.new_since(), leaks::descendants_left()].concat();
    print_untestable()?;
    result?;
    if !left.is_empty() {
        bail!("the tests pass, but left on this machine:\n{}", left.join("\n"));
    }
    println!("All tests pass, and nothing of theirs is left mounted, running or in a control group.");
    Ok(())
}

#[derive(Deserialize)]
struct Untestable {
    item: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    what: String,
    why: String,
    instead: String,
}

fn print_untestable() -> Result<()> {
    let text = fs::read_to_string(workspace_root().join("tests/untestable.toml"))?;
    let list: Untestable = toml::from_str(&text).context("read tests/untestable.toml")?;
    println!(
        "\nNot tested here, because the machine cannot show it ({} items, tests/untestable.toml):",
        list.item.len()
    );
    for Item { what, why, instead } in &list.item {
        println!("  - {what}\n      why: {why}\n      instead: {instead}");
    }
    println!();
    Ok(())
}
