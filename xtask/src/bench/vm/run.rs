//! `vm-run`: from the start of `stockade run --isolation vm` to its container's first output, in the lab that counts
//! instructions; class native beside it.

use anyhow::{Context, Result};
use stockade_tests::{bin, fixtures_dir, rootfs};

use super::super::Effort;
use super::super::report::{Report, Row};
use super::session::{self, DEBIAN_KERNEL, SMALL_KERNEL, Session, count, middle, row};
use crate::setup;

const LAB_MIB: u32 = 4096;
/// What the container prints.
const WORD: &str = "said-inside";
/// What a monitor calls itself.
const MONITOR: &str = "stockade-vm-monitor";
/// Of a container's machine with 64 MiB, and what its kernel needs.
const MACHINE_MIB: u32 = 162;

/// Everything lies in the lab's memory: programs, kernel, image.
const SET_UP: &str = r#"set -e
mkdir -p /var/tmp/run; cd /var/tmp/run
[ -e stockade ] || cp "$bin/stockade" "$bin/stockade-agent" .
export STOCKADE_ROOT=/var/tmp/run/root STOCKADE_STATE=/run/stockade-bench
if [ ! -e root ]; then
    ./stockade vm kernel import --modules "$fixtures/lab/kernel/modules" "$fixtures/lab/kernel/vmlinux" >&2
    [ ! -e "$fixtures/guest-kernel/vmlinux" ] ||
        ./stockade vm kernel import --name small "$fixtures/guest-kernel/vmlinux" >&2
    ./stockade image import "$rootfs" localhost/busybox:bench >&2
fi
"#;

/// All in one lab.
pub fn run(_: &Effort) -> Result<Report> {
    setup::run(setup::Scope::Demo)?;
    let mut session = Session::exact(LAB_MIB)?;
    let mut rows = machine(&mut session, "Debian 6.12", "--guest-kernel default")?;
    if session::has(SMALL_KERNEL) {
        rows.extend(machine(&mut session, "small 6.12", "--guest-kernel small")?);
    }
    let native = seen(&mut session, "--isolation native", "--word said-inside --rounds 1 --guest-mib 100000")?;
    rows.push(row("class native", "ms to first output", middle(&native, |round| round.ms)?));
    let title = "`stockade run --rm --memory 64m` to its container's first output, in the lab";
    Ok(Report::of_rows(title, "", rows).side_by_side())
}

fn machine(session: &mut Session, name: &str, kernel: &str) -> Result<Vec<Row>> {
    let options = format!("--word {WORD} --rounds 1 --rest --trace --vmm {MONITOR} --guest-mib {MACHINE_MIB}");
    let seen = seen(session, &format!("--isolation vm {kernel}"), &options)?;
    let who = format!("class vm, {name}");
    let mut rows = vec![
        row(&who, "ms to first output", middle(&seen, |round| round.ms)?),
        row(&who, "exits", middle(&seen, |round| count(round.exits))?),
        row(&who, "monitor's own memory, KiB", middle(&seen, |round| count(round.rest_kib.unwrap_or_default()))?),
        row(&who, "guest's resident memory, MiB", middle(&seen, |round| count(round.guest_kib / 1024))?),
    ];
    let reasons = seen.reasons.iter().filter(|(_, exits)| **exits >= 50);
    rows.extend(reasons.map(|(reason, exits)| row(&who, &format!("exits by {reason}"), count(*exits))));
    Ok(rows)
}

/// The word is printed once more after a pause, in which the watch looks at the machine.
fn seen(session: &mut Session, class: &str, options: &str) -> Result<crate::lab::watch::Seen> {
    let directory = bin("stockade").parent().context("the program's directory")?.display().to_string();
    let script = format!(
        "bin={directory} fixtures={} rootfs={}\n{SET_UP}\n{} ./stockade run --rm --memory 64m --memory-swap 64m \
         {class} localhost/busybox:bench sh -c 'echo {WORD}; sleep 3'",
        fixtures_dir().display(),
        rootfs("busybox").display(),
        session::watch(options)?,
    );
    session.watch(&script).with_context(|| format!("{class}, {DEBIAN_KERNEL} is the default"))
}
