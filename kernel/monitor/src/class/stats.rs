//! Statistics: what the kernel counts, and what the host counts for kernel and applications together.

use stockade_sandbox::Stats;

/// One sample out of three: the host's for all, the kernel's, and the host's for the applications' part.
pub(super) fn join(host: Stats, inside: &Stats, applications: Stats) -> Stats {
    let mut stats = host;
    stats.cpu.overhead_ns = stats.cpu.total_ns.saturating_sub(inside.cpu.total_ns);
    let used = inside.memory.usage.min(stats.memory.usage);
    stats.memory.overhead = stats.memory.usage - used;
    stats.memory.usage = used;
    stats.memory.max_usage = stats.memory.max_usage.saturating_sub(stats.memory.overhead).max(used);
    // The page cache is the layers', which all containers share.
    stats.memory.raw = applications.memory.raw;
    stats.memory.cache = applications.memory.cache;
    stats.memory.limit = applications.memory.limit;
    stats.memory.swap_limit = applications.memory.swap_limit;
    stats.memory.failcnt = applications.memory.failcnt;
    stats.memory.oom_kills = applications.memory.oom_kills;
    stats.pids = inside.pids.clone();
    stats
}

/// Of a container that joined another one's sandbox: the host counts its proxies alone.
pub(super) fn of_member(host: Stats, inside: Stats) -> Stats {
    let mut stats = host;
    stats.cpu = inside.cpu;
    stats.memory = inside.memory;
    stats.memory.limit = u64::MAX;
    stats.pids = inside.pids;
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_applications_did_not_use_is_overhead() {
        let sample = |cpu, memory, pids| {
            let mut stats = Stats::default();
            (stats.cpu.total_ns, stats.memory.usage, stats.pids.current) = (cpu, memory, pids);
            stats
        };
        let mut applications = sample(0, 60, 9);
        applications.memory.limit = 1000;
        let stats = join(sample(50, 100, 20), &sample(30, 70, 3), applications);
        assert_eq!((stats.cpu.total_ns, stats.cpu.overhead_ns), (50, 20));
        assert_eq!((stats.memory.usage, stats.memory.overhead, stats.memory.limit), (70, 30, 1000));
        assert_eq!(stats.pids.current, 3);
    }
}
