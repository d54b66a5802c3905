//! Class `kernel`: several containers on one kernel.

mod kernel;

use kernel::{BUSYBOX, Kernel, PATIENCE};
use stockade_tests::{Cmd, wait_until};

/// From a file: busybox's nc ends when its peer has no more to say, even before it has read what it is to send.
const SERVE: &str = "echo hello >/hello; echo up; while :; do nc -l -p 7000 </hello; done";
const WAIT: &str = "echo up; while :; do sleep 1000; done";

/// The first container of a sandbox, which answers on port 7000.
fn owner() -> Kernel {
    let kernel = Kernel::new(BUSYBOX);
    kernel.background("first", &["sh", "-c", SERVE]);
    kernel.wait_for_log("first", "up");
    kernel
}

fn join(kernel: &Kernel, flags: &[&str], script: &str) -> Cmd {
    kernel.run_in("kernel", &[&["--network", "container:first"], flags].concat(), &["sh", "-c", script])
}

#[test]
fn containers_of_a_sandbox_share_kernel_and_network_only() {
    let kernel = owner();
    let ask = "until nc 127.0.0.1 7000; do sleep 0.1; done";
    assert_eq!(join(&kernel, &["--rm"], ask).ok().out(), "hello");
    join(&kernel, &["-d", "--name", "second"], WAIT).ok();
    kernel.wait_for_log("second", "up");
    assert_eq!(kernel.host_processes("stockade-monitor").len(), 1);
    let exec = |name: &str, script: &str| kernel.stockade(&["exec", name, "sh", "-c", script]);
    exec("second", "echo mine > /mine; kill -0 1").ok();
    exec("first", "test -e /mine").exits(1);
    let pids = |name: &str| exec(name, "ls -d /proc/[0-9]* | wc -l").ok().out().parse::<u32>().expect("a number");
    assert!(pids("second") <= 6, "its own processes alone");
    let top = kernel.stockade(&["top", "second", "-o", "pid,ppid"]).ok().stdout;
    assert!(top.contains('1') && !kernel.stockade(&["stats", "--no-stream", "second"]).ok().stdout.is_empty());
    kernel.stockade(&["kill", "second"]).ok();
    assert_eq!(kernel.stockade(&["wait", "second"]).ok().out(), "137");
    exec("first", "true").ok();
    kernel.stockade(&["start", "second"]).ok();
    kernel.wait_for("second", "{{.State.Running}}", "true");
    exec("second", "exit 7").exits(7);
}

#[test]
fn a_sandbox_ends_with_the_container_it_was_made_for() {
    let kernel = owner();
    join(&kernel, &["-d", "--name", "second"], WAIT).ok();
    kernel.wait_for_log("second", "up");
    kernel.stockade(&["rm", "-f", "first"]).ok();
    assert_eq!(kernel.stockade(&["wait", "second"]).ok().out(), "137");
    wait_until("all processes to end", PATIENCE, || kernel.host_processes("").is_empty());
}

#[test]
fn what_only_a_whole_sandbox_can_have_is_refused() {
    let kernel = owner();
    let refused = |flags: &[&str], why: &str| {
        let said = join(&kernel, &[&["--rm"], flags].concat(), "true").exits(125);
        assert!(said.stderr.contains(why), "{said}");
    };
    refused(&["-m", "64m"], "limit one container's memory");
    refused(&["--cpus", "1"], "limit one container's CPU time");
    refused(&["--pid", "container:first"], "share another container's processes");
    join(&kernel, &["-d", "--name", "second", "--pids-limit", "3"], WAIT).ok();
    kernel.wait_for_log("second", "up");
    let bomb = kernel.stockade(&["exec", "second", "sh", "-c", "sleep 9 & sleep 9 & sleep 9"]).run();
    assert_ne!(bomb.code, 0, "its limit of processes is its own");
    let paused = kernel.stockade(&["pause", "second"]).exits(1);
    assert!(paused.stderr.contains("pause one container of a sandbox"), "{paused}");
    kernel.run_in("native", &["-d", "--name", "host"], &["sleep", "1000"]).ok();
    let said = kernel.run_in("kernel", &["--rm", "--network", "container:host"], &["true"]).exits(125);
    assert!(said.stderr.contains("no kernel of ours"), "{said}");
}
