//! A whole `run --rm` of `true`, images present on both sides.

use anyhow::Result;
use stockade_tests::{Registry, Scratch};

use super::Effort;
use super::daemons::Docker;
use super::measure::{Contender, interleave, milliseconds};
use super::people::{pull, stockade};
use super::report::Report;
use crate::sh;

const OURS: &str = "stockade run --rm";
const THEIRS: &str = "docker run --rm --network none";

/// `stockade run --rm` beside `docker run --rm --network none`.
pub fn run(effort: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    let image = pull(&scratch, &Registry::start(), "busybox")?;
    let docker = Docker::start(&scratch)?;
    let ours = || sh::check(&mut stockade(&scratch, ["run", "--rm", &image, "true"]));
    let theirs = || sh::check(&mut docker.docker(["run", "--rm", "--network", "none", "busybox", "true"]));
    let mut contenders = [
        Contender { name: OURS, once: Box::new(|| milliseconds(ours)) },
        Contender { name: THEIRS, once: Box::new(|| milliseconds(theirs)) },
    ];
    let summaries = interleave(3, effort.repeat(40), &mut contenders)?;
    let report = Report::new("run of true from an image that is present", "ms", &contenders, summaries);
    Ok(report.compare(OURS, THEIRS, Some(0.5)))
}
