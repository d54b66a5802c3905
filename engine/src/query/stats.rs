//! `stats`.

use std::fs;

use rustix::time::{ClockId, clock_gettime};
use stockade_sandbox::OWN_INTERFACES;

use super::{NetworkStats, QueryError, StatsSample};
use crate::Engine;

impl Engine {
    /// One sample of resource use.
    pub fn stats(&self, name: &str) -> Result<StatsSample, QueryError> {
        let container = self.find(name)?;
        let state = self.peek(&container)?;
        if !state.is_live() {
            return Err(QueryError::NotRunning(container.id));
        }
        let record = container.record()?;
        let stats = self.backend.runtime(record.isolation, &self.directories)?.stats(&container.sandbox_id()?)?;
        let memory_host_bytes = memory_host_bytes();
        Ok(StatsSample {
            read_ns: monotonic_ns(),
            cpus_online: std::thread::available_parallelism()
                .map_or(1, |count| u32::try_from(count.get()).unwrap_or(1)),
            memory_limit_bytes: if stats.memory.limit == 0 {
                memory_host_bytes
            } else {
                stats.memory.limit.min(memory_host_bytes)
            },
            networks: networks(state.pid),
            stats,
            id: container.id,
            name: record.name,
        })
    }
}

/// Monotonic time in nanoseconds.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// The host's memory.
fn memory_host_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// The interfaces of a process's network namespace, without the loopback and what is there for the class's sake.
fn networks(pid: u32) -> Vec<NetworkStats> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let is_own = |name: &str| name != "lo" && !name.starts_with(OWN_INTERFACES);
    text.lines().skip(2).filter_map(network).filter(|network| is_own(&network.interface)).collect()
}

/// One line of /proc/net/dev (proc_pid_net(5)).
fn network(line: &str) -> Option<NetworkStats> {
    let (interface, counters) = line.split_once(':')?;
    let counters: Vec<u64> = counters.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    Some(NetworkStats {
        interface: interface.trim().to_owned(),
        rx_bytes: *counters.first()?,
        rx_packets: *counters.get(1)?,
        tx_bytes: *counters.get(8)?,
        tx_packets: *counters.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_lines() {
        let found = network("  eth0: 10 2 0 0 0 0 0 0 30 4 0 0 0 0 0 0").unwrap();
        assert_eq!((found.interface.as_str(), found.rx_bytes, found.tx_bytes), ("eth0", 10, 30));
        assert_eq!((found.rx_packets, found.tx_packets), (2, 4));
        assert!(network("nonsense").is_none());
    }
}
