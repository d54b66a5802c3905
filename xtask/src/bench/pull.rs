//! From nothing to the first output of an image of about 200 MB in a registry on loopback.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use stockade_tests::{Containerd, Registry, Scratch};

use super::Effort;
use super::measure::{Summary, milliseconds};
use super::report::{Report, Row};
use crate::sh;

const WARM_UP: usize = 1;

/// What one pull and run cost.
struct Cost {
    milliseconds: f64,
    written_mb: f64,
    kept_mb: f64,
}

/// `stockade run` of an absent image beside `ctr image pull` and `ctr run`, both with empty stores.
pub fn run(effort: &Effort) -> Result<Report> {
    let registry = Registry::start();
    let image = registry.reference("debian:bookworm");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..WARM_UP + effort.repeat(9) {
        ours.push(by_stockade(&image)?);
        theirs.push(by_containerd(&image)?);
    }
    let rows = [rows("stockade", &ours[WARM_UP..]), rows("containerd", &theirs[WARM_UP..])].concat();
    let report = Report::of_rows("pull and first output of a Debian image from a loopback registry", "ms or MB", rows);
    let same = |what: &str| (format!("stockade: {what}"), format!("containerd: {what}"));
    let compare = |report: Report, what: &str, goal| {
        let (ours, theirs) = same(what);
        report.compare(&ours, &theirs, goal)
    };
    let report = compare(report, "pull and run, ms", Some(0.5));
    Ok(compare(compare(report, "written, MB", None), "kept on disk, MB", None))
}

fn rows(name: &str, costs: &[Cost]) -> Vec<Row> {
    let row = |what: &str, value: fn(&Cost) -> f64| Row {
        name: format!("{name}: {what}"),
        summary: Summary::of(costs.iter().map(value).collect()),
    };
    vec![
        row("pull and run, ms", |cost| cost.milliseconds),
        row("written, MB", |cost| cost.written_mb),
        row("kept on disk, MB", |cost| cost.kept_mb),
    ]
}

fn by_stockade(image: &str) -> Result<Cost> {
    let scratch = Scratch::new();
    let before = written_by("self")?;
    let milliseconds = milliseconds(|| {
        scratch.stockade(&["run", "--rm", "--pull", "always", image, "cat", "/etc/debian_version"]).ok();
        Ok(())
    })?;
    let written_mb = written_by("self")? - before;
    Ok(Cost { milliseconds, written_mb, kept_mb: kept(&scratch.root())? })
}

fn by_containerd(image: &str) -> Result<Cost> {
    let scratch = Scratch::new();
    let containerd = Containerd::start(Path::new("runc"));
    let daemon = containerd.pid().to_string();
    let before = written_by("self")? + written_by(&daemon)?;
    let kept_before = kept(&containerd.root())?;
    let milliseconds = milliseconds(|| {
        containerd.ctr(&["image", "pull", "--plain-http", image]).ok();
        containerd.ctr(&["run", "--rm", image, &scratch.id("pull"), "cat", "/etc/debian_version"]).ok();
        Ok(())
    })?;
    let written_mb = written_by("self")? + written_by(&daemon)? - before;
    Ok(Cost { milliseconds, written_mb, kept_mb: kept(&containerd.root())? - kept_before })
}

/// Megabytes that a process and its ended, awaited children caused to be written to disk (proc_pid_io(5),
/// `write_bytes`).
fn written_by(pid: &str) -> Result<f64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("no write_bytes")?;
    Ok(bytes.parse::<f64>()? / 1e6)
}

fn kept(dir: &Path) -> Result<f64> {
    let text = sh::output(sh::cmd("du", ["--summarize", "--block-size=1"]).arg(dir))?;
    let bytes = text.split('\t').next().context("du prints a size")?;
    Ok(bytes.parse::<f64>()? / 1e6)
}
