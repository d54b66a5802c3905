//! What idle sandboxes cost.

use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result};
use stockade_tests::{Scratch, rootfs};

use super::super::Effort;
use super::super::containers::{Oci, check_alive, pss_kib, reap_all, shared_bundle};
use super::super::report::{Report, Row};
use crate::sh;

const IMAGE: &str = "localhost/sleep:latest";
const FIRST: &str = "kernel: the first";
const LATER: &str = "kernel: each of 51 to 100";

/// Memory in use: of the processes, and as the whole machine sees it.
#[derive(Clone, Copy)]
struct Use {
    pss_kib: f64,
    available_kib: f64,
}

/// What one sandbox adds.
struct Cost {
    pss_kib: f64,
    machine_kib: f64,
}

/// The first sandbox, and sandboxes 51 to 100; 11 to 20 of runsc.
pub fn run(_: &Effort) -> Result<Report> {
    let mut rows = rows("kernel", "51 to 100", &by_stockade()?);
    rows.extend(self::rows("runsc", "11 to 20", &by_runsc()?));
    let title = "proportional set size of an idle sandbox, all its processes; and how MemAvailable shrinks";
    Ok(Report::of_rows(title, "KiB", rows).limit(FIRST, 8192.0).limit(LATER, 3072.0))
}

fn rows(who: &str, later: &str, [first, each]: &[Cost; 2]) -> Vec<Row> {
    let of = |what: String, cost: &Cost| {
        let machine = format!("{who}: {what}, MemAvailable");
        [Row::single(format!("{who}: {what}"), cost.pss_kib), Row::single(machine, cost.machine_kib)]
    };
    [of("the first".to_owned(), first), of(format!("each of {later}"), each)].into_iter().flatten().collect()
}

fn by_stockade() -> Result<[Cost; 2]> {
    let scratch = Scratch::new();
    scratch.stockade(&["image", "import", &rootfs("busybox").display().to_string(), IMAGE]).ok();
    let name = |index: usize| scratch.id(&format!("idle-{index}"));
    let costs = measure(50, 100, |index| {
        let options = ["run", "-d", "--isolation", "kernel", "--name", &name(index), IMAGE, "sleep", "1000000"];
        scratch.stockade(&options).ok();
        Ok(())
    })?;
    (0..100).for_each(|index| drop(scratch.stockade(&["rm", "--force", &name(index)]).ok()));
    reap_all();
    Ok(costs)
}

fn by_runsc() -> Result<[Cost; 2]> {
    let scratch = Scratch::new();
    let bundle = shared_bundle(&scratch, &["/bin/sleep", "1000000"]);
    let runsc = Oci::runsc(&scratch);
    // Of one length: runsc takes the beginning of an id for the id.
    let id = |index: usize| scratch.id(&format!("idle-{index:02}"));
    let costs = measure(10, 20, |index| runsc.run_detached(bundle.path(), &id(index)))?;
    (0..20).try_for_each(|index| sh::check(&mut runsc.verb(["kill", &id(index), "KILL"])))?;
    // `delete` waits until the sandbox, which is our child by now, is reaped.
    reap_all();
    (0..20).try_for_each(|index| runsc.delete(&id(index)))?;
    Ok(costs)
}

/// Starts `all` sandboxes: the cost of the first, and of each after the first `some`.
fn measure(some: usize, all: usize, start: impl Fn(usize) -> Result<()>) -> Result<[Cost; 2]> {
    let nothing = Use::now()?;
    start(0)?;
    let one = Use::at_rest()?;
    (1..some).try_for_each(&start)?;
    let before = Use::at_rest()?;
    (some..all).try_for_each(&start)?;
    check_alive(all)?;
    Ok([one.since(nothing, 1)?, Use::at_rest()?.since(before, all - some)?])
}

impl Use {
    fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).context("no MemAvailable")?;
        let available_kib = line.trim().trim_end_matches(" kB").parse()?;
        Ok(Self { pss_kib: pss_kib(), available_kib })
    }

    /// Once processes that wait have given back what only their start needed.
    fn at_rest() -> Result<Self> {
        thread::sleep(Duration::from_secs(3));
        Self::now()
    }

    fn since(self, before: Self, count: usize) -> Result<Cost> {
        let count = f64::from(u32::try_from(count)?);
        Ok(Cost {
            pss_kib: (self.pss_kib - before.pss_kib) / count,
            machine_kib: (before.available_kib - self.available_kib) / count,
        })
    }
}
