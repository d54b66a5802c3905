//! `events`: runc's JSON lines, which container managers read as metrics.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;
use stockade_sandbox::{
    BlkioEntry, ContainerId, Error, HugetlbStats, OomWatch, PidsStats, Pressure, Result, Runtime, Stats, Status,
};

use super::grammar::Events;
use super::out;

/// One sample, or samples and out-of-memory events until the container is gone.
pub fn events(runtime: &dyn Runtime, args: &Events) -> Result<i32> {
    if !is_alive(runtime, &args.id)? {
        return Err(Error::Other(format!("container with id {} is not running", args.id)));
    }
    if args.stats {
        return print_stats(runtime, &args.id);
    }
    let mut watch = runtime.watch_oom(&args.id)?;
    follow(runtime, &args.id, args.interval, &mut *watch)
}

fn follow(runtime: &dyn Runtime, id: &ContainerId, interval: Duration, watch: &mut dyn OomWatch) -> Result<i32> {
    let mut next = Instant::now() + interval;
    loop {
        if wait_until(next, watch)? {
            match watch.take()? {
                Some(kills) => (0..kills).try_for_each(|_| print_oom(id))?,
                None => return Ok(0),
            }
        }
        if Instant::now() >= next {
            if !is_alive(runtime, id)? {
                return Ok(0);
            }
            print_stats(runtime, id)?;
            next += interval;
        }
    }
}

/// True when there may be news before `deadline`.
fn wait_until(deadline: Instant, watch: &dyn OomWatch) -> Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).map_err(|e| Error::Other(e.to_string()))?;
    match poll(&mut [PollFd::from_borrowed_fd(watch.fd(), PollFlags::IN | PollFlags::PRI)], Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(Error::os("wait for events", io::Error::from(error))),
    }
}

fn is_alive(runtime: &dyn Runtime, id: &ContainerId) -> Result<bool> {
    match runtime.state(id) {
        Ok(state) => Ok(state.status != Status::Stopped),
        Err(error) => Err(error),
    }
}

fn print_stats(runtime: &dyn Runtime, id: &ContainerId) -> Result<i32> {
    print(&Event { kind: "stats", id: id.as_str(), data: Some(Data::from(runtime.stats(id)?)) })
}

fn print_oom(id: &ContainerId) -> Result<()> {
    print(&Event { kind: "oom", id: id.as_str(), data: None }).map(drop)
}

fn print(event: &Event<'_>) -> Result<i32> {
    out::line(&serde_json::to_string(event).map_err(out::unserialisable)?)
}

#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

/// runc's `types.Stats`; containerd and Docker decode it by these names.
#[derive(Serialize)]
struct Data {
    cpu: Cpu,
    memory: Memory,
    pids: PidsStats,
    blkio: Blkio,
    hugetlb: BTreeMap<String, HugetlbStats>,
    intel_rdt: BTreeMap<String, String>,
    network_interfaces: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Cpu {
    usage: CpuUsage,
    throttling: Throttling,
    #[serde(rename = "psi", skip_serializing_if = "Option::is_none")]
    pressure: Option<Pressure>,
}

#[derive(Serialize)]
struct CpuUsage {
    total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu: Vec<u64>,
    kernel: u64,
    user: u64,
}

#[derive(Serialize)]
struct Throttling {
    periods: u64,
    #[serde(rename = "throttledPeriods")]
    throttled_periods: u64,
    #[serde(rename = "throttledTime")]
    throttled_time: u64,
}

#[derive(Serialize)]
struct Memory {
    cache: u64,
    usage: MemoryEntry,
    swap: MemoryEntry,
    kernel: MemoryEntry,
    raw: BTreeMap<String, u64>,
    #[serde(rename = "psi", skip_serializing_if = "Option::is_none")]
    pressure: Option<Pressure>,
}

#[derive(Serialize)]
struct MemoryEntry {
    limit: u64,
    usage: u64,
    max: u64,
    failcnt: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blkio {
    io_service_bytes_recursive: Vec<BlkioEntry>,
    io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(rename = "psi", skip_serializing_if = "Option::is_none")]
    pressure: Option<Pressure>,
}

impl From<Stats> for Data {
    fn from(stats: Stats) -> Self {
        let memory = stats.memory;
        let throttling = Throttling {
            periods: stats.cpu.periods,
            throttled_periods: stats.cpu.throttled_periods,
            throttled_time: stats.cpu.throttled_ns,
        };
        let usage = CpuUsage {
            total: stats.cpu.total_ns,
            percpu: stats.cpu.per_cpu_ns,
            kernel: stats.cpu.system_ns,
            user: stats.cpu.user_ns,
        };
        Self {
            cpu: Cpu { usage, throttling, pressure: stats.cpu.pressure },
            memory: Memory {
                cache: memory.cache,
                usage: entry(memory.limit, memory.usage, memory.max_usage, memory.failcnt),
                // runc's word for memory and swap together, on either version of control groups.
                swap: entry(
                    memory.limit.saturating_add(memory.swap_limit),
                    memory.usage.saturating_add(memory.swap_usage),
                    0,
                    0,
                ),
                kernel: entry(u64::MAX, memory.kernel_usage, 0, 0),
                raw: memory.raw,
                pressure: memory.pressure,
            },
            pids: stats.pids,
            blkio: Blkio {
                io_service_bytes_recursive: stats.blkio.service_bytes,
                io_serviced_recursive: stats.blkio.serviced,
                pressure: stats.blkio.pressure,
            },
            hugetlb: stats.hugetlb,
            intel_rdt: BTreeMap::new(),
            network_interfaces: None,
        }
    }
}

fn entry(limit: u64, usage: u64, max: u64, failcnt: u64) -> MemoryEntry {
    MemoryEntry { limit, usage, max, failcnt }
}
