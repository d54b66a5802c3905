//! From exec of the runtime to its exit, for `true` in a prepared bundle.

use anyhow::Result;
use stockade_tests::Scratch;

use super::Effort;
use super::containers::{Oci, shared_bundle};
use super::measure::{Contender, interleave, milliseconds};
use super::report::Report;

/// `stockade-oci run` beside crun and runc.
pub fn run(effort: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    let bundle = shared_bundle(&scratch, &["/bin/true"]);
    let (runtimes, id) = (Oci::all(&scratch), scratch.id("start"));
    let contender = |runtime| contender(runtime, &bundle, &id);
    let mut contenders: Vec<Contender> = runtimes.iter().map(contender).collect();
    let summaries = interleave(5, effort.repeat(100), &mut contenders)?;
    let report = Report::new("run of /bin/true from a prepared bundle", "ms", &contenders, summaries);
    Ok(report.compare("stockade-oci", "crun", Some(0.8)).compare("stockade-oci", "runc", Some(0.4)))
}

fn contender<'a>(runtime: &'a Oci, bundle: &'a stockade_tests::Bundle, id: &'a str) -> Contender<'a> {
    Contender { name: runtime.name, once: Box::new(move || milliseconds(|| runtime.run(bundle.path(), id))) }
}
