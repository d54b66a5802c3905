//! From exec of the runtime to its exit, for `true`.

use anyhow::Result;
use stockade_tests::{Bundle, Scratch, rootfs};

use super::super::Effort;
use super::super::containers::{Oci, shared_bundle};
use super::super::measure::{Contender, interleave, milliseconds};
use super::super::report::Report;

const OURS: &str = "stockade run --isolation kernel";
const IMAGE: &str = "localhost/true:latest";

/// `stockade run --rm --isolation kernel`, and `stockade-oci`, crun and runsc, which get a bundle.
pub fn run(effort: &Effort) -> Result<Report> {
    let scratch = Scratch::new();
    scratch.stockade(&["image", "import", &rootfs("busybox").display().to_string(), IMAGE]).ok();
    let bundle = shared_bundle(&scratch, &["/bin/true"]);
    let [_, crun, _] = Oci::all(&scratch);
    let (oci, runsc) = (Oci::kernel(&scratch), Oci::runsc(&scratch));
    let id = scratch.id("start");
    let ours = || {
        milliseconds(|| {
            scratch.stockade(&["run", "--rm", "--isolation", "kernel", IMAGE, "true"]).ok();
            Ok(())
        })
    };
    let mut contenders = [
        Contender { name: OURS, once: Box::new(ours) },
        contender(&oci, &bundle, &id),
        contender(&crun, &bundle, &id),
        contender(&runsc, &bundle, &id),
    ];
    let summaries = interleave(3, effort.repeat(40), &mut contenders)?;
    let report = Report::new("run of /bin/true", "ms", &contenders, summaries);
    let against =
        |report: Report, ours| report.compare(ours, crun.name, Some(1.5)).compare(ours, runsc.name, Some(0.1));
    Ok([OURS, oci.name].into_iter().fold(report, against))
}

fn contender<'a>(runtime: &'a Oci, bundle: &'a Bundle, id: &'a str) -> Contender<'a> {
    Contender { name: runtime.name, once: Box::new(move || milliseconds(|| runtime.run(bundle.path(), id))) }
}
