//! `vm-restore`: from the request to load a snapshot to the first word of the guest that goes on, beside the boot of
//! the same guest; with its memory mapped from the file, and by a process that answers page faults
//! (`tests/lab/uffd.c`): a page at a time, with what is around it, and with what a restore before touched filled first.
//! The time is the kernel's own trace's: who waits for the word gets the lab's one processor only when the guest, which
//! goes on talking, has had it for some milliseconds.

use anyhow::{Context, Result};
use serde_json::json;
use stockade_tests::{LAB, bin, fixtures_dir};

use super::super::Effort;
use super::super::report::{Report, Row};
use super::guest::{ALIVE, Guests, MEMORY_MIB, WORD};
use super::session::{self, DEBIAN_KERNEL, SMALL_KERNEL, Session, count, middle, row};
use crate::lab::watch::{Seen, Silent};

/// The share of a boot that a restore may take.
const GOAL: f64 = 0.1;
const LAB_MIB: u32 = 3072;
const ROUNDS: usize = 1;
/// The guest is saved wherever it is: how much it does before its next word differs.
const SAVES: usize = 5;

/// Seconds of the lab's in which a guest has said something. A boot takes less than one.
const PATIENCE: u32 = 3;

struct Kernel {
    name: &'static str,
    /// Below the fixtures.
    file: &'static str,
    line: &'static str,
    /// How many boots one state may take. Guests of Debian's kernel that print for ever stand still in some boots of
    /// the lab, Firecracker's too; those of the small one have never done so.
    boots: usize,
}

const KERNELS: [Kernel; 2] = [
    Kernel {
        name: "Debian 6.12",
        file: DEBIAN_KERNEL,
        line: "console=ttyS0 reboot=t panic=-1 quiet cryptomgr.notests",
        boots: 5,
    },
    Kernel { name: "small 6.12", file: SMALL_KERNEL, line: "console=ttyS0 reboot=t panic=-1 quiet", boots: 1 },
];

/// What is done with a guest, by name.
const BOOT: &str = "boot";

struct Load {
    how: &'static str,
    /// How the process that answers page faults does so; without one, memory is mapped from its file.
    faults: Option<&'static str>,
}

impl Load {
    fn vmm(&self) -> String {
        let vmm = "./stockade vmm --api-sock api.sock";
        let Some(faults) = self.faults else { return vmm.to_owned() };
        format!(
            "sh -c 'rm -f faults.sock; ./uffd faults.sock memory {faults} & \
             while ! test -S faults.sock; do sleep 0.01; done; exec {vmm}'"
        )
    }
}

const LOADS: [Load; 4] = [
    Load { how: "restore", faults: None },
    Load { how: "restore, userfaultfd", faults: Some("1") },
    Load { how: "restore, userfaultfd by 32 KiB", faults: Some("8") },
    // The watch's first round, which does not count, makes the list.
    Load { how: "restore, userfaultfd, touched before", faults: Some("1 touched") },
];

const TOTAL_MS: &str = "ms from the process's start";
const REQUEST_MS: &str = "ms from the request to the first word";

/// Everything is copied to the lab's memory first: the host's files come over a device.
const SET_UP: &str = r#"set -e
cd /var/tmp
cp "$kernel" vmlinux; cp "$guests/initrd-alive" initrd; cp "$guests/uffd" uffd; cp "$guests/config.json" config.json
[ -e stockade ] || cp "$stockade" stockade
"#;

/// A guest is saved when it has said something and goes on.
const SAVE: &str = r#"rm -f first.sock touched
./stockade vmm --api-sock first.sock --config-file config.json </dev/null >said & vmm=$!
words() { grep -c "$word" said || true; }
said_more_than() {
    for _ in $(seq 0 $((patience * 10))); do
        [ "$(words)" -le "$1" ] || return 0
        sleep 0.1
    done
    echo "the guest stands still: it said no more than $(words) words in $patience s" >&2
    exit $silent
}
said_more_than 0
said_more_than "$(words)"
ask() { curl -sS --fail-with-body --unix-socket first.sock -X "$1" "http://localhost/$2" --data "$3" >&2; }
ask PATCH vm '{"state": "Paused"}'
ask PUT snapshot/create '{"snapshot_path": "state", "mem_file_path": "memory"}'
kill -9 $vmm
"#;

/// All in one lab.
pub fn run(_: &Effort) -> Result<Report> {
    let mut bench = Bench { guests: Guests::prepare()?, session: Session::exact(LAB_MIB)?, rows: Vec::new() };
    LAB.build(&["uffd"], bench.guests.path());
    let kernels: Vec<_> = KERNELS.iter().filter(|kernel| session::has(kernel.file)).collect();
    for kernel in &kernels {
        bench.kernel(kernel).context(kernel.name)?;
    }
    let title = "a guest from a snapshot in the lab, 1 processor, 128 MiB; a millisecond is a million instructions";
    let mut report = Report::of_rows(title, "", bench.rows).side_by_side();
    for Kernel { name, .. } in kernels {
        for Load { how, .. } in LOADS {
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
    fn kernel(&mut self, kernel: &Kernel) -> Result<()> {
        let Kernel { name, line, boots, .. } = kernel;
        self.guests.configure("config", "vmlinux", line)?;
        let mut still = 0;
        let boot = again(*boots, &mut still, || self.boot(kernel))?;
        let states = (0..SAVES).map(|_| again(*boots, &mut still, || self.state(kernel)));
        let states: Vec<_> = states.collect::<Result<_>>()?;
        let mut add = |what: &str, value: f64| self.rows.push(row(&format!("{name}, {BOOT}"), what, value));
        add(TOTAL_MS, middle(&boot, |round| round.ms)?);
        add("again because a guest stood still, times", count(still));
        for (index, Load { how, .. }) in LOADS.iter().enumerate() {
            let loads: Vec<_> = states.iter().map(|loads| &loads[index]).collect();
            self.add_loads(&format!("{name}, {how}"), &loads)?;
        }
        Ok(())
    }

    fn boot(&mut self, kernel: &Kernel) -> Result<Seen> {
        let boot = format!("{} ./stockade vmm --no-api --config-file config.json", watch(WORD)?);
        self.session.watch(&format!("{}{boot}", self.set_up(kernel))).context(BOOT)
    }

    /// Saves a guest, and has it go on each way.
    fn state(&mut self, kernel: &Kernel) -> Result<Vec<Seen>> {
        let words = format!("word={ALIVE} patience={PATIENCE} silent={}", Silent::STATUS);
        self.session.output(&format!("{}{words}\n{SAVE}", self.set_up(kernel))).context("save")?;
        LOADS.iter().map(|load| self.load(load).context(load.how)).collect()
    }

    fn load(&mut self, load: &Load) -> Result<Seen> {
        let (backend, path) = load.faults.map_or(("File", "memory"), |_| ("Uffd", "faults.sock"));
        let body = json!({
            "snapshot_path": "state", "resume_vm": true,
            "mem_backend": {"backend_type": backend, "backend_path": path},
        });
        let watch = watch(&format!("{ALIVE} --trace --load '{body}'"))?;
        self.session.watch(&format!("set -e; cd /var/tmp; {watch} {}", load.vmm()))
    }

    fn add_loads(&mut self, who: &str, loads: &[&Seen]) -> Result<()> {
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

    fn set_up(&self, kernel: &Kernel) -> String {
        let files = [fixtures_dir().join(kernel.file), self.guests.path().to_owned(), bin("stockade")];
        let [kernel, guests, stockade] = files.map(|file| file.display().to_string());
        format!("kernel={kernel} guests={guests} stockade={stockade}\n{SET_UP}")
    }
}

/// Tries up to so many boots while guests stand still, and counts how often again.
fn again<T>(boots: usize, still: &mut u64, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..boots {
        match attempt() {
            Err(error) if error.is::<Silent>() => eprintln!("again: {error:#}"),
            result => return result,
        }
        *still += 1;
    }
    attempt()
}

fn watch(word: &str) -> Result<String> {
    session::watch(&format!("--rounds {ROUNDS} --guest-mib {MEMORY_MIB} --patience {PATIENCE} --word {word}"))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn only_guests_that_stand_still_are_booted_again_and_not_for_ever() {
        let check = |boots: usize, outcomes: &[Result<u32, bool>], expected: Result<u32, bool>, times: u64| {
            let (mut still, mut outcomes) = (0, outcomes.iter());
            let seen = again(boots, &mut still, || match outcomes.next().expect("no more boots") {
                Ok(value) => Ok(*value),
                Err(true) => Err(Silent("still".to_owned())).context("save"),
                Err(false) => Err(anyhow!("ill")),
            });
            assert_eq!((seen.map_err(|error| error.is::<Silent>()), still), (expected, times));
            assert!(outcomes.next().is_none(), "fewer boots than expected");
        };
        check(5, &[Ok(1)], Ok(1), 0);
        check(5, &[Err(true), Err(true), Ok(1)], Ok(1), 2);
        check(5, &[Err(true), Err(false)], Err(false), 1);
        check(3, &[Err(true), Err(true), Err(true)], Err(true), 2);
        check(1, &[Err(true)], Err(true), 0);
    }
}
