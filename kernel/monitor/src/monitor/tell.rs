//! What the kernel tells of a container: its processes and what they use.

use std::collections::BTreeMap;
use std::time::Duration;

use stockade_kernel::Kernel;
use stockade_kernel::fs::{ProcessReport, ThreadReport};
use stockade_kernel::platform::HostClock;
use stockade_kernel::task::Namespaces;
use stockade_sandbox::Stats;
use stockade_sandbox::protocol::{ProcessEntry, ThreadEntry};

/// What a container calls its users and groups.
#[derive(Debug, Default)]
pub(super) struct Names {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Names {
    /// From the text of passwd(5) and group(5); the first name of a number counts.
    pub(super) fn new(users: &str, groups: &str) -> Self {
        let read = |text: &str| text.lines().rev().filter_map(named).collect();
        Self { users: read(users), groups: read(groups) }
    }

    fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_default()
    }
}

/// Number and name of a line of either.
fn named(line: &str) -> Option<(u32, String)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX)?;
    Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
}

/// Longer names than useradd(8) makes are an attack on terminals.
const NAME_BYTES_MAX: usize = 32;

/// A container's processes by rising id.
pub(super) fn processes(kernel: &Kernel, namespaces: &Namespaces, names: &Names) -> Vec<ProcessEntry> {
    let now = kernel.machine().now(HostClock::Boottime);
    let all = namespaces.pids.processes();
    all.iter().filter_map(|process| ProcessReport::of(process).ok()).map(|report| entry(report, names, now)).collect()
}

fn entry(report: ProcessReport, names: &Names, now: Duration) -> ProcessEntry {
    ProcessEntry {
        pid: report.pid,
        parent: report.parent,
        group: report.group,
        session: report.session,
        uid: report.uid,
        state: report.state.to_string(),
        terminal: report.terminal,
        age_ms: milliseconds(now.saturating_sub(report.started)),
        cpu_ms: milliseconds(report.cpu.total()),
        threads: report.tasks as u64,
        size_bytes: report.size_bytes,
        resident_bytes: report.resident_bytes,
        name: report.name,
        command: report.command,
        effective_uid: report.effective_uid,
        effective_gid: report.effective_gid,
        user: names.user(report.effective_uid),
        real_user: names.user(report.uid),
        group_name: names.groups.get(&report.effective_gid).cloned().unwrap_or_default(),
        nice: report.nice,
        foreground: report.foreground,
        thread_entries: report.threads.into_iter().map(thread).collect(),
    }
}

fn thread(report: ThreadReport) -> ThreadEntry {
    let ThreadReport { id, state, cpu, name } = report;
    ThreadEntry { id, state: state.to_string(), cpu_ms: milliseconds(cpu.total()), name }
}

/// Whose memory counts as a container's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// All of its sandbox: files in memory belong to nobody else.
    Sandbox,
    /// That of its processes.
    Processes,
}

/// CPU time of a container's processes that are there, and of those that they waited for; memory.
pub(super) fn stats(kernel: &Kernel, namespaces: &Namespaces, counted: Counted) -> Stats {
    let mut stats = Stats::default();
    for process in namespaces.pids.processes() {
        let (own, children) = (process.cpu_time(), process.children_cpu_time());
        stats.cpu.user_ns += nanoseconds(own.user + children.user);
        stats.cpu.system_ns += nanoseconds(own.system + children.system);
    }
    stats.cpu.total_ns = stats.cpu.user_ns + stats.cpu.system_ns;
    stats.memory.usage = match counted {
        Counted::Sandbox => kernel.memory_used(),
        Counted::Processes => Kernel::private_bytes(&namespaces.pids.processes()),
    };
    let (tasks, limit) = namespaces.pids.usage();
    (stats.pids.current, stats.pids.limit) = (tasks as u64, limit.unwrap_or(0) as u64);
    stats
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_counts() {
        let names = Names::new("root:x:0:0\ntoor:x:0:0\nbad\n:x:5:\nwww:x:33:\nx:y:z\n", "staff:x:50:\n");
        assert_eq!((names.user(0), names.user(33), names.user(5)), ("root".into(), "www".into(), String::new()));
        assert_eq!(names.groups.get(&50).map(String::as_str), Some("staff"));
    }
}
