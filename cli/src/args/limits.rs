//! Limits: flags that `run`, `create` and `update` share.

use clap::Args;
use stockade_engine::options::{Resources, parse_cpus, parse_size};

use crate::parse::size_or_unlimited;

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitFlags {
    /// Memory, for example 512m
    #[arg(short, long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Memory and swap together; -1 for unlimited swap
    #[arg(long, value_name = "SIZE", value_parser = size_or_unlimited, allow_hyphen_values = true)]
    pub memory_swap: Option<i64>,
    /// What memory is pushed back to when the host runs short
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory_reservation: Option<u64>,
    /// How eagerly to swap, 0 to 100 (cgroup v1)
    #[arg(long, value_name = "N")]
    pub memory_swappiness: Option<u64>,
    /// Let processes wait for memory instead of killing them (cgroup v1)
    #[arg(long)]
    pub oom_kill_disable: bool,
    /// CPUs, for example 1.5
    #[arg(long, value_name = "N", value_parser = parse_cpus)]
    pub cpus: Option<u64>,
    /// CPU weight relative to other containers
    #[arg(short = 'c', long, value_name = "N")]
    pub cpu_shares: Option<u64>,
    /// Microseconds of a scheduling period
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<u64>,
    /// Microseconds of CPU time in each period
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// CPUs to run on, for example 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Processes and threads; -1 for unlimited
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Block I/O weight, 10 to 1000
    #[arg(long, value_name = "N")]
    pub blkio_weight: Option<u16>,
}

impl LimitFlags {
    pub fn resources(&self) -> Resources {
        Resources {
            memory_bytes: self.memory,
            memory_swap_bytes: self.memory_swap,
            memory_reservation_bytes: self.memory_reservation,
            memory_swappiness: self.memory_swappiness,
            oom_kill_disable: self.oom_kill_disable.then_some(true),
            nano_cpus: self.cpus,
            cpu_shares: self.cpu_shares,
            cpu_period_us: self.cpu_period,
            cpu_quota_us: self.cpu_quota,
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            pids_limit: self.pids_limit,
            blkio_weight: self.blkio_weight,
        }
    }
}
