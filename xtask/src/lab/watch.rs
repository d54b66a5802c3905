//! `lab watch`, which benchmarks run in the lab: starts a VMM again and again until its guest says a word, and tells as
//! JSON what that took: time, exits, the VMM's own memory, marks that the guest printed on its way (`mark NAME US.`,
//! with microseconds of its own clock) and, in one more round, exits by reason and phase.

mod counters;
mod load;
mod trace;

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{self, Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use serde::{Deserialize, Serialize};

use self::trace::{Told, Trace, Traced};

/// Options of `lab watch`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// What ends a round when it is printed.
    #[arg(long)]
    word: String,
    /// Rounds that count, after one that warms up.
    #[arg(long)]
    rounds: usize,
    /// One more round, with exits by reason and phase.
    #[arg(long)]
    trace: bool,
    /// The name that the VMM's process calls itself, where the command starts it; the command is then left to end.
    #[arg(long)]
    vmm: Option<String>,
    /// The guest's memory: mappings of this size and more are not the VMM's own.
    #[arg(long)]
    guest_mib: u64,
    /// Looks at the VMM's own memory some time after the word, when nobody has asked it for anything.
    #[arg(long)]
    rest: bool,
    /// A body for the VMM's `PUT /snapshot/load`; its API's socket is `api.sock`.
    #[arg(long)]
    load: Option<String>,
    /// Ends with a status of its own when nothing is said for so many seconds. The exact lab's clock does not wait for
    /// files of the host's: none of them may be what the VMM waits for.
    #[arg(long, value_name = "SECONDS")]
    patience: Option<i64>,
    /// The VMM.
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

/// Longer than a VMM of ours waits before it gives back what its start needed.
const REST: Duration = Duration::from_millis(1500);

/// The name of the boot timer's mark.
pub const TIMER_MARK: &str = "boot timer";

/// A guest that says nothing more.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Silent(pub String);

impl Silent {
    /// The exit status that tells of one.
    pub const STATUS: i32 = 3;
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
    /// Of a guest that goes on from a snapshot, in a round with a trace: from the request to its first whole word.
    pub word_ms: Option<f64>,
}

/// A boot.
#[derive(Debug, Serialize, Deserialize)]
pub struct Round {
    /// From the start of the VMM's process to the word.
    pub ms: f64,
    /// What the VMM and its guest computed by then: time in which all wait is skipped by this lab's clock.
    pub busy_ms: f64,
    /// All exits of the guest.
    pub exits: u64,
    /// Resident memory of the VMM, the guest's not counted, at the word.
    pub own_kib: u64,
    /// The same some time later.
    pub rest_kib: Option<u64>,
    /// Resident memory of the guest.
    pub guest_kib: u64,
    /// What the guest printed; the time is its own.
    pub marks: Vec<Phase>,
}

/// A point on the way.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    let seen = watch(options);
    if let Err(error) = &seen
        && error.is::<Silent>()
    {
        eprintln!("{error:#}");
        process::exit(Silent::STATUS);
    }
    println!("{}", serde_json::to_string(&seen?)?);
    Ok(())
}

fn watch(options: &Options) -> Result<Seen> {
    round(options, None)?;
    let rounds = (0..options.rounds).map(|_| round(options, None)).collect::<Result<_>>()?;
    let Told { reasons, phases, word_ms } = if options.trace { traced(options)? } else { Told::default() };
    Ok(Seen { rounds, reasons, phases, word_ms })
}

fn traced(options: &Options) -> Result<Told> {
    let trace = Trace::begin(if options.load.is_some() { Traced::Load } else { Traced::Boot })?;
    // Nothing that comes after the word counts.
    let round = round(&Options { rest: false, ..options.clone() }, Some(&trace));
    let told = trace.end(&options.word)?;
    round.map(|_| told)
}

fn round(options: &Options, trace: Option<&Trace>) -> Result<Round> {
    let [program, words @ ..] = options.command.as_slice() else { bail!("no VMM") };
    let mut command = Command::new(program);
    // Its input stays open: a VMM may end with it.
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let begin = Instant::now();
    let mut child = command.spawn().with_context(|| format!("start {program}"))?;
    let loaded = options.load.as_deref().map_or(Ok(()), |body| load::load(body, trace));
    let result = loaded.and_then(|()| until_word(&mut child, &options.word, options.patience)).and_then(|marks| {
        let ms = begin.elapsed().as_secs_f64() * 1e3;
        let exits = counters::exits()?;
        let pid = options.vmm.as_deref().map_or_else(|| Ok(child.id()), counters::process)?;
        let busy_ms = counters::busy(pid)?.as_secs_f64() * 1e3;
        let (own_kib, guest_kib) = counters::memory(pid, options.guest_mib)?;
        let rest_kib = options.rest.then(|| at_rest(pid, options.guest_mib)).transpose()?;
        Ok(Round { ms, busy_ms, exits, own_kib, rest_kib, guest_kib, marks })
    });
    if options.vmm.is_none() || result.is_err() {
        child.kill()?;
    }
    child.wait()?;
    result
}

fn at_rest(pid: u32, guest_mib: u64) -> Result<u64> {
    thread::sleep(REST);
    Ok(counters::memory(pid, guest_mib)?.0)
}

/// Reads up to the word; what was marked by then.
fn until_word(child: &mut Child, word: &str, patience: Option<i64>) -> Result<Vec<Phase>> {
    let mut output = child.stdout.take().context("a pipe")?;
    let (mut seen, mut piece, mut marks) = (Vec::new(), [0; 4096], Vec::new());
    loop {
        if let Some(seconds) = patience
            && !has_more(&output, seconds)?
        {
            let said = String::from_utf8_lossy(&seen);
            bail!(Silent(format!("the guest stands still: it said nothing for {seconds} s after {said:?}")));
        }
        match output.read(&mut piece)? {
            0 => bail!("it ended without the word:\n{}", String::from_utf8_lossy(&seen)),
            len => seen.extend_from_slice(&piece[..len]),
        }
        let text = String::from_utf8_lossy(&seen);
        for line in text.lines().filter(is_mark).skip(marks.len()) {
            marks.extend(mark(line, counters::exits()?));
        }
        if text.contains(word) {
            return Ok(marks);
        }
    }
}

/// Waits for output, or its end.
fn has_more(output: &ChildStdout, seconds: i64) -> Result<bool> {
    let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let mut fds = [PollFd::new(output, PollFlags::IN)];
    Ok(retry_on_intr(|| poll(&mut fds, Some(&timeout)))? > 0)
}

/// What `stockade vmm --boot-timer` logs when the guest stores to the timer: microseconds since the machine was begun.
const BOOT_TIMER: &str = "Guest-boot-time = ";

fn is_mark(line: &&str) -> bool {
    line.starts_with("mark ") || line.contains(BOOT_TIMER)
}

/// A whole line `mark NAME US.`, whose full stop is its end; or the boot timer's.
fn mark(line: &str, exits: u64) -> Option<Phase> {
    if let Some((_, told)) = line.split_once(BOOT_TIMER) {
        let (us, _) = told.split_once(" us ")?;
        return Some(Phase { name: TIMER_MARK.into(), ms: us.trim().parse::<f64>().ok()? / 1e3, exits });
    }
    let (name, us) = line.strip_prefix("mark ")?.strip_suffix('.')?.rsplit_once(' ')?;
    Some(Phase { name: name.to_owned(), ms: us.parse::<f64>().ok()? / 1e3, exits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_silent_when_its_vmm_lives_on() {
        let ended = |script: &str, patience: i64| {
            let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().expect("sh");
            let result = until_word(&mut child, "alive", Some(patience));
            child.kill().expect("kill");
            child.wait().expect("wait");
            result.map(drop).map_err(|error| error.is::<Silent>())
        };
        assert_eq!(ended("echo dead; exec sleep 100", 1), Err(true));
        assert_eq!(ended("echo dead", 100), Err(false));
        assert_eq!(ended("echo dead; sleep 0.2; echo alive; exec sleep 100", 100), Ok(()));
    }

    #[test]
    fn only_whole_marks_count() {
        let check = |line: &str, expected: Option<(&str, f64)>| {
            let found = mark(line, 7).map(|phase| (phase.name, phase.ms));
            assert_eq!(found, expected.map(|(name, ms)| (name.to_owned(), ms)), "{line}");
        };
        check("mark disk, read 1500.", Some(("disk, read", 1.5)));
        check("mark disk, read 15", None);
        check("mark ", None);
        check("1970 [main] Guest-boot-time =  74100 us 74 ms,  90000 CPU us", Some((TIMER_MARK, 74.1)));
        check("1970 [main] Guest-boot-time =  7", None);
    }
}
