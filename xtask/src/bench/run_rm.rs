//! A whole `run --rm` of `true`, images present on both sides.

use std::path::Path;

use anyhow::Result;
use stockade_tests::{Cmd, Docker, Registry, Scratch};

use super::Effort;
use super::measure::{Contender, interleave, milliseconds};
use super::people::pull;
use super::report::Report;

const OURS: &str = "stockade run --rm";
const THEIRS: &str = "docker run --rm --network none";

/// `stockade run --rm` beside `docker run --rm --network none`, which runs runc.
pub fn run(effort: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    let image = pull(&scratch, &Registry::start(), "busybox");
    let docker = Docker::start(Path::new("runc"));
    let ours = || scratch.stockade(&["run", "--rm", &image, "true"]);
    let theirs = || docker.docker(&["run", "--rm", "--network", "none", "busybox", "true"]);
    let mut contenders = [contender(OURS, ours), contender(THEIRS, theirs)];
    let summaries = interleave(3, effort.repeat(40), &mut contenders)?;
    let report = Report::new("run of true from an image that is present", "ms", &contenders, summaries);
    Ok(report.compare(OURS, THEIRS, Some(0.5)))
}

fn contender<'a>(name: &'static str, command: impl Fn() -> Cmd + 'a) -> Contender<'a> {
    let once = move || {
        milliseconds(|| {
            command().ok();
            Ok(())
        })
    };
    Contender { name, once: Box::new(once) }
}
