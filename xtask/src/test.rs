//! `cargo xtask test`: the tests in a mount namespace of their own, and the machine compared before and after.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, wait};
use serde::Deserialize;
use stockade_tests::leaks::{self, Snapshot};
use stockade_tests::{fixtures_dir, workspace_root};

use crate::setup::{self, Scope};
use crate::{build, lint, sh};

/// Options of `test`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Check formatting and run clippy first, and run the workloads that take too long for CI.
    #[arg(long)]
    all: bool,
    /// Run only tests whose name contains this.
    filter: Option<String>,
    /// Everything is set up and this is the mount namespace to test in.
    #[arg(long, hide = true)]
    prepared: bool,
}

impl Options {
    fn scope(&self) -> Scope {
        if self.all { Scope::AllTests } else { Scope::Tests }
    }
}

/// Sets up, builds, and runs the tests.
pub fn run(options: &Options) -> Result<()> {
    if options.prepared {
        return run_here(options);
    }
    if options.all {
        lint::run()?;
    }
    setup::run(options.scope())?;
    let binaries = build::ci()?;
    let mut inner = in_own_mount_namespace()?;
    inner.args(["test", "--prepared"]).args(options.all.then_some("--all")).args(&options.filter);
    sh::continue_in(inner.env("STOCKADE_BIN_DIR", binaries).env("STOCKADE_FIXTURES", fixtures_dir()))
}

/// Shared propagation, as systemd sets it up on ordinary hosts: a container's mount that escapes to the host shows
/// there.
fn in_own_mount_namespace() -> Result<Command> {
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
    if options.all {
        cargo.args(["--features", "stockade-tests/all"]);
    }
    let result = run_and_reap(cargo.args(&options.filter).current_dir(workspace_root()));
    let left = [before.new_since(), leaks::descendants_left()].concat();
    print_untestable()?;
    result?;
    if !left.is_empty() {
        bail!("the tests pass, but left on this machine:\n{}", left.join("\n"));
    }
    println!("All tests pass, and nothing of theirs is left mounted, running or in a control group.");
    Ok(())
}

/// Runs a command and reaps every orphan meanwhile. A pid namespace's init cannot end before a process that joined it
/// from outside is reaped (pid_namespaces(7)), so an idle subreaper would keep containers from being deleted.
fn run_and_reap(command: &mut Command) -> Result<()> {
    println!("$ {}", sh::text(command));
    let pid = Pid::from_child(&command.spawn().with_context(|| format!("cannot start {}", sh::text(command)))?);
    loop {
        match retry_on_intr(|| wait(WaitOptions::empty()))? {
            Some((ended, status)) if ended == pid && status.exit_status() == Some(0) => return Ok(()),
            Some((ended, _)) if ended == pid => bail!("{} failed", sh::text(command)),
            _ => {}
        }
    }
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
