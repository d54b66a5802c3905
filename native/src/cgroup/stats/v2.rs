//! Figures of the v2 controllers (Documentation/admin-guide/cgroup-v2.rst).

use std::collections::BTreeMap;
use std::path::Path;

use stockade_sandbox::{BlkioEntry, BlkioStats, CpuStats, HugetlbStats, MemoryStats};

use super::super::{CgroupError, file};
use super::page_sizes;

const US: u64 = 1000;

fn cpu_stat(dir: &Path) -> Result<String, CgroupError> {
    Ok(file::read_if_present(dir, "cpu.stat")?.unwrap_or_default())
}

pub(super) fn cpu_time(dir: &Path, cpu: &mut CpuStats) -> Result<(), CgroupError> {
    let stat = cpu_stat(dir)?;
    let time = |key| file::keyed_value(&stat, key).unwrap_or_default().saturating_mul(US);
    (cpu.total_ns, cpu.user_ns, cpu.system_ns) = (time("usage_usec"), time("user_usec"), time("system_usec"));
    Ok(())
}

pub(super) fn throttling(dir: &Path, cpu: &mut CpuStats) -> Result<(), CgroupError> {
    let stat = cpu_stat(dir)?;
    let value = |key| file::keyed_value(&stat, key).unwrap_or_default();
    (cpu.periods, cpu.throttled_periods) = (value("nr_periods"), value("nr_throttled"));
    cpu.throttled_ns = value("throttled_usec").saturating_mul(US);
    Ok(())
}

pub(super) fn memory(dir: &Path, memory: &mut MemoryStats) -> Result<(), CgroupError> {
    memory.usage = file::number(dir, "memory.current")?.unwrap_or_default();
    // Linux 5.19.
    memory.max_usage = file::number(dir, "memory.peak")?.unwrap_or_default();
    memory.limit = file::number(dir, "memory.max")?.unwrap_or(u64::MAX);
    memory.swap_usage = file::number(dir, "memory.swap.current")?.unwrap_or_default();
    memory.swap_limit = file::number(dir, "memory.swap.max")?.unwrap_or_default();
    let stat = file::read_if_present(dir, "memory.stat")?.unwrap_or_default();
    memory.raw = file::keyed(&stat).map(|(key, value)| (key.to_owned(), value)).collect();
    memory.cache = memory.raw.get("file").copied().unwrap_or_default();
    memory.kernel_usage = memory.raw.get("kernel").copied().unwrap_or_default();
    let events = file::read_if_present(dir, "memory.events")?.unwrap_or_default();
    memory.failcnt = file::keyed_value(&events, "max").unwrap_or_default();
    memory.oom_kills = file::keyed_value(&events, "oom_kill").unwrap_or_default();
    Ok(())
}

pub(super) fn block_io(dir: &Path, block_io: &mut BlkioStats) -> Result<(), CgroupError> {
    let stat = file::read_if_present(dir, "io.stat")?.unwrap_or_default();
    // A line of another form is of no use to us, and none to the caller.
    let _ = stat.lines().filter_map(|line| device(line, block_io)).count();
    Ok(())
}

/// A line `MAJOR:MINOR rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn device(line: &str, block_io: &mut BlkioStats) -> Option<()> {
    let mut fields = line.split(' ');
    let (major, minor) = fields.next()?.split_once(':')?;
    let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
    for (key, value) in fields.filter_map(|field| field.split_once('=')) {
        let (op, is_bytes) = match key {
            "rbytes" => ("Read", true),
            "wbytes" => ("Write", true),
            "dbytes" => ("Discard", true),
            "rios" => ("Read", false),
            "wios" => ("Write", false),
            "dios" => ("Discard", false),
            _ => continue,
        };
        let table = if is_bytes { &mut block_io.service_bytes } else { &mut block_io.serviced };
        table.push(BlkioEntry { major, minor, op: op.to_owned(), value: value.parse().ok()? });
    }
    Some(())
}

pub(super) fn huge_pages(dir: &Path, sizes: &mut BTreeMap<String, HugetlbStats>) -> Result<(), CgroupError> {
    for size in page_sizes(dir, ".current")? {
        let usage = file::number(dir, &format!("hugetlb.{size}.current"))?.unwrap_or_default();
        let events = file::read_if_present(dir, &format!("hugetlb.{size}.events"))?.unwrap_or_default();
        let failcnt = file::keyed_value(&events, "max").unwrap_or_default();
        sizes.insert(size, HugetlbStats { usage, max: 0, failcnt });
    }
    Ok(())
}
