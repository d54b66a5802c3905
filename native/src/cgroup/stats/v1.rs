//! Figures of the v1 controllers (Documentation/admin-guide/cgroup-v1).

use std::collections::BTreeMap;
use std::path::Path;

use stockade_sandbox::{BlkioEntry, BlkioStats, CpuStats, HugetlbStats, MemoryStats};

use super::super::{CgroupError, file};
use super::page_sizes;

/// cpuacct.stat counts in USER_HZ, which is 100 wherever Linux runs this code.
const TICK_NS: u64 = 10_000_000;
/// A limit from here up is the kernel's way to say none: the greatest count of pages, in bytes.
const NO_LIMIT: u64 = 0x7fff_ffff_ffff_0000;

pub(super) fn cpu_time(dir: &Path, cpu: &mut CpuStats) -> Result<(), CgroupError> {
    cpu.total_ns = file::number(dir, "cpuacct.usage")?.unwrap_or_default();
    let per_cpu = file::read_if_present(dir, "cpuacct.usage_percpu")?.unwrap_or_default();
    cpu.per_cpu_ns = per_cpu.split_whitespace().filter_map(|value| value.parse().ok()).collect();
    let user_and_system = (file::number(dir, "cpuacct.usage_user")?, file::number(dir, "cpuacct.usage_sys")?);
    (cpu.user_ns, cpu.system_ns) = match user_and_system {
        (Some(user), Some(system)) => (user, system),
        _ => ticks(&file::read_if_present(dir, "cpuacct.stat")?.unwrap_or_default()),
    };
    Ok(())
}

fn ticks(stat: &str) -> (u64, u64) {
    let time = |key| file::keyed_value(stat, key).unwrap_or_default().saturating_mul(TICK_NS);
    (time("user"), time("system"))
}

pub(super) fn throttling(dir: &Path, cpu: &mut CpuStats) -> Result<(), CgroupError> {
    let stat = file::read_if_present(dir, "cpu.stat")?.unwrap_or_default();
    let value = |key| file::keyed_value(&stat, key).unwrap_or_default();
    (cpu.periods, cpu.throttled_periods, cpu.throttled_ns) =
        (value("nr_periods"), value("nr_throttled"), value("throttled_time"));
    Ok(())
}

pub(super) fn memory(dir: &Path, memory: &mut MemoryStats) -> Result<(), CgroupError> {
    let number = |name| Ok::<_, CgroupError>(file::number(dir, name)?.unwrap_or_default());
    memory.usage = number("memory.usage_in_bytes")?;
    memory.max_usage = number("memory.max_usage_in_bytes")?;
    memory.failcnt = number("memory.failcnt")?;
    let limit = number("memory.limit_in_bytes")?;
    memory.limit = or_unlimited(limit);
    memory.kernel_usage = number("memory.kmem.usage_in_bytes")?;
    memory.raw = file::keyed(&number_text(dir)?).map(|(key, value)| (key.to_owned(), value)).collect();
    memory.cache = memory.raw.get("cache").copied().unwrap_or_default();
    let both = file::number(dir, "memory.memsw.usage_in_bytes")?.unwrap_or_default();
    memory.swap_usage = memory.raw.get("swap").copied().unwrap_or(both.saturating_sub(memory.usage));
    let both_limit = file::number(dir, "memory.memsw.limit_in_bytes")?.unwrap_or(u64::MAX);
    memory.swap_limit = if both_limit >= NO_LIMIT { u64::MAX } else { both_limit.saturating_sub(limit) };
    memory.oom_kills = super::super::oom::kills_v1(dir)?.unwrap_or_default();
    Ok(())
}

fn number_text(dir: &Path) -> Result<String, CgroupError> {
    Ok(file::read_if_present(dir, "memory.stat")?.unwrap_or_default())
}

fn or_unlimited(limit: u64) -> u64 {
    if limit >= NO_LIMIT { u64::MAX } else { limit }
}

/// Which files exist depends on the I/O schedulers; the first that do also hold the figures of cgroups below.
pub(super) fn block_io(dir: &Path, block_io: &mut BlkioStats) -> Result<(), CgroupError> {
    for group in ["blkio.bfq.", "blkio.", "blkio.throttle."] {
        let bytes = file::read_if_present(dir, &format!("{group}io_service_bytes_recursive"))?;
        let count = file::read_if_present(dir, &format!("{group}io_serviced_recursive"))?;
        if let (Some(bytes), Some(count)) = (bytes, count) {
            (block_io.service_bytes, block_io.serviced) = (entries(&bytes), entries(&count));
        }
        if !block_io.serviced.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Lines `MAJOR:MINOR OP VALUE`; the last one, a sum over devices, has no device.
fn entries(text: &str) -> Vec<BlkioEntry> {
    let entry = |line: &str| {
        let mut fields = line.split_whitespace();
        let (major, minor) = fields.next()?.split_once(':')?;
        let (op, value) = (fields.next()?.to_owned(), fields.next()?.parse().ok()?);
        Some(BlkioEntry { major: major.parse().ok()?, minor: minor.parse().ok()?, op, value })
    };
    text.lines().filter_map(entry).collect()
}

pub(super) fn huge_pages(dir: &Path, sizes: &mut BTreeMap<String, HugetlbStats>) -> Result<(), CgroupError> {
    for size in page_sizes(dir, ".usage_in_bytes")? {
        let number = |suffix| file::number(dir, &format!("hugetlb.{size}.{suffix}"));
        let stats = HugetlbStats {
            usage: number("usage_in_bytes")?.unwrap_or_default(),
            max: number("max_usage_in_bytes")?.unwrap_or_default(),
            failcnt: number("failcnt")?.unwrap_or_default(),
        };
        sizes.insert(size, stats);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_io_lines() {
        let found = entries("254:0 Read 4096\n254:0 Write 0\n254:0 Total 4096\nTotal 4096\n");
        let found: Vec<_> = found.iter().map(|e| (e.major, e.minor, e.op.as_str(), e.value)).collect();
        assert_eq!(found, [(254, 0, "Read", 4096), (254, 0, "Write", 0), (254, 0, "Total", 4096)]);
    }

    #[test]
    fn ticks_are_hundredths() {
        assert_eq!(ticks("user 3\nsystem 100\n"), (30_000_000, 1_000_000_000));
    }
}
