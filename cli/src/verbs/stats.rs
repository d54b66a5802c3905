//! `stats`: live resource use.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use stockade_engine::{ContainerSummary, Engine, ListFilter, LookupError, QueryError, StatsSample};
use stockade_sandbox::BlkioEntry;

use super::context::Context;
use super::ps::everything;
use crate::args::StatsArgs;
use crate::format::{Format, Headings};
use crate::human;

const HEADINGS: Headings = &[
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
    ("MemOverhead", "MEM OVERHEAD"),
    ("CPUOverhead", "CPU OVERHEAD"),
];
const TABLE: &str =
    "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";
const REFRESH: Duration = Duration::from_secs(1);
/// Two samples give a rate; one print needs no longer than this.
const FIRST: Duration = Duration::from_millis(200);
/// Clears the terminal and goes to its corner.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// `stockade stats`.
pub fn stats(context: &Context, args: &StatsArgs) -> Result<u8> {
    let format = Format::parse(args.format.as_deref(), TABLE)?;
    let engine = context.engine()?;
    let mut last = samples(&engine, args)?;
    let mut pause = FIRST;
    loop {
        thread::sleep(pause);
        let now = samples(&engine, args)?;
        let rows: Vec<Value> = now.iter().map(|watched| watched.row(&last, args.no_trunc)).collect();
        let mut text = format.render(HEADINGS, &rows)?;
        if !args.no_stream && io::stdout().is_terminal() {
            text.insert_str(0, CLEAR);
        }
        io::stdout().write_all(text.as_bytes())?;
        if args.no_stream {
            return Ok(0);
        }
        (last, pause) = (now, REFRESH);
    }
}

/// One container; without a sample while it does not run.
struct Watched {
    asked: String,
    id: String,
    name: String,
    sample: Option<StatsSample>,
}

fn samples(engine: &Engine, args: &StatsArgs) -> Result<Vec<Watched>> {
    if !args.names.is_empty() {
        return args.names.iter().map(|name| named(engine, name)).collect();
    }
    let filter = if args.all { everything() } else { ListFilter::default() };
    Ok(engine.list(&filter)?.into_iter().filter_map(|container| listed(engine, container)).collect())
}

fn named(engine: &Engine, name: &str) -> Result<Watched> {
    let id = engine.resolve(name)?;
    let sample = sample(engine, &id)?;
    let shown = sample.as_ref().map_or(name, |sample| &sample.name).to_owned();
    Ok(Watched { asked: name.to_owned(), id, name: shown, sample })
}

/// A container that went away since it was listed is left out.
fn listed(engine: &Engine, container: ContainerSummary) -> Option<Watched> {
    let ContainerSummary { id, name, .. } = container;
    let sample = sample(engine, &id).ok()?;
    Some(Watched { asked: id.clone(), id, name, sample })
}

fn sample(engine: &Engine, id: &str) -> Result<Option<StatsSample>> {
    match engine.stats(id) {
        Ok(sample) => Ok(Some(sample)),
        Err(QueryError::NotRunning(_)) => Ok(None),
        Err(QueryError::Lookup(error @ LookupError::NotFound(_))) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}

impl Watched {
    fn row(&self, last: &[Self], no_trunc: bool) -> Value {
        let id = if no_trunc { &self.id } else { human::short_id(&self.id) };
        let Some(sample) = &self.sample else {
            return json!({"Container": self.asked, "ID": id, "Name": self.name, "CPUPerc": "--",
                "MemUsage": "-- / --", "MemPerc": "--", "NetIO": "--", "BlockIO": "--", "PIDs": "--",
                "MemOverhead": "--", "CPUOverhead": "--"});
        };
        let before = last.iter().find(|other| other.id == self.id).and_then(|other| other.sample.as_ref());
        let used = memory_used(sample);
        let (received, sent) =
            sample.networks.iter().fold((0, 0), |(rx, tx), network| (rx + network.rx_bytes, tx + network.tx_bytes));
        let entries = &sample.stats.blkio.service_bytes;
        json!({
            "Container": self.asked,
            "ID": id,
            "Name": self.name,
            "CPUPerc": percent(before.map_or(0.0, |before| cpu_share(before, sample))),
            "MemUsage": format!("{} / {}", human::binary_size(used), human::binary_size(sample.memory_limit_bytes)),
            "MemPerc": percent(ratio(used, sample.memory_limit_bytes)),
            "NetIO": pair(received, sent),
            "BlockIO": pair(bytes(entries, "Read"), bytes(entries, "Write")),
            "MemOverhead": human::binary_size(sample.stats.memory.overhead),
            "CPUOverhead": percent(before.map_or(0.0, |before| overhead_share(before, sample))),
            "PIDs": sample.stats.pids.current.to_string(),
        })
    }
}

/// In and out.
fn pair(read: u64, written: u64) -> String {
    format!("{} / {}", human::short_size(read), human::short_size(written))
}

/// Docker's figure: without the page cache that the kernel would drop first.
fn memory_used(sample: &StatsSample) -> u64 {
    let memory = &sample.stats.memory;
    let inactive = ["total_inactive_file", "inactive_file"].iter().find_map(|key| memory.raw.get(*key));
    memory.usage.checked_sub(inactive.copied().unwrap_or(0)).unwrap_or(memory.usage)
}

/// The share of one CPU used between two samples.
fn cpu_share(before: &StatsSample, now: &StatsSample) -> f64 {
    let used = now.stats.cpu.total_ns.saturating_sub(before.stats.cpu.total_ns);
    ratio(used, now.read_ns.saturating_sub(before.read_ns))
}

/// The same for what the class needed for itself.
fn overhead_share(before: &StatsSample, now: &StatsSample) -> f64 {
    let used = now.stats.cpu.overhead_ns.saturating_sub(before.stats.cpu.overhead_ns);
    ratio(used, now.read_ns.saturating_sub(before.read_ns))
}

fn ratio(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "printed with two decimals")]
    let ratio = part as f64 / whole.max(1) as f64;
    ratio
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

fn bytes(entries: &[BlkioEntry], op: &str) -> u64 {
    entries.iter().filter(|entry| entry.op.eq_ignore_ascii_case(op)).map(|entry| entry.value).sum()
}
