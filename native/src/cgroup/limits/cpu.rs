//! Processor time and placement.

use std::path::Path;

use oci_spec::runtime::LinuxCpu;
use rustix::io::Errno;

use super::super::{CgroupError, Home, file};
use super::set;

pub(super) fn is_time_set(cpu: &LinuxCpu) -> bool {
    set(cpu.shares()).is_some()
        || set(cpu.quota()).is_some()
        || set(cpu.period()).is_some()
        || set(cpu.realtime_runtime()).is_some()
        || set(cpu.realtime_period()).is_some()
        || cpu.idle().is_some()
        || cpu.burst().is_some()
}

pub(super) fn is_placement_set(cpu: &LinuxCpu) -> bool {
    [cpu.cpus(), cpu.mems()].into_iter().flatten().any(|list| !list.is_empty())
}

pub(super) fn apply_placement(home: Home<'_>, cpu: &LinuxCpu) -> Result<(), CgroupError> {
    let (Home::V1(dir) | Home::V2(dir)) = home;
    for (name, list) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
        if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
            file::write(dir, name, list)?;
        }
    }
    Ok(())
}

pub(super) fn apply_time(home: Home<'_>, cpu: &LinuxCpu) -> Result<(), CgroupError> {
    match home {
        Home::V1(dir) => apply_v1(dir, cpu),
        Home::V2(dir) => apply_v2(dir, cpu),
    }
}

fn apply_v1(dir: &Path, cpu: &LinuxCpu) -> Result<(), CgroupError> {
    realtime_v1(dir, cpu)?;
    set(cpu.shares()).map_or(Ok(()), |shares| shares_v1(dir, shares))?;
    let quota = set(cpu.quota()).map(|quota| ("cpu.cfs_quota_us", quota.to_string()));
    let before = [
        set(cpu.period()).map(|period| ("cpu.cfs_period_us", period.to_string())),
        cpu.burst().map(|burst| ("cpu.cfs_burst_us", burst.to_string())),
    ];
    around_quota(dir, before, quota)?;
    cpu.idle().map_or(Ok(()), |idle| file::write(dir, "cpu.idle", &idle.to_string()))
}

type Setting = Option<(&'static str, String)>;

/// Period and burst go first. The kernel refuses them while the old quota does not fit; then they go again after it.
fn around_quota<const N: usize>(dir: &Path, before: [Setting; N], quota: Setting) -> Result<(), CgroupError> {
    let mut again = Vec::new();
    for (name, value) in before.into_iter().flatten() {
        match file::write(dir, name, &value) {
            Err(error) if error.is(Errno::INVAL) && quota.is_some() => again.push((name, value)),
            other => other?,
        }
    }
    quota.into_iter().chain(again).try_for_each(|(name, value)| file::write(dir, name, &value))
}

/// The kernel clamps shares without a word; we do not.
fn shares_v1(dir: &Path, shares: u64) -> Result<(), CgroupError> {
    file::write(dir, "cpu.shares", &shares.to_string())?;
    match file::number(dir, "cpu.shares")?.unwrap_or(shares) {
        actual if actual < shares => {
            Err(CgroupError::invalid("cpu.shares", format!("the maximum allowed cpu-shares is {actual}")))
        }
        actual if actual > shares => {
            Err(CgroupError::invalid("cpu.shares", format!("the minimum allowed cpu-shares is {actual}")))
        }
        _ => Ok(()),
    }
}

fn realtime_v1(dir: &Path, cpu: &LinuxCpu) -> Result<(), CgroupError> {
    let period = set(cpu.realtime_period()).map(|period| ("cpu.rt_period_us", period.to_string()));
    around_quota(dir, [period], set(cpu.realtime_runtime()).map(|runtime| ("cpu.rt_runtime_us", runtime.to_string())))
}

fn apply_v2(dir: &Path, cpu: &LinuxCpu) -> Result<(), CgroupError> {
    if set(cpu.realtime_runtime()).is_some() || set(cpu.realtime_period()).is_some() {
        return Err(CgroupError::invalid("cpu.realtimeRuntime", "cgroup v2 has no realtime limits"));
    }
    if let Some(idle) = cpu.idle() {
        file::write(dir, "cpu.idle", &idle.to_string())?;
    }
    if let Some(shares) = set(cpu.shares()) {
        file::write(dir, "cpu.weight", &weight(shares))?;
    }
    let burst = cpu.burst().map(|burst| ("cpu.max.burst", burst.to_string()));
    around_quota(dir, [burst], bandwidth_v2(dir, cpu)?.map(|value| ("cpu.max", value)))
}

/// Quota and period are one file; the half that is unset stays as it is.
fn bandwidth_v2(dir: &Path, cpu: &LinuxCpu) -> Result<Option<String>, CgroupError> {
    let quota = set(cpu.quota()).map(|quota| if quota > 0 { quota.to_string() } else { "max".to_owned() });
    match (quota, set(cpu.period())) {
        (quota, None) => Ok(quota),
        (Some(quota), Some(period)) => Ok(Some(format!("{quota} {period}"))),
        (None, Some(period)) => {
            let current = file::read(dir, "cpu.max")?;
            Ok(Some(format!("{} {period}", current.split_whitespace().next().unwrap_or("max"))))
        }
    }
}

/// Shares 2..=262144 to weight 1..=10000, with the defaults 1024 and 100 on one curve: the formula of runc and crun
/// since 2025 (github.com/opencontainers/cgroups, pull request 20).
pub fn weight(shares: u64) -> String {
    match shares {
        0..=2 => "1".to_owned(),
        262_144.. => "10000".to_owned(),
        // The range is far within what a double holds exactly.
        #[allow(clippy::cast_precision_loss)]
        shares => {
            let log = (shares as f64).log2();
            format!("{}", 10f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn weights() {
        let check = |shares, expected: &str| assert_eq!(weight(shares), expected, "{shares} shares");
        check(1, "1");
        check(2, "1");
        check(1024, "100");
        check(512, "59");
        check(2048, "174");
        check(262_144, "10000");
        check(u64::MAX, "10000");
    }
}
