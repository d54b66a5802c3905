//! What the kernel tells of a container: its processes and what they use.

use std::time::Duration;

use stockade_kernel::Kernel;
use stockade_kernel::fs::ProcessReport;
use stockade_kernel::platform::HostClock;
use stockade_kernel::task::Namespaces;
use stockade_sandbox::Stats;
use stockade_sandbox::protocol::ProcessEntry;

/// A container's processes by rising id.
pub(super) fn processes(kernel: &Kernel, namespaces: &Namespaces) -> Vec<ProcessEntry> {
    let now = kernel.machine().now(HostClock::Monotonic);
    let all = namespaces.pids.processes();
    all.iter().filter_map(|process| ProcessReport::of(process).ok()).map(|report| entry(report, now)).collect()
}

fn entry(report: ProcessReport, now: Duration) -> ProcessEntry {
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
    }
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
