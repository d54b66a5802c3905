//! One sample of resource use. Controllers that are absent leave their part at zero.

use std::path::Path;

use stockade_sandbox::{Pressure, PressureLine, Stats};

use super::{Cgroup, CgroupError, Home, file};

mod v1;
mod v2;

pub(super) fn sample(cgroup: &Cgroup) -> Result<Stats, CgroupError> {
    let mut stats = Stats::default();
    if let Some(dir) = cgroup.has_v1("cpuacct") {
        v1::cpu_time(dir, &mut stats.cpu)?;
    } else if let Some(own) = cgroup.v2() {
        v2::cpu_time(&own.path, &mut stats.cpu)?;
    }
    match cgroup.home("cpu") {
        Some(Home::V1(dir)) => v1::throttling(dir, &mut stats.cpu)?,
        Some(Home::V2(dir)) => v2::throttling(dir, &mut stats.cpu)?,
        None => {}
    }
    match cgroup.home("memory") {
        Some(Home::V1(dir)) => v1::memory(dir, &mut stats.memory)?,
        Some(Home::V2(dir)) => v2::memory(dir, &mut stats.memory)?,
        None => {}
    }
    match cgroup.home("blkio") {
        Some(Home::V1(dir)) => v1::block_io(dir, &mut stats.blkio)?,
        Some(Home::V2(dir)) => v2::block_io(dir, &mut stats.blkio)?,
        None => {}
    }
    match cgroup.home("hugetlb") {
        Some(Home::V1(dir)) => v1::huge_pages(dir, &mut stats.hugetlb)?,
        Some(Home::V2(dir)) => v2::huge_pages(dir, &mut stats.hugetlb)?,
        None => {}
    }
    if let Some(Home::V1(dir) | Home::V2(dir)) = cgroup.home("pids") {
        stats.pids.current = file::number(dir, "pids.current")?.unwrap_or_default();
        stats.pids.limit = file::number(dir, "pids.max")?.filter(|limit| *limit != u64::MAX).unwrap_or_default();
    }
    pressures(cgroup, &mut stats)?;
    Ok(stats)
}

fn pressures(cgroup: &Cgroup, stats: &mut Stats) -> Result<(), CgroupError> {
    let Some(own) = cgroup.v2() else { return Ok(()) };
    stats.cpu.pressure = pressure(&own.path, "cpu.pressure")?;
    stats.memory.pressure = pressure(&own.path, "memory.pressure")?;
    stats.blkio.pressure = pressure(&own.path, "io.pressure")?;
    Ok(())
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and the same for `full` (Documentation/accounting/psi.rst).
fn pressure(dir: &Path, name: &str) -> Result<Option<Pressure>, CgroupError> {
    Ok(file::read_if_present(dir, name)?.map(|text| parse_pressure(&text)))
}

fn parse_pressure(text: &str) -> Pressure {
    let line =
        |kind: &str| text.lines().find_map(|line| line.strip_prefix(kind)).map(pressure_line).unwrap_or_default();
    Pressure { some: line("some "), full: line("full ") }
}

fn pressure_line(text: &str) -> PressureLine {
    let field = |name: &str| text.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let per_cent = |name| field(name).and_then(|value| value.parse().ok()).unwrap_or_default();
    PressureLine {
        avg10: per_cent("avg10"),
        avg60: per_cent("avg60"),
        avg300: per_cent("avg300"),
        total: field("total").and_then(|value| value.parse().ok()).unwrap_or_default(),
    }
}

/// Page sizes, taken from the names of the files `hugetlb.SIZE.SUFFIX`.
fn page_sizes(dir: &Path, suffix: &str) -> Result<Vec<String>, CgroupError> {
    let entries = std::fs::read_dir(dir).map_err(|error| CgroupError::file("list", dir, error))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let size = |name: String| name.strip_prefix("hugetlb.")?.strip_suffix(suffix).map(str::to_owned);
    Ok(names.filter_map(size).filter(|size| !size.contains('.')).collect())
}

#[cfg(test)]
mod tests {
    use super::parse_pressure;

    #[test]
    fn pressure_lines() {
        let pressure = parse_pressure("some avg10=1.50 avg60=0.20 avg300=0.00 total=1234\nfull avg10=0.00 total=7\n");
        assert_eq!((pressure.some.avg10, pressure.some.avg60, pressure.some.total), (1.5, 0.2, 1234));
        assert_eq!((pressure.full.avg10, pressure.full.total), (0.0, 7));
    }
}
