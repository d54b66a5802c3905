//! Many containers at once: how fast they start, and how fast they go.

use std::time::Instant;

use anyhow::Result;
use stockade_tests::{Registry, Scratch};

use super::Effort;
use super::containers::{Oci, check_alive, reap_all, shared_bundle};
use super::measure::to_milliseconds;
use super::people::pull;
use super::report::{Report, Row};

/// 500 containers of stockade-oci, then of crun.
pub fn oci(effort: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    let bundle = shared_bundle(&scratch, &["/bin/sleep", "1000000"]);
    let count = effort.repeat(500);
    let mut rows = Vec::new();
    for runtime in Oci::all(&scratch).iter().take(2) {
        let id = |index| scratch.id(&format!("many-{index}"));
        let start = |index| runtime.run_detached(bundle.path(), &id(index));
        rows.extend(measure(runtime.name, count, start, |index| runtime.delete(&id(index)))?);
    }
    let report = Report::of_rows(&format!("{count} containers at once, one after the other"), "ms per container", rows);
    Ok(report.compare("stockade-oci: start", "crun: start", None).compare("stockade-oci: delete", "crun: delete", None))
}

/// 500 containers of `stockade run --detach`.
pub fn people(effort: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    let image = pull(&scratch, &Registry::start(), "busybox");
    let count = effort.repeat(500);
    let name = |index| scratch.id(&format!("many-{index}"));
    let start = |index| {
        let options = ["run", "--detach", "--name", &name(index), &image, "sleep", "1000000"];
        scratch.stockade(&options).ok();
        Ok(())
    };
    let delete = |index| {
        scratch.stockade(&["rm", "--force", &name(index)]).ok();
        Ok(())
    };
    let rows = measure("stockade run -d", count, start, delete)?;
    Ok(Report::of_rows(&format!("{count} containers at once, one after the other"), "ms per container", rows.into()))
}

/// Starts `count` containers, checks that all live, and removes them.
fn measure(
    name: &str,
    count: usize,
    start: impl Fn(usize) -> Result<()>,
    delete: impl Fn(usize) -> Result<()>,
) -> Result<[Row; 2]> {
    let each = f64::from(u32::try_from(count)?);
    let begin = Instant::now();
    (0..count).try_for_each(start)?;
    let started = to_milliseconds(begin.elapsed()) / each;
    check_alive(count)?;
    let begin = Instant::now();
    (0..count).try_for_each(delete)?;
    let deleted = to_milliseconds(begin.elapsed()) / each;
    reap_all();
    Ok([Row::single(format!("{name}: start"), started), Row::single(format!("{name}: delete"), deleted)])
}
