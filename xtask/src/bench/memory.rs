//! What one more idle container costs when many run already.

use std::path::Path;

use anyhow::Result;
use stockade_tests::{Docker, Registry, Scratch};

use super::Effort;
use super::containers::{Oci, check_alive, pss_kib, reap_all, shared_bundle};
use super::people::pull;
use super::report::{Report, Row};

const OURS: &str = "stockade run -d";
const THEIRS: &str = "docker run -d";
const SLEEP: [&str; 2] = ["sleep", "1000000"];

/// Containers that run before the counting, and those that are counted.
const BEFORE: usize = 50;
const COUNTED: usize = 50;

/// Containers 51 to 100 of stockade-oci and crun.
pub fn oci(_: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    let bundle = shared_bundle(&scratch, &SLEEP);
    let runtimes = Oci::all(&scratch);
    let mut rows = Vec::new();
    for runtime in &runtimes {
        let id = |index| scratch.id(&format!("idle-{index}"));
        let start = |index| runtime.run_detached(bundle.path(), &id(index));
        let cost = marginal(start)?;
        (0..BEFORE + COUNTED).try_for_each(|index| runtime.delete(&id(index)))?;
        reap_all();
        rows.push(Row::single(runtime.name, cost));
    }
    let title = "proportional set size per idle container, containers 51 to 100, all processes";
    Ok(Report::of_rows(title, "KiB", rows).compare("stockade-oci", "crun", Some(1.0)))
}

/// Containers 51 to 100 of `stockade run --detach` and `docker run --detach`, with their supervisors and shims.
pub fn people(_: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    let rows = vec![Row::single(OURS, by_stockade(&scratch)?), Row::single(THEIRS, by_docker(&scratch)?)];
    let title = "proportional set size per idle container, containers 51 to 100, all processes";
    Ok(Report::of_rows(title, "KiB", rows).limit(OURS, 2048.0).compare(OURS, THEIRS, None))
}

fn by_stockade(scratch: &Scratch) -> Result<f64> {
    let image = pull(scratch, &Registry::start(), "busybox");
    let cost = marginal(|index| {
        let options = ["run", "--detach", "--name", &name(scratch, index), &image];
        scratch.stockade(&options).args(SLEEP).ok();
        Ok(())
    })?;
    all(scratch).iter().for_each(|name| drop(scratch.stockade(&["rm", "--force", name]).ok()));
    reap_all();
    Ok(cost)
}

fn by_docker(scratch: &Scratch) -> Result<f64> {
    let docker = Docker::start(Path::new("runc"));
    let cost = marginal(|index| {
        let options = ["run", "--detach", "--network", "none", "--name", &name(scratch, index), "busybox"];
        docker.docker(&options).args(SLEEP).ok();
        Ok(())
    })?;
    all(scratch).iter().for_each(|name| drop(docker.docker(&["rm", "--force", name]).ok()));
    Ok(cost)
}

fn all(scratch: &Scratch) -> Vec<String> {
    (0..BEFORE + COUNTED).map(|index| name(scratch, index)).collect()
}

fn name(scratch: &Scratch, index: usize) -> String {
    scratch.id(&format!("idle-{index}"))
}

/// Starts containers and returns what each of the later ones adds, in KiB.
fn marginal(start: impl Fn(usize) -> Result<()>) -> Result<f64> {
    (0..BEFORE).try_for_each(&start)?;
    let before = pss_kib();
    (BEFORE..BEFORE + COUNTED).try_for_each(&start)?;
    check_alive(BEFORE + COUNTED)?;
    Ok((pss_kib() - before) / f64::from(u32::try_from(COUNTED)?))
}
