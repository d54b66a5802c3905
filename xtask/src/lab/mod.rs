//! `cargo xtask lab`: the lab's command line.

mod run;
pub mod watch;

pub use run::exact;

use anyhow::Result;

/// Options of `lab`.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Run a command as root in the lab, with this machine's files at their paths; what it writes is gone afterwards
    Run(run::Options),
    /// In the lab: what a VMM's boot takes.
    #[command(hide = true)]
    Watch(watch::Options),
    /// The lab's process 1.
    #[command(hide = true)]
    Agent,
}

/// Runs a verb.
pub fn run(options: &Options) -> Result<()> {
    match &options.verb {
        Verb::Run(options) => run::run(options),
        Verb::Watch(options) => watch::run(options),
        Verb::Agent => Ok(stockade_lab::agent::main()?),
    }
}
