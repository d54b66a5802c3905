//! `lab watch`, which benchmarks run in the lab: starts a VMM again and again until its guest says a word, and tells as
//! JSON what that took: time, exits, the VMM's own memory and, in the last round, exits by reason and phase.

mod counters;
mod trace;

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Options of `lab watch`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What ends a round when it is printed.
    #[arg(long)]
    word: String,
    /// Rounds that count, after one that warms up.
    #[arg(long)]
    rounds: usize,
    /// The guest's memory: mappings of this size and more are not the VMM's own.
    #[arg(long)]
    guest_mib: u64,
    /// The VMM.
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

/// What was seen.
#[derive(Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Each round that counts.
    pub rounds: Vec<Round>,
    /// Exits of one more round by their reason.
    pub reasons: BTreeMap<String, u64>,
    /// Its phases, in order.
    pub phases: Vec<Phase>,
}

/// A boot.
#[derive(Debug, Serialize, Deserialize)]
pub struct Round {
    /// From the start of the VMM's process to the word.
    pub ms: f64,
    /// All exits of the guest.
    pub exits: u64,
    /// Resident memory of the VMM, the guest's not counted.
    pub own_kib: u64,
    /// Resident memory of the guest.
    pub guest_kib: u64,
}

/// A point on the way.
#[derive(Debug, Serialize, Deserialize)]
pub struct Phase {
    /// What happened.
    pub name: String,
    /// When, from the process's start on.
    pub ms: f64,
    /// Exits up to then.
    pub exits: u64,
}

/// Watches and prints.
pub fn run(options: &Options) -> Result<()> {
    round(options)?;
    let rounds = (0..options.rounds).map(|_| round(options)).collect::<Result<_>>()?;
    let trace = trace::Trace::begin()?;
    round(options)?;
    let (reasons, phases) = trace.end()?;
    println!("{}", serde_json::to_string(&Seen { rounds, reasons, phases })?);
    Ok(())
}

fn round(options: &Options) -> Result<Round> {
    let [program, words @ ..] = options.command.as_slice() else { bail!("no VMM") };
    let mut command = Command::new(program);
    // Its input stays open: a VMM may end with it.
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let begin = Instant::now();
    let mut child = command.spawn().with_context(|| format!("start {program}"))?;
    let result = until_word(&mut child, &options.word).and_then(|()| {
        let ms = begin.elapsed().as_secs_f64() * 1e3;
        let exits = counters::exits()?;
        let (own_kib, guest_kib) = counters::memory(child.id(), options.guest_mib)?;
        Ok(Round { ms, exits, own_kib, guest_kib })
    });
    child.kill()?;
    child.wait()?;
    result
}

fn until_word(child: &mut Child, word: &str) -> Result<()> {
    let mut output = child.stdout.take().context("a pipe")?;
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match output.read(&mut piece)? {
            0 => bail!("it ended without the word:\n{}", String::from_utf8_lossy(&seen)),
            len => seen.extend_from_slice(&piece[..len]),
        }
        if seen.windows(word.len()).any(|window| window == word.as_bytes()) {
            return Ok(());
        }
    }
}
