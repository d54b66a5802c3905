//! What one more idle container costs when many run already.

use std::path::Path;

use anyhow::Result;
use stockade_tests::{Bundle, Docker, Registry, Scratch};

use super::Effort;
use super::containers::{Oci, check_alive, pss_kib, reap_all, shared_bundle};
use super::measure::{Contender, interleave};
use super::people::pull;
use super::report::{Report, Row};

const OURS: &str = "stockade run -d";
const THEIRS: &str = "docker run -d";
const SLEEP: [&str; 2] = ["sleep", "1000000"];

/// Containers that run before the counting, and those that are counted.
const BEFORE: usize = 50;
const COUNTED: usize = 50;

/// No OCI runtime leaves a process behind, so all measure the same workload, whose stack the host begins at a random
/// place: it touches two pages or three. A difference within this is a tie.
const TIE: f64 = 1.01;

/// Containers 51 to 100 of stockade-oci and crun.
pub fn oci(effort: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    let bundle = shared_bundle(&scratch, &SLEEP);
    let runtimes = Oci::all(&scratch);
    let mut contenders: Vec<Contender> = runtimes
        .iter()
        .map(|runtime| Contender { name: runtime.name, once: Box::new(|| by_runtime(runtime, &scratch, &bundle)) })
        .collect();
    let summaries = interleave(0, effort.repeat(7), &mut contenders)?;
    let title = "proportional set size per idle container, containers 51 to 100, all processes";
    Ok(Report::new(title, "KiB", &contenders, summaries).compare("stockade-oci", "crun", Some(TIE)))
}

fn by_runtime(runtime: &Oci, scratch: &Scratch, bundle: &Bundle) -> Result<f64> {
    let cost = marginal(|index| runtime.run_detached(bundle.path(), &name(scratch, index)))?;
    (0..BEFORE + COUNTED).try_for_each(|index| runtime.delete(&name(scratch, index)))?;
    reap_all();
    Ok(cost)
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
