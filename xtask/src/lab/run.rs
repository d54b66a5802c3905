//! `cargo xtask lab run`.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process;
use std::time::Duration;

use anyhow::{Context, Result};
use stockade_lab::{Command, Lab, Settings, Stream, Time};
use stockade_tests::fixtures_dir;

use crate::setup;

/// Options of `lab run`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Count instructions instead of time: figures are the same however busy this machine is. One processor; idle time
    /// and the host's files warp that clock, so name the files that matter with --warm.
    #[arg(long)]
    exact: bool,
    /// Processors of the lab.
    #[arg(long, default_value_t = 2, conflicts_with = "exact")]
    cpus: u32,
    /// Memory of the lab, in MiB. What commands write lies in it too.
    #[arg(long, default_value_t = 2048)]
    memory: u32,
    /// Kill the command after this many seconds.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// Read a file before the command starts.
    #[arg(long, value_name = "FILE")]
    warm: Vec<PathBuf>,
    /// The command and its arguments; `sh -c '...'` for several in one boot.
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

/// Runs the command and ends with its exit status: 125 where there is no lab, 127 where there is no such program.
pub fn run(options: &Options) -> Result<()> {
    setup::lab()?;
    let mut lab = Lab::boot(&settings(options)?)?;
    let command = command(options)?;
    let result = lab.run(&command, Duration::from_secs(options.timeout), print);
    drop(lab);
    process::exit(result?)
}

/// A lab that counts instructions.
pub fn exact(memory_mib: u32) -> Result<Settings> {
    Ok(Settings {
        kernel: fixtures_dir().join("lab/kernel"),
        cache: fixtures_dir().join("lab"),
        agent: env::current_exe().context("find this program")?,
        cpus: 1,
        memory_mib,
        time: Time::Instructions,
    })
}

fn settings(options: &Options) -> Result<Settings> {
    let exact = exact(options.memory)?;
    Ok(if options.exact { exact } else { Settings { cpus: options.cpus, time: Time::Real, ..exact } })
}

fn command(options: &Options) -> Result<Command> {
    let env = env::vars().filter(|(key, _)| key != "TMPDIR").collect();
    let cwd = env::current_dir().context("find the working directory")?;
    Ok(Command { argv: options.command.clone(), env, cwd, warm: options.warm.clone() })
}

/// Output that nobody reads any more is nobody's loss.
fn print(stream: Stream, bytes: &[u8]) {
    let _ = match stream {
        Stream::Stdout => io::stdout().lock().write_all(bytes).and_then(|()| io::stdout().flush()),
        Stream::Stderr => io::stderr().lock().write_all(bytes),
    };
}
