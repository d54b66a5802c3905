//! What system calls cost.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::super::Effort;
use super::super::measure::Summary;
use super::super::report::{Report, Row};
use super::program::Stand;
use super::{KERNEL, NATIVE, RUNSC};

const TITLE: &str = "system calls and what is made of them";
const WHO: [&str; 3] = [NATIVE, KERNEL, RUNSC];
const BLOCKED_THREADS: &str = "1000";
/// Of whole runs of the program, each with its own medians.
const PASSES: usize = 2;
/// What the trap path itself costs here, by a process of the host that does nothing else.
const BARE: &str = "native: bare notification";
/// The same where the goals in microseconds come from (the prototypes' machine), to read them on a slower one.
const BARE_OF_GOALS_US: f64 = 2.1;

/// The most that something may cost.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Microseconds(f64),
    OfNative(f64),
}

const GOALS: &[(&str, Goal)] = &[
    ("getppid", Goal::Microseconds(2.5)),
    ("1-byte read", Goal::Microseconds(3.5)),
    ("stat", Goal::Microseconds(4.0)),
    ("open+close", Goal::Microseconds(8.0)),
    ("clock_gettime", Goal::OfNative(1.1)),
    ("pipe, processes", Goal::Microseconds(15.0)),
    ("pipe, threads", Goal::Microseconds(15.0)),
    ("futex, threads", Goal::OfNative(1.1)),
    ("fork+exit+wait", Goal::Microseconds(300.0)),
    ("fork+exec+wait", Goal::OfNative(2.0)),
    ("page fault", Goal::OfNative(1.1)),
    ("write 1 MiB", Goal::OfNative(2.0)),
    ("read 1 MiB", Goal::OfNative(2.0)),
    ("write 1 MiB, one call", Goal::OfNative(2.0)),
    ("read 1 MiB, one call", Goal::OfNative(2.0)),
];
const GOALS_BLOCKED: &[(&str, Goal)] = &[("getppid", Goal::Microseconds(3.0))];

const ONE_CALLER: &str = "kernel: 4000 calls, one caller";
const TWO_CALLERS: &str = "kernel: 4000 calls, two callers";

/// On all processors.
pub fn on_all_cpus(effort: &Effort) -> Result<Report> {
    let report = measure(TITLE, effort, &[])?;
    // Both callers' calls are counted: 1.8 times as many in the same time.
    Ok(with_goals(report, GOALS).compare(TWO_CALLERS, ONE_CALLER, Some(1.0 / 1.8)))
}

/// All contenders on the first processor alone.
pub fn on_one_cpu(effort: &Effort) -> Result<Report> {
    let all = sched_getaffinity(None)?;
    let mut first = CpuSet::new();
    first.set((0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap_or(0));
    sched_setaffinity(None, &first)?;
    let report = measure(&format!("{TITLE}, on one processor"), effort, &["--one-cpu"]);
    sched_setaffinity(None, &all)?;
    Ok(with_goals(report?, GOALS))
}

/// While 1,000 threads of the same process wait in a call.
pub fn blocked(effort: &Effort) -> Result<Report> {
    let title = format!("{TITLE}, beside {BLOCKED_THREADS} blocked threads");
    let report = measure(&title, effort, &["--blocked", BLOCKED_THREADS])?;
    Ok(with_goals(report, GOALS_BLOCKED))
}

/// Contenders take turns; the program itself repeats, and prints medians.
fn measure(title: &str, effort: &Effort, options: &[&str]) -> Result<Report> {
    let stand = Stand::new()?;
    let rounds = effort.repeat(9).to_string();
    let options = [&["--rounds", &rounds], options].concat();
    let mut bare = Vec::new();
    let mut values: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    let mut names = Vec::new();
    for pass in 0..PASSES {
        bare.extend(
            stand.run(NATIVE, &["--rounds", &rounds, "--notification"])?.into_iter().map(|line| line.median_us),
        );
        for turn in 0..WHO.len() {
            let who = (pass + turn) % WHO.len();
            for (index, line) in stand.run(WHO[who], &options)?.into_iter().enumerate() {
                if names.len() <= index {
                    names.push(line.what.clone());
                }
                if names[index] != line.what {
                    bail!("{} measured {:?} where others measured {:?}", WHO[who], line.what, names[index]);
                }
                values.entry((index, who)).or_default().push(line.median_us);
            }
        }
    }
    let name = |index: usize, who: usize| format!("{}: {}", WHO[who], names[index]);
    let row = |((index, who), values)| Row { name: name(index, who), summary: Summary::of(values) };
    let bare = Row { name: BARE.to_owned(), summary: Summary::of(bare) };
    let rows = std::iter::once(bare).chain(values.into_iter().map(row));
    Ok(Report::of_rows(title, "µs", rows.collect()).side_by_side())
}

fn with_goals(report: Report, goals: &[(&str, Goal)]) -> Report {
    goals.iter().fold(report, |report, (what, goal)| {
        let (ours, native) = (format!("{KERNEL}: {what}"), format!("{NATIVE}: {what}"));
        match goal {
            Goal::Microseconds(most) => report.limit(&ours, *most).compare(&ours, BARE, Some(most / BARE_OF_GOALS_US)),
            Goal::OfNative(most) => report.compare(&ours, &native, Some(*most)),
        }
    })
}
