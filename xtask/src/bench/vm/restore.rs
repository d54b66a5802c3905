//! `vm-restore`: from the request to load a snapshot to the first word of the guest that goes on, beside the boot of
//! the same guest; with its memory mapped from the file, and by a process that answers page faults
//! (`tests/lab/uffd.c`). The time is the kernel's own trace's: who waits for the word gets the lab's one processor
//! only when the guest, which goes on talking, has had it for some milliseconds.

use anyhow::{Context, Result};
use serde_json::json;
use stockade_tests::{LAB, bin, fixtures_dir};

use super::super::Effort;
use super::super::report::{Report, Row};
use super::guest::{ALIVE, Guests, MEMORY_MIB, WORD};
use super::session::{self, DEBIAN_KERNEL, SMALL_KERNEL, Session, count, middle, row};
use crate::lab::watch::Seen;

/// The share of a boot that a restore may take.
const GOAL: f64 = 0.1;
const LAB_MIB: u32 = 3072;
const ROUNDS: usize = 1;
/// The guest is saved wherever it is: how much it does before its next word differs.
const SAVES: usize = 5;

/// Names, files and command lines of kernels.
const KERNELS: [(&str, &str, &str); 2] = [
    ("Debian 6.12", DEBIAN_KERNEL, "console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests"),
    ("small 6.12", SMALL_KERNEL, "console=ttyS0 reboot=t panic=-1 quiet"),
];

/// What is done with a guest, by name; and what a load's memory comes from, and the VMM that is asked for it.
const BOOT: &str = "boot";
const LOADS: [(&str, &str, &str, &str); 2] =
    [("restore", "File", "memory", VMM), ("restore, userfaultfd", "Uffd", "faults.sock", FAULTED)];
const VMM: &str = "./stockade vmm --api-sock api.sock";
const FAULTED: &str = "sh -c 'rm -f faults.sock; ./uffd faults.sock memory & \
    while ! test -S faults.sock; do sleep 0.01; done; exec ./stockade vmm --api-sock api.sock'";

const TOTAL_MS: &str = "ms from the process's start";
const REQUEST_MS: &str = "ms from the request to the first word";

/// Everything is copied to the lab's memory first: the host's files come over a device.
const SET_UP: &str = r#"set -e
cd /var/tmp
cp "$kernel" vmlinux; cp "$guests/initrd-alive" initrd; cp "$guests/uffd" uffd; cp "$guests/config.json" config.json
[ -e stockade ] || cp "$stockade" stockade
"#;

/// A guest that talks is saved.
const SAVE: &str = r#"rm -f first.sock
./stockade vmm --api-sock first.sock --config-file config.json </dev/null >said & vmm=$!
until grep -q "$word" said; do sleep 0.1; done
ask() { curl -sS --fail-with-body --unix-socket first.sock -X "$1" "http://localhost/$2" --data "$3" >&2; }
ask PATCH vm '{"state": "Paused"}'
ask PUT snapshot/create '{"snapshot_path": "state", "mem_file_path": "memory"}'
kill -9 $vmm
"#;

/// All in one lab.
pub fn run(_: &Effort) -> Result<Report> {
    let mut bench = Bench { guests: Guests::prepare()?, session: Session::exact(LAB_MIB)?, rows: Vec::new() };
    LAB.build(&["uffd"], bench.guests.path());
    let kernels: Vec<_> = KERNELS.iter().filter(|(_, file, _)| session::has(file)).collect();
    for (name, file, line) in &kernels {
        bench.kernel(name, file, line).with_context(|| (*name).to_owned())?;
    }
    let title = "a guest from a snapshot in the lab, 1 processor, 128 MiB; a millisecond is a million instructions";
    let mut report = Report::of_rows(title, "", bench.rows).side_by_side();
    for (name, ..) in kernels {
        for (how, ..) in LOADS {
            let row = |who: &str, what: &str| format!("{name}, {who}: {what}");
            report = report.compare(&row(how, REQUEST_MS), &row(BOOT, TOTAL_MS), Some(GOAL));
        }
    }
    Ok(report)
}

struct Bench {
    guests: Guests,
    session: Session,
    rows: Vec<Row>,
}

impl Bench {
    /// Boots the guest, saves it, and has it go on.
    fn kernel(&mut self, name: &str, file: &str, line: &str) -> Result<()> {
        self.guests.configure("config", "vmlinux", line)?;
        let boot = format!("{} ./stockade vmm --no-api --config-file config.json", watch(WORD)?);
        let boot = self.session.watch(&format!("{}{boot}", self.set_up(file))).context(BOOT)?;
        let mut add = |what: &str, value: f64| self.rows.push(row(&format!("{name}, {BOOT}"), what, value));
        add(TOTAL_MS, middle(&boot, |round| round.ms)?);
        let mut loads = [const { Vec::new() }; LOADS.len()];
        for _ in 0..SAVES {
            self.session.output(&format!("{}word={ALIVE}\n{SAVE}", self.set_up(file)))?;
            for ((how, backend, path, vmm), seen) in LOADS.iter().zip(&mut loads) {
                let body = json!({
                    "snapshot_path": "state", "resume_vm": true,
                    "mem_backend": {"backend_type": backend, "backend_path": path},
                });
                let load = format!("{} {vmm}", watch(&format!("{ALIVE} --trace --load '{body}'"))?);
                seen.push(self.session.watch(&format!("set -e; cd /var/tmp; {load}")).context(*how)?);
            }
        }
        for ((how, ..), seen) in LOADS.iter().zip(&loads) {
            self.add_loads(&format!("{name}, {how}"), seen)?;
        }
        Ok(())
    }

    fn add_loads(&mut self, who: &str, loads: &[Seen]) -> Result<()> {
        let mut heard: Vec<_> = loads.iter().map(|seen| seen.word_ms).collect::<Option<_>>().context("a first word")?;
        heard.sort_by(f64::total_cmp);
        let mut add = |what: &str, value: f64| self.rows.push(row(who, what, value));
        add(REQUEST_MS, heard[SAVES / 2]);
        add("the slowest", heard[SAVES - 1]);
        let round = loads.iter().flat_map(|seen| &seen.rounds).next_back().context("a round")?;
        add("own memory, KiB", count(round.own_kib));
        add("guest's resident memory, KiB", count(round.guest_kib));
        Ok(())
    }

    fn set_up(&self, kernel: &str) -> String {
        let files = [fixtures_dir().join(kernel), self.guests.path().to_owned(), bin("stockade")];
        let [kernel, guests, stockade] = files.map(|file| file.display().to_string());
        format!("kernel={kernel} guests={guests} stockade={stockade}\n{SET_UP}")
    }
}

fn watch(word: &str) -> Result<String> {
    session::watch(&format!("--rounds {ROUNDS} --guest-mib {MEMORY_MIB} --word {word}"))
}
