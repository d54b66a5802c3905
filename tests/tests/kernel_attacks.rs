//! Class `kernel` under attack from inside, by programs of `tests/attacks` that run as root in their container. The
//! attacker may die of it. The host and a neighbour do not notice.

mod kernel;

use std::env;
use std::time::Duration;

use kernel::{Kernel, PATIENCE};
use stockade_tests::{ATTACKS, wait_until};

const IMAGE: &str = "localhost/attacks:latest";
const LIMITS: [&str; 4] = ["--memory", "256m", "--cpus", "1"];

/// Each ends by itself and says so; what it could not do it does not care.
const EXHAUSTING: &[&str] = &[
    "threads",
    "pids",
    "fork_bomb",
    "fds",
    "files",
    "mappings",
    "sockets",
    "pipes",
    "tmpfs",
    "watches",
    "timers",
    "epolls",
    "rights",
    "directories",
    "arguments",
    "signals",
    "locks",
];
const ON_THE_STUB: &[&str] = &["words", "races", "pages", "frames"];

/// An image with the hostile programs and a shell.
fn armed() -> Kernel {
    let programs = ["exhaust", "stub", "refused", "neighbour", "random"];
    Kernel::of_directory(IMAGE, |directory| ATTACKS.build(&programs, directory))
}

/// One second of the neighbour's life.
#[derive(Clone, Copy, Debug)]
struct Second {
    /// Round trips that took longer than 99 of 100, in microseconds.
    p99_us: f64,
    wrong: u32,
}

struct Neighbour<'a>(&'a Kernel);

impl<'a> Neighbour<'a> {
    fn start(kernel: &'a Kernel) -> Self {
        kernel.background("neighbour", &["/neighbour"]);
        Self(kernel)
    }

    fn seconds(&self) -> Vec<Second> {
        let log = self.0.stockade(&["logs", "neighbour"]).ok().stdout;
        let second = |line: &str| {
            let fields: Vec<f64> = line.split(' ').map(|field| field.parse().expect("a number")).collect();
            let [_rounds, p99_us, _longest, wrong] = fields[..] else { panic!("{line:?} is no second") };
            Second { p99_us, wrong: if wrong == 0.0 { 0 } else { 1 } }
        };
        log.lines().map(second).collect()
    }

    /// Waits until it lived on for some seconds after `before`.
    #[track_caller]
    fn after(&self, before: usize, seconds: usize) -> Vec<Second> {
        let what = format!("{seconds} more seconds of the neighbour");
        wait_until(&what, PATIENCE, || self.seconds().len() >= before + seconds);
        self.seconds().split_off(before)
    }
}

fn median_us(seconds: &[Second]) -> f64 {
    let mut all: Vec<f64> = seconds.iter().map(|second| second.p99_us).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Beside others' work on a small machine; an attack that reached the neighbour would stop it for seconds.
fn bound_us(undisturbed: f64) -> f64 {
    undisturbed * 20.0 + 100_000.0
}

#[test]
fn attacks_reach_neither_host_nor_neighbour() {
    let kernel = armed();
    let neighbour = Neighbour::start(&kernel);
    let undisturbed = median_us(&neighbour.after(0, 3));
    let mut report = Vec::new();
    let mut attack = |program: &str, name: &str, codes: &[i32]| {
        let before = neighbour.seconds().len();
        let output = kernel.run(&LIMITS, &[&format!("/{program}"), name]).run();
        let lived = neighbour.after(before, 1);
        assert!(codes.contains(&output.code), "{name}: {output}");
        let said = if output.code == 0 { format!("{name}: over\n") } else { String::new() };
        assert_eq!(output.stdout, said, "{name}: what it says besides was granted to it");
        assert!(lived.iter().all(|second| second.wrong == 0), "{name} changed a neighbour's answers");
        report.push((name.to_owned(), median_us(&lived)));
    };
    EXHAUSTING.iter().for_each(|name| attack("exhaust", name, &[0]));
    attack("exhaust", "memory", &[137]);
    ON_THE_STUB.iter().for_each(|name| attack("stub", name, &[0]));
    attack("stub", "spawner", &[0, 137]);
    ["foreign", "entries"].iter().for_each(|name| attack("refused", name, &[0]));
    eprintln!("the neighbour's 99th of 100, undisturbed {undisturbed} us; then {report:?}");
    let late: Vec<_> = report.iter().filter(|(_, p99_us)| *p99_us > bound_us(undisturbed)).collect();
    assert!(late.is_empty(), "these attacks reached the neighbour, which takes {undisturbed} us alone: {late:?}");
    let left = kernel.stockade(&["ps", "-aq"]).ok().stdout;
    assert_eq!(left.lines().count(), 1, "only the neighbour is left");
}

#[test]
fn processes_that_meet_the_memory_limit_leave_init_alive() {
    let kernel = armed();
    let output = kernel.run(&["--memory", "32m"], &["/exhaust", "crowd"]).timeout(PATIENCE * 3).run();
    assert_eq!((output.stdout.as_str(), output.code), ("crowd: over\n", 0), "{output}");
}

#[test]
fn who_blocks_the_kernels_signal_is_ended() {
    let kernel = armed();
    kernel.background("box", &["sh", "-c", "/stub blocked; echo ended $?; sleep 1000"]);
    kernel.wait_for_log("box", "blocked");
    std::thread::sleep(Duration::from_millis(200));
    kernel.stockade(&["exec", "box", "sh", "-c", "kill -TERM $(pidof stub)"]).ok();
    kernel.wait_for_log("box", "ended 137");
}

/// What the kernel keeps lies in the monitor, and whoever filled that would take the sandbox along.
#[test]
fn what_the_kernel_keeps_is_held_to_the_limit() {
    let kernel = armed();
    let output = kernel.run(&["--memory", "32m"], &["/exhaust", "kept"]).timeout(PATIENCE).run();
    assert_eq!((output.stdout.as_str(), output.code), ("kept: over\n", 0), "{output}");
}

/// `STOCKADE_FUZZ_SECONDS` says how long; `cargo xtask fuzz` sets it.
#[test]
fn random_calls_leave_a_kernel_that_works() {
    let seconds: u64 = env::var("STOCKADE_FUZZ_SECONDS").ok().map_or(2, |text| text.parse().expect("a number"));
    let seed = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos().to_string();
    let kernel = armed();
    let command = ["/random", &seconds.to_string(), &seed];
    let output = kernel.run(&LIMITS, &command).timeout(Duration::from_secs(seconds + 60)).run();
    assert_eq!((output.stdout.as_str(), output.code), ("random: over\n", 0), "seed {seed}: {output}");
}
