//! `vm-many`: 50 machines at once in the lab, each with the small kernel and 64 MiB, all of them waiting; what they
//! cost in memory, and what their processes compute in 10 s.

use anyhow::{Context, Result};
use serde::Deserialize;
use stockade_tests::{bin, fixtures_dir};

use super::super::Effort;
use super::super::report::Report;
use super::guest::{Guests, WORD};
use super::session::{self, SMALL_KERNEL, Session, row};

const OURS: &str = "stockade vmm";
const MACHINES: u32 = 50;
const MACHINE_MIB: u64 = 64;
const LAB_MIB: u32 = 6144;

/// Starts them five at a time, and counts when all have said their word.
const SCRIPT: &str = r#"set -e
cd /var/tmp
cp "$kernel" vmlinux; cp "$guests/initrd" initrd; cp "$guests/many.json" config.json; cp "$stockade" stockade
available() { awk '/^MemAvailable/ {print $2}' /proc/meminfo; }
processes() { for pid in $pids; do awk '{print $14 + $15}' /proc/$pid/stat; done | awk '{s += $1} END {print s}'; }
said() { grep -l "$word" out.* 2>/dev/null | wc -l; }
before=$(available)
pids=
for n in $(seq "$machines"); do
    ./stockade vmm --no-api --config-file config.json </dev/null >out.$n 2>&1 &
    pids="$pids $!"
    while [ "$(said)" -lt $((n - 4)) ]; do sleep 0.2; done
done
while [ "$(said)" -lt "$machines" ]; do sleep 0.2; done
sleep 2
after=$(available)
begun=$(processes)
sleep 10
idle=$(($(processes) - begun))
own=0 guest=0
for pid in $pids; do
    set -- $(awk -v least=$((mib * 1024)) '/^Size:/ {size = $2} /^Rss:/ {if (size < least) own += $2; else guest += $2}
        END {print own, guest}' /proc/$pid/smaps)
    own=$((own + $1)) guest=$((guest + $2))
done
kill $pids
echo "{\"own_kib\": $own, \"guest_kib\": $guest, \"available_kib\": $((before - after)), \"idle_ticks\": $idle}"
"#;

#[derive(Deserialize)]
struct Counted {
    own_kib: f64,
    guest_kib: f64,
    available_kib: f64,
    /// A hundredth of a second each.
    idle_ticks: f64,
}

/// All in one lab, by the host's time.
pub fn run(_: &Effort) -> Result<Report> {
    session::need_small_kernel()?;
    let guests = Guests::prepare()?;
    guests.configure_with("many", "vmlinux", "console=ttyS0 reboot=t panic=-1 quiet", MACHINE_MIB)?;
    let variables = format!(
        "kernel={} guests={} stockade={} machines={MACHINES} mib={MACHINE_MIB} word={WORD}\n",
        fixtures_dir().join(SMALL_KERNEL).display(),
        guests.path().display(),
        bin("stockade").display(),
    );
    let output = Session::real(LAB_MIB)?.output(&(variables + SCRIPT))?;
    let counted: Counted = serde_json::from_slice(&output).context("what the lab printed")?;
    let each = |kib: f64| kib / f64::from(MACHINES);
    let rows = vec![
        row(OURS, "own memory of each, KiB", each(counted.own_kib)),
        row(OURS, "guest's resident memory of each, MiB", each(counted.guest_kib) / 1024.0),
        row(OURS, "MemAvailable less by, for each, MiB", each(counted.available_kib) / 1024.0),
        row(OURS, "processor time of all in 10 s, ms", counted.idle_ticks * 10.0),
    ];
    Ok(Report::of_rows(&format!("{MACHINES} idle machines of {MACHINE_MIB} MiB at once, in the lab"), "", rows)
        .side_by_side())
}
