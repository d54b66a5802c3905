//! Statistics: what the guest counts for its container, and what the host counts for the whole machine.

use stockade_sandbox::Stats;

/// One sample out of both. The guest's words are believed as far as the host's numbers allow.
pub(super) fn join(host: Stats, inside: Stats) -> Stats {
    let mut stats = host;
    let used = inside.cpu.total_ns.min(stats.cpu.total_ns);
    stats.cpu.overhead_ns = stats.cpu.total_ns - used;
    let used = inside.memory.usage.min(stats.memory.usage);
    stats.memory.overhead = stats.memory.usage - used;
    stats.memory.usage = used;
    stats.memory.max_usage = inside.memory.max_usage.min(stats.memory.max_usage).max(used);
    stats.memory.limit = inside.memory.limit;
    stats.memory.swap_limit = inside.memory.swap_limit;
    stats.memory.cache = inside.memory.cache.min(used);
    stats.memory.failcnt = inside.memory.failcnt;
    stats.memory.oom_kills = inside.memory.oom_kills;
    stats.memory.raw = inside.memory.raw;
    stats.pids = inside.pids;
    stats
}

/// Of a container that joined another one's sandbox: what the machine costs is its owner's.
pub(super) fn of_member(host: Stats, inside: Stats) -> Stats {
    let mut stats = join(host, inside);
    stats.cpu.total_ns -= stats.cpu.overhead_ns;
    (stats.cpu.overhead_ns, stats.memory.overhead) = (0, 0);
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu: u64, memory: u64, pids: u64) -> Stats {
        let mut stats = Stats::default();
        (stats.cpu.total_ns, stats.memory.usage, stats.pids.current) = (cpu, memory, pids);
        stats
    }

    #[test]
    fn what_the_container_did_not_use_is_overhead() {
        let stats = join(sample(50, 100, 20), sample(30, 70, 3));
        assert_eq!((stats.cpu.total_ns, stats.cpu.overhead_ns), (50, 20));
        assert_eq!((stats.memory.usage, stats.memory.overhead, stats.pids.current), (70, 30, 3));
    }

    #[test]
    fn a_member_has_no_overhead() {
        let stats = of_member(sample(50, 100, 20), sample(30, 70, 3));
        assert_eq!((stats.cpu.total_ns, stats.cpu.overhead_ns), (30, 0));
        assert_eq!((stats.memory.usage, stats.memory.overhead, stats.pids.current), (70, 0, 3));
    }

    #[test]
    fn a_guest_that_exaggerates_is_not_believed() {
        let stats = join(sample(50, 100, 20), sample(u64::MAX, u64::MAX, 3));
        assert_eq!((stats.cpu.total_ns, stats.cpu.overhead_ns), (50, 0));
        assert_eq!((stats.memory.usage, stats.memory.overhead), (100, 0));
    }
}
