//! `vm-boot`: from the start of the VMM's process to the guest's first process, beside Debian's QEMU with the same
//! kernel and command line, and beside Firecracker's figures from such a lab.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use stockade_lab::{Command, Lab, Stream};
use stockade_tests::{bin, fixtures_dir};

use super::super::Effort;
use super::super::report::{Report, Row};
use super::guest::{Guests, MEMORY_MIB, TIMER_WORD, WORD};
use crate::lab::watch::Seen;
use crate::setup;

const OURS: &str = "stockade vmm";
const QEMU: &str = "QEMU microvm";
/// Where a benchmark of ours has no peer at hand: Firecracker 1.17 in a lab like this one, measured once.
const FIRECRACKER: &str = "Firecracker 1.17, then";
const FIRECRACKER_OWN_KIB: f64 = 4.1 * 1024.0;

/// The emulated machine does some 50 million instructions a second, less when this one is busy.
const TIMEOUT: Duration = Duration::from_secs(900);
/// All are the same.
const ROUNDS: usize = 1;
/// Files lie in memory, and guests too.
const LAB_MIB: u32 = 3072;

/// A kernel, and what Firecracker needed for it.
struct Case {
    name: &'static str,
    /// Below the fixtures.
    kernel: &'static str,
    line: &'static str,
    /// Milliseconds and exits; of the small kernel, with a config that has less in it.
    firecracker: Option<(f64, f64)>,
}

const CASES: [Case; 2] = [
    Case {
        name: "Debian 6.12",
        kernel: "lab/kernel/vmlinux",
        line: "console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests",
        firecracker: Some((748.0, 2335.0)),
    },
    Case {
        name: "small 6.12",
        kernel: "guest-kernel/vmlinux",
        line: "console=ttyS0 reboot=t panic=-1 quiet",
        firecracker: Some((75.0, 1389.0)),
    },
];

/// Our own choice: the small kernel without a serial port to look at.
const CHOSEN: Case = Case {
    name: "small 6.12, no console",
    kernel: "guest-kernel/vmlinux",
    line: "quiet 8250.nr_uarts=0 panic=-1",
    firecracker: None,
};

/// Boots all guests in one lab.
pub fn run(_: &Effort) -> Result<Report> {
    setup::lab()?;
    let guests = Guests::prepare()?;
    let mut bench = Bench { lab: Lab::boot(&crate::lab::exact(LAB_MIB)?)?, guests, rows: Vec::new() };
    for case in CASES.iter().filter(|case| case.is_built()) {
        bench.ours(case, WORD)?;
        bench.qemu(case)?;
    }
    if CHOSEN.is_built() {
        bench.ours(&CHOSEN, TIMER_WORD)?;
    }
    Ok(report(bench.rows))
}

impl Case {
    /// The small kernel takes ten minutes to build: `cargo xtask guest-kernel`.
    fn is_built(&self) -> bool {
        fixtures_dir().join(self.kernel).exists()
    }
}

struct Bench {
    lab: Lab,
    guests: Guests,
    rows: Vec<Row>,
}

impl Bench {
    fn ours(&mut self, case: &Case, word: &str) -> Result<()> {
        let config = self.guests.configure("config", "vmlinux", case.line)?;
        let stockade = bin("stockade").display().to_string();
        let copy = format!("cp {stockade} stockade; cp {} config.json;", config.display());
        let vmm = "./stockade vmm --no-api --boot-timer --config-file config.json";
        self.watch(case, OURS, word, &copy, vmm)
    }

    fn qemu(&mut self, case: &Case) -> Result<()> {
        let machine = "-M microvm,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on -accel kvm -cpu host";
        let rest = "-nodefaults -no-user-config -nographic -serial stdio -no-reboot -kernel vmlinux -initrd initrd";
        let vmm = format!("qemu-system-x86_64 {machine} -m {MEMORY_MIB} {rest} -append '{}'", case.line);
        self.watch(case, QEMU, WORD, "", &vmm)
    }

    /// Everything is copied to the lab's memory first: the host's files come over a device.
    fn watch(&mut self, case: &Case, who: &str, word: &str, copy: &str, vmm: &str) -> Result<()> {
        let kernel = fixtures_dir().join(case.kernel);
        let me = std::env::current_exe().context("find this program")?;
        let script = format!(
            "set -e; cd /var/tmp; cp {} vmlinux; cp {}/initrd initrd; {copy} exec {} lab watch --word {word} \
             --rounds {} --guest-mib {MEMORY_MIB} -- {vmm}",
            kernel.display(),
            self.guests.path().display(),
            me.display(),
            ROUNDS,
        );
        let seen = self.seen(&script).with_context(|| format!("{who}, {}", case.name))?;
        self.add(case, who, &seen)
    }

    fn seen(&mut self, script: &str) -> Result<Seen> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = self.lab.run(&Command::new(["sh", "-c", script]), TIMEOUT, |stream, bytes| match stream {
            Stream::Stdout => stdout.extend_from_slice(bytes),
            Stream::Stderr => stderr.extend_from_slice(bytes),
        })?;
        if code != 0 {
            bail!("status {code}: {}", String::from_utf8_lossy(&stderr));
        }
        serde_json::from_slice(&stdout).context("what the lab printed")
    }

    fn add(&mut self, case: &Case, who: &str, seen: &Seen) -> Result<()> {
        let middle = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().context("a round")
        };
        let exits = |count: u64| u32::try_from(count).map(f64::from);
        let name = case.name;
        let mut row = |what: &str, value: f64| self.rows.push(Row::single(format!("{who}: {name}, {what}"), value));
        row("ms", middle(seen.rounds.iter().map(|round| round.ms).collect())?);
        row("exits", middle(seen.rounds.iter().map(|round| exits(round.exits)).collect::<Result<_, _>>()?)?);
        row(
            "own memory, KiB",
            middle(seen.rounds.iter().map(|round| exits(round.own_kib)).collect::<Result<_, _>>()?)?,
        );
        row(
            "guest's resident memory, MiB",
            middle(seen.rounds.iter().map(|round| exits(round.guest_kib / 1024)).collect::<Result<_, _>>()?)?,
        );
        for phase in &seen.phases {
            row(&format!("{}, ms", phase.name), phase.ms);
            row(&format!("{}, exits", phase.name), exits(phase.exits)?);
        }
        for (reason, count) in seen.reasons.iter().filter(|(_, count)| **count >= 20) {
            row(&format!("exits by {reason}"), exits(*count)?);
        }
        if let (OURS, Some((ms, exits))) = (who, case.firecracker) {
            self.rows.push(Row::single(format!("{FIRECRACKER}: {name}, ms"), ms));
            self.rows.push(Row::single(format!("{FIRECRACKER}: {name}, exits"), exits));
            self.rows.push(Row::single(format!("{FIRECRACKER}: {name}, own memory, KiB"), FIRECRACKER_OWN_KIB));
        }
        Ok(())
    }
}

fn report(rows: Vec<Row>) -> Report {
    let title = "a guest's boot in the lab, 1 processor, 128 MiB; a millisecond is a million instructions";
    let mut report = Report::of_rows(title, "", rows).side_by_side();
    for case in CASES.iter().filter(|case| case.is_built()) {
        let row = |who: &str, what: &str| format!("{who}: {}, {what}", case.name);
        for (what, goal) in [("ms", 1.0), ("exits", 0.6), ("own memory, KiB", 3.0 / 4.1)] {
            report = report.compare(&row(OURS, what), &row(FIRECRACKER, what), Some(goal));
        }
        report = report.compare(&row(OURS, "ms"), &row(QEMU, "ms"), None);
        report = report.compare(&row(OURS, "exits"), &row(QEMU, "exits"), None);
    }
    if CHOSEN.is_built() {
        let (ours, theirs) = (CHOSEN.name, CASES[1].name);
        report = report.compare(&format!("{OURS}: {ours}, ms"), &format!("{FIRECRACKER}: {theirs}, ms"), Some(0.8));
    }
    report
}
