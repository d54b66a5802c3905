//! /proc/PID/sched and schedstat. The host schedules: only what it tells is shown.

use alloc::vec::Vec;

use super::{PidSubject, settings};
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};
use crate::task::Counts;

/// Where values begin.
const WIDTH: usize = 45;

/// /proc/PID/sched
pub(super) fn sched(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let (process, task) = (subject.process()?, subject.task()?);
    let mut text = Text::new();
    text.bytes(&settings::name(&process, Some(&task)));
    writeln!(text, " ({}, #threads: {})", subject.id()?, process.task_count());
    writeln!(text, "{:-<67}", "");
    let used = task.cpu_time().total();
    let scheduling = task.settings.lock().scheduling;
    let milliseconds = alloc::format!("{}.{:06}", used.as_millis(), used.subsec_nanos() % 1_000_000);
    let priority =
        if scheduling.is_realtime() { 99 - i64::from(scheduling.priority) } else { 120 + i64::from(scheduling.nice) };
    writeln!(text, "{:<WIDTH$}:{milliseconds:>21}", "se.sum_exec_runtime");
    let Counts { voluntary_switches: own, involuntary_switches: forced, .. } = task.counts();
    for (name, count) in
        [("nr_switches", own + forced), ("nr_voluntary_switches", own), ("nr_involuntary_switches", forced)]
    {
        writeln!(text, "{name:<WIDTH$}:{count:>21}");
    }
    writeln!(text, "{:<WIDTH$}:{:>21}", "policy", scheduling.policy);
    writeln!(text, "{:<WIDTH$}:{priority:>21}", "prio");
    text.finish()
}

/// /proc/PID/schedstat: time on a CPU, time waiting for one, turns.
pub(super) fn schedstat(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    match subject.task() {
        Ok(task) => writeln!(text, "{} {} 0", task.cpu_total().as_nanos(), task.delay().as_nanos()),
        Err(_) => writeln!(text, "0 0 0"),
    }
    text.finish()
}
