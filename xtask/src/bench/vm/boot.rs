//! `vm-boot`, `vm-boot-small`: from the start of the VMM's process to the guest's first process, beside Debian's QEMU
//! and Firecracker with the same kernel and command line, or beside Firecracker's figures from such a lab.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use stockade_tests::{bin, fixtures_dir};

use super::super::Effort;
use super::super::report::{Report, Row};
use super::guest::{Guests, MEMORY_MIB, TIMER_WORD, WORD};
use super::session::{self, DEBIAN_KERNEL, SMALL_KERNEL, Session, count, middle, row};
use crate::lab::watch::{Seen, TIMER_MARK};

const OURS: &str = "stockade vmm";
const QEMU: &str = "QEMU microvm";
const FIRECRACKER: &str = "Firecracker";
/// Where it is not at hand: 1.17 in a lab like this one, measured once.
const FIRECRACKER_THEN: &str = "Firecracker 1.17, then";
/// With a kernel of another config.
const THEIR_SMALL_MS: f64 = 75.0;
const FIRECRACKER_OWN_KIB: f64 = 4.1 * 1024.0;

/// The boot timer begins when the machine is, with its kernel still to be read; Firecracker's figures are its own's.
const TIMER_MS: &str = "ms by the boot timer";
/// The lab's clock jumps where all wait, as QEMU does for its own timers: beside it, what was computed counts.
const BUSY_MS: &str = "ms computed";
/// At the guest's first word.
const OWN_KIB: &str = "own memory, KiB";
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

const DEBIAN: Case = Case {
    name: "Debian 6.12",
    kernel: DEBIAN_KERNEL,
    line: "console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests",
    firecracker: Some((748.0, 2335.0)),
};

const SMALL: Case = Case {
    name: "small 6.12",
    kernel: SMALL_KERNEL,
    line: "console=ttyS0 reboot=t panic=-1 quiet",
    firecracker: Some((THEIR_SMALL_MS, 1389.0)),
};

/// Our own choice: the small kernel without a serial port to look at.
const CHOSEN: Case = Case {
    name: "small 6.12, no console",
    kernel: SMALL_KERNEL,
    line: "quiet 8250.nr_uarts=0 panic=-1 noreplace-smp",
    firecracker: None,
};

/// Debian's kernel.
pub fn debian(effort: &Effort) -> Result<Report> {
    let mut bench = Bench::new(effort)?;
    bench.ours(&DEBIAN, WORD)?;
    bench.qemu(&DEBIAN)?;
    let theirs = bench.theirs();
    Ok(compare(bench.report(), &DEBIAN, theirs))
}

/// The small kernel, and our own choice beside Firecracker with Debian's.
pub fn small(effort: &Effort) -> Result<Report> {
    if let Some(kernel) = &effort.guest_kernel {
        return given(effort, kernel);
    }
    session::need_small_kernel()?;
    let mut bench = Bench::new(effort)?;
    bench.ours(&SMALL, WORD)?;
    bench.qemu(&SMALL)?;
    bench.ours(&CHOSEN, TIMER_WORD)?;
    bench.firecracker(&DEBIAN, WORD)?;
    let ours = format!("{OURS}: {}, {TIMER_MS}", CHOSEN.name);
    let who = bench.theirs();
    let own_small = row(FIRECRACKER_THEN, &format!("its own small kernel, {TIMER_MS}"), THEIR_SMALL_MS);
    let theirs = [own_small.name.clone(), format!("{who}: {}, {TIMER_MS}", DEBIAN.name)];
    bench.rows.push(own_small);
    let report = compare(bench.report(), &SMALL, who);
    Ok(theirs.iter().fold(report, |report, theirs| report.compare(&ours, theirs, Some(0.8))))
}

/// A kernel that may have no console in user space: the boot timer's word is waited for, and there is no QEMU.
fn given(effort: &Effort, kernel: &Path) -> Result<Report> {
    let mut bench = Bench { kernel: Some(kernel.to_owned()), ..Bench::new(effort)? };
    bench.ours(&Case { name: "this kernel", firecracker: None, ..SMALL }, TIMER_WORD)?;
    Ok(bench.report())
}

struct Bench {
    session: Session,
    guests: Guests,
    /// In place of all cases' own.
    kernel: Option<PathBuf>,
    peer: Option<PathBuf>,
    rows: Vec<Row>,
}

impl Bench {
    fn new(effort: &Effort) -> Result<Self> {
        let guests = Guests::prepare()?;
        let session = Session::exact(LAB_MIB)?;
        Ok(Bench { session, guests, kernel: None, peer: effort.firecracker.clone(), rows: Vec::new() })
    }

    fn theirs(&self) -> &'static str {
        if self.peer.is_some() { FIRECRACKER } else { FIRECRACKER_THEN }
    }

    fn ours(&mut self, case: &Case, word: &str) -> Result<()> {
        let stockade = bin("stockade").display().to_string();
        self.vmm(case, OURS, word, &format!("cp {stockade} vmm"), "./vmm vmm")?;
        self.firecracker(case, word)
    }

    /// Time, then memory: what prints the boot timer's line is code that no other boot needs.
    fn vmm(&mut self, case: &Case, who: &str, word: &str, copy: &str, command: &str) -> Result<()> {
        let config = self.configure(case)?;
        let copy = format!("{copy}; cp {} config.json;", config.display());
        let trace = if who == OURS { "--trace" } else { "" };
        let timed = format!("{command} --no-api --boot-timer --config-file config.json");
        let seen = self.watch(case, who, &format!("--word {word} {trace}"), &copy, &timed)?;
        self.add_times(case, who, &seen)?;
        if word == TIMER_WORD {
            return Ok(());
        }
        // Firecracker ends when nobody reads its log any more.
        let rest = if who == OURS { "--rest" } else { "" };
        let plain = format!("{command} --no-api --config-file config.json");
        let seen = self.watch(case, who, &format!("--word {word} {rest}"), &copy, &plain)?;
        self.add_memory(case, who, &seen)
    }

    /// Each has a name of its own: the lab may remember what a file had in it.
    fn configure(&self, case: &Case) -> Result<PathBuf> {
        self.guests.configure(&format!("config-{}", self.rows.len()), "vmlinux", case.line)
    }

    fn qemu(&mut self, case: &Case) -> Result<()> {
        let machine = "-M microvm,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on -accel kvm -cpu host";
        let rest = "-nodefaults -no-user-config -nographic -serial stdio -no-reboot -kernel vmlinux -initrd initrd";
        let vmm = format!("qemu-system-x86_64 {machine} -m {MEMORY_MIB} {rest} -append '{}'", case.line);
        let seen = self.watch(case, QEMU, &format!("--word {WORD}"), "", &vmm)?;
        self.add_times(case, QEMU, &seen)?;
        self.add_memory(case, QEMU, &seen)
    }

    /// Everything is copied to the lab's memory first: the host's files come over a device.
    fn watch(&mut self, case: &Case, who: &str, options: &str, copy: &str, vmm: &str) -> Result<Seen> {
        let kernel = self.kernel.clone().unwrap_or_else(|| fixtures_dir().join(case.kernel));
        let script = format!(
            "set -e; cd /var/tmp; cp {} vmlinux; cp {}/initrd initrd; {copy} {} {vmm}",
            kernel.display(),
            self.guests.path().display(),
            session::watch(&format!("{options} --rounds {ROUNDS} --guest-mib {MEMORY_MIB}"))?,
        );
        self.session.watch(&script).with_context(|| format!("{who}, {}", case.name))
    }

    fn add(&mut self, case: &Case, who: &str, what: &str, value: f64) {
        self.rows.push(row(who, &format!("{}, {what}", case.name), value));
    }

    fn add_times(&mut self, case: &Case, who: &str, seen: &Seen) -> Result<()> {
        self.add(case, who, "ms from the process's start", middle(seen, |round| round.ms)?);
        if let Some(timer) = seen.rounds.iter().flat_map(|round| &round.marks).find(|mark| mark.name == TIMER_MARK) {
            self.add(case, who, TIMER_MS, timer.ms);
        }
        self.add(case, who, BUSY_MS, middle(seen, |round| round.busy_ms)?);
        self.add(case, who, "exits", middle(seen, |round| count(round.exits))?);
        for phase in &seen.phases {
            self.add(case, who, &format!("{}, ms", phase.name), phase.ms);
            self.add(case, who, &format!("{}, exits", phase.name), count(phase.exits));
        }
        for (reason, exits) in seen.reasons.iter().filter(|(_, exits)| **exits >= 20) {
            self.add(case, who, &format!("exits by {reason}"), count(*exits));
        }
        Ok(())
    }

    fn add_memory(&mut self, case: &Case, who: &str, seen: &Seen) -> Result<()> {
        self.add(case, who, OWN_KIB, middle(seen, |round| count(round.own_kib))?);
        if let Some(kib) = seen.rounds.first().and_then(|round| round.rest_kib) {
            self.add(case, who, "own memory later, KiB", count(kib));
        }
        self.add(case, who, "guest's resident memory, MiB", middle(seen, |round| count(round.guest_kib / 1024))?);
        Ok(())
    }

    /// The peer with the same configuration, or what it needed when it was at hand.
    fn firecracker(&mut self, case: &Case, word: &str) -> Result<()> {
        if let Some(peer) = self.peer.clone() {
            return self.vmm(case, FIRECRACKER, word, &format!("cp {} vmm", peer.display()), "./vmm");
        }
        if let Some((ms, exits)) = case.firecracker {
            for (what, value) in [(TIMER_MS, ms), ("exits", exits), (OWN_KIB, FIRECRACKER_OWN_KIB)] {
                self.rows.push(row(FIRECRACKER_THEN, &format!("{}, {what}", case.name), value));
            }
        }
        Ok(())
    }

    fn report(self) -> Report {
        let title = "a guest's boot in the lab, 1 processor, 128 MiB; a millisecond is a million instructions";
        Report::of_rows(title, "", self.rows).side_by_side()
    }
}

fn compare(mut report: Report, case: &Case, theirs: &str) -> Report {
    let row = |who: &str, what: &str| format!("{who}: {}, {what}", case.name);
    for (what, goal) in [(TIMER_MS, 1.0), ("exits", 0.6), (OWN_KIB, 3.0 / 4.1)] {
        report = report.compare(&row(OURS, what), &row(theirs, what), Some(goal));
    }
    report = report.compare(&row(OURS, BUSY_MS), &row(QEMU, BUSY_MS), None);
    report.compare(&row(OURS, "exits"), &row(QEMU, "exits"), None)
}
