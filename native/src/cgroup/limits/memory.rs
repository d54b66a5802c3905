//! Memory and swap.

use std::path::Path;

use oci_spec::runtime::LinuxMemory;
use rustix::io::Errno;

use super::super::file::{self, Presence};
use super::super::{CgroupError, Home};
use super::set;

const V1_LIMIT: &str = "memory.limit_in_bytes";
/// Memory and swap together.
const V1_BOTH: &str = "memory.memsw.limit_in_bytes";
const UNLIMITED: i64 = -1;

pub(in super::super) fn is_set(memory: &LinuxMemory) -> bool {
    [memory.limit(), memory.reservation(), memory.swap()].into_iter().any(|value| set(value).is_some())
        || memory.swappiness().is_some()
        || memory.disable_oom_killer() == Some(true)
}

pub(super) fn apply(home: Home<'_>, memory: &LinuxMemory) -> Result<(), CgroupError> {
    if set(memory.kernel()).is_some() || set(memory.kernel_tcp()).is_some() {
        tracing::warn!("kernel memory limits are ignored: Linux dropped them in 5.16");
    }
    match home {
        Home::V1(dir) => apply_v1(dir, memory),
        Home::V2(dir) => apply_v2(dir, memory),
    }
}

fn apply_v1(dir: &Path, memory: &LinuxMemory) -> Result<(), CgroupError> {
    limits_v1(dir, set(memory.limit()), set(memory.swap()))?;
    if let Some(reservation) = set(memory.reservation()) {
        file::write(dir, "memory.soft_limit_in_bytes", &reservation.to_string())?;
    }
    if memory.disable_oom_killer() == Some(true) {
        file::write(dir, "memory.oom_control", "1")?;
    }
    memory.swappiness().map_or(Ok(()), |value| swappiness_v1(dir, value))
}

/// The kernel keeps memory <= memory + swap at every moment, so the order of the writes depends on the direction.
fn limits_v1(dir: &Path, limit: Option<i64>, both: Option<i64>) -> Result<(), CgroupError> {
    match (limit, both) {
        (Some(UNLIMITED), None) => {
            file::write_if_present(dir, V1_BOTH, "-1")?;
            limit_v1(dir, UNLIMITED)
        }
        (Some(limit), Some(both)) if both_first(dir, both)? => both_v1(dir, both).and_then(|()| limit_v1(dir, limit)),
        (limit, both) => {
            limit.map_or(Ok(()), |limit| limit_v1(dir, limit))?;
            both.map_or(Ok(()), |both| both_v1(dir, both))
        }
    }
}

fn both_first(dir: &Path, both: i64) -> Result<bool, CgroupError> {
    let current = file::number(dir, V1_LIMIT)?.unwrap_or(u64::MAX);
    Ok(u64::try_from(both).map_or(true, |both| current < both))
}

fn limit_v1(dir: &Path, limit: i64) -> Result<(), CgroupError> {
    match file::write(dir, V1_LIMIT, &limit.to_string()) {
        Err(error) if error.is(Errno::BUSY) => {
            let usage = file::number(dir, "memory.usage_in_bytes")?.unwrap_or_default();
            let peak = file::number(dir, "memory.max_usage_in_bytes")?.unwrap_or_default();
            let reason = format!("unable to set memory limit to {limit} (current usage: {usage}, peak usage: {peak})");
            Err(CgroupError::invalid("memory.limit", reason))
        }
        other => other,
    }
}

fn both_v1(dir: &Path, both: i64) -> Result<(), CgroupError> {
    match file::write_if_present(dir, V1_BOTH, &both.to_string())? {
        Presence::Present => Ok(()),
        Presence::Absent => without_accounting(),
    }
}

/// A kernel that cannot swap (CONFIG_SWAP) keeps every limit of it.
fn without_accounting() -> Result<(), CgroupError> {
    if !Path::new("/proc/swaps").exists() {
        return Ok(());
    }
    Err(CgroupError::Unsupported {
        what: "limit swap".to_owned(),
        why: "this kernel does not account for swap: boot it with swapaccount=1".to_owned(),
    })
}

/// Docker and Podman say "unset" by the largest number.
fn swappiness_v1(dir: &Path, value: u64) -> Result<(), CgroupError> {
    match value {
        u64::MAX => Ok(()),
        0..=100 => file::write(dir, "memory.swappiness", &value.to_string()),
        _ => Err(CgroupError::invalid("memory.swappiness", format!("{value} is not in 0..=100"))),
    }
}

fn apply_v2(dir: &Path, memory: &LinuxMemory) -> Result<(), CgroupError> {
    let (limit, both) = (set(memory.limit()), set(memory.swap()));
    if memory.check_before_update() == Some(true) {
        refuse_below_usage(dir, limit, both)?;
    }
    if let Some(swap) = swap_v2(dir, limit, both)? {
        write_swap_v2(dir, &swap)?;
    }
    if let Some(limit) = limit {
        file::write(dir, "memory.max", &text_v2(limit))?;
    }
    set(memory.reservation()).map_or(Ok(()), |value| file::write(dir, "memory.low", &text_v2(value)))
}

fn refuse_below_usage(dir: &Path, limit: Option<i64>, both: Option<i64>) -> Result<(), CgroupError> {
    let Some(usage) = file::number(dir, "memory.current")? else { return Ok(()) };
    for (field, value) in [("memory.swap", both), ("memory.limit", limit)] {
        if let Some(value) = value.filter(|value| *value > 0 && value.unsigned_abs() <= usage) {
            return Err(CgroupError::invalid(field, format!("rejecting limit {value} <= usage {usage}")));
        }
    }
    Ok(())
}

fn text_v2(value: i64) -> String {
    if value == UNLIMITED { "max".to_owned() } else { value.to_string() }
}

/// The spec counts memory and swap together, v2 counts swap alone.
fn swap_v2(dir: &Path, limit: Option<i64>, both: Option<i64>) -> Result<Option<String>, CgroupError> {
    let Some(both) = both else { return Ok(limit.filter(|limit| *limit == UNLIMITED).map(|_| "max".to_owned())) };
    let limit = match limit {
        Some(limit) => limit,
        None => current_v2(dir)?,
    };
    match (both, limit) {
        (UNLIMITED, _) => Ok(Some("max".to_owned())),
        (both, UNLIMITED) => Ok(Some(both.to_string())),
        (both, limit) if both < limit => Err(CgroupError::invalid(
            "memory.swap",
            format!("memory+swap limit {both} is below the memory limit {limit}"),
        )),
        (both, limit) => Ok(Some((both - limit).to_string())),
    }
}

fn current_v2(dir: &Path) -> Result<i64, CgroupError> {
    Ok(file::number(dir, "memory.max")?.and_then(|value| i64::try_from(value).ok()).unwrap_or(UNLIMITED))
}

fn write_swap_v2(dir: &Path, swap: &str) -> Result<(), CgroupError> {
    match file::write_if_present(dir, "memory.swap.max", swap)? {
        Presence::Absent if swap != "max" && swap != "0" => without_accounting(),
        _ => Ok(()),
    }
}
