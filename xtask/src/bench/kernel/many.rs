//! Many idle sandboxes at once: how fast they start, what they do while nothing happens, and how fast they go.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use stockade_tests::{Scratch, leaks, rootfs};

use super::super::Effort;
use super::super::containers::{check_alive, reap_all};
use super::super::measure::to_milliseconds;
use super::super::report::{Report, Row};

const IMAGE: &str = "localhost/sleep:latest";
const IDLE: &str = "processor time of all in 10 s of idleness";
const WATCHED: Duration = Duration::from_secs(10);
/// USER_HZ, which never changed on x86.
const TICK_MS: u32 = 10;

/// 1,000 sandboxes.
pub fn run(effort: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    scratch.stockade(&["image", "import", &rootfs("busybox").display().to_string(), IMAGE]).ok();
    let count = effort.repeat(1000);
    let name = |index: usize| scratch.id(&format!("many-{index}"));
    let start = |index| {
        let options = ["run", "-d", "--isolation", "kernel", "--name", &name(index), IMAGE, "sleep", "1000000"];
        scratch.stockade(&options).ok();
    };
    let started = each(count, start)?;
    check_alive(count)?;
    sleep(Duration::from_secs(2));
    let before = processor_ms();
    sleep(WATCHED);
    let idle = processor_ms() - before;
    let deleted = each(count, |index| drop(scratch.stockade(&["rm", "--force", &name(index)]).ok()))?;
    reap_all();
    let rows = vec![Row::single("start, each", started), Row::single("delete, each", deleted), Row::single(IDLE, idle)];
    let title = format!("{count} idle sandboxes at once");
    // 0.0 % of 10 s, which the host counts in ticks.
    Ok(Report::of_rows(&title, "ms", rows).limit(IDLE, f64::from(TICK_MS)))
}

/// Milliseconds that each of `count` takes, one after the other.
fn each(count: usize, action: impl Fn(usize)) -> Result<f64> {
    let begin = Instant::now();
    (0..count).for_each(action);
    Ok(to_milliseconds(begin.elapsed()) / f64::from(u32::try_from(count)?))
}

/// Processor time of everything that descends from us.
fn processor_ms() -> f64 {
    let ticks: u32 = leaks::descendants().iter().filter_map(|pid| ticks_of(*pid)).sum();
    f64::from(ticks * TICK_MS)
}

/// User and system time (fields 14 and 15 of proc_pid_stat(5)).
fn ticks_of(pid: i32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    let times = fields.split_ascii_whitespace().skip(11).take(2);
    Some(times.filter_map(|field| field.parse::<u32>().ok()).sum())
}
