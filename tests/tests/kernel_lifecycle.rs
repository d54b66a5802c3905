//! Class `kernel`: every verb on a running container.

mod kernel;

use std::time::Duration;

use kernel::{BUSYBOX, DEBIAN, Kernel, PATIENCE};
use stockade_tests::wait_until;

/// Says what it gets until it is told to end.
const LISTEN: &str = "trap 'echo usr1' USR1; trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.1; done";

#[test]
fn a_container_runs_is_entered_signalled_and_removed() {
    let kernel = Kernel::new(DEBIAN);
    kernel.background("box", &["bash", "-c", LISTEN]);
    kernel.wait_for_log("box", "ready");
    let row = kernel.stockade(&["ps", "--format", "json"]).ok().stdout;
    assert!(row.contains("kernel") && row.contains("\"box\""), "{row}");
    let exec = |args: &[&str]| kernel.stockade(&[&["exec"], args].concat());
    assert_eq!(exec(&["box", "bash", "-c", "echo in; exit 9"]).exits(9).out(), "in");
    assert_eq!(exec(&["-i", "box", "cat"]).input("typed").ok().stdout, "typed");
    let as_user = exec(&["-u", "1000", "-w", "/tmp", "-e", "Q=1", "box", "bash", "-c", "id -u; pwd; echo $Q"]).ok();
    assert_eq!(as_user.out(), "1000\n/tmp\n1");
    let missing = exec(&["box", "no-such-program"]).exits(127);
    assert!(missing.stderr.contains("executable file not found in $PATH"), "{missing}");
    exec(&["box", "bash", "-c", "kill -9 $$"]).exits(137);
    exec(&["-d", "box", "touch", "/made"]).ok();
    wait_until("the detached process to end", PATIENCE, || exec(&["box", "test", "-e", "/made"]).run().code == 0);
    kernel.stockade(&["kill", "-s", "USR1", "box"]).ok();
    kernel.wait_for_log("box", "usr1");
    kernel.stockade(&["stop", "box"]).ok();
    assert_eq!(kernel.stockade(&["wait", "box"]).ok().out(), "5");
    assert_eq!(kernel.stockade(&["logs", "box"]).ok().stdout, "ready\nusr1\nbye\n");
    assert_eq!(kernel.field("box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 5");
    exec(&["box", "true"]).exits(1);
    kernel.stockade(&["start", "box"]).ok();
    kernel.wait_for("box", "{{.State.Running}}", "true");
    kernel.stockade(&["rm", "box"]).exits(1);
    kernel.stockade(&["rm", "-f", "box"]).ok();
    assert_eq!(kernel.stockade(&["ps", "-aq"]).ok().out(), "");
}

#[test]
fn a_paused_container_stands_still() {
    let kernel = Kernel::new(BUSYBOX);
    kernel.background("box", &["sh", "-c", "while :; do echo tick; sleep 0.05; done"]);
    kernel.wait_for_log("box", "tick");
    let lines = || kernel.stockade(&["logs", "box"]).ok().stdout.lines().count();
    kernel.stockade(&["pause", "box"]).ok();
    assert_eq!(kernel.field("box", "{{.State.Status}}"), "paused");
    let before = lines();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(lines(), before);
    let refused = kernel.stockade(&["exec", "box", "true"]).exits(1);
    assert!(refused.stderr.contains("paused"), "{refused}");
    kernel.stockade(&["unpause", "box"]).ok();
    wait_until("the container to go on", PATIENCE, || lines() > before);
    kernel.stockade(&["kill", "box"]).ok();
    assert_eq!(kernel.stockade(&["wait", "box"]).ok().out(), "137");
}

#[test]
fn orphans_are_reaped_and_end_with_their_container() {
    let kernel = Kernel::new(BUSYBOX);
    let script = "for i in 1 2 3 4 5; do (sh -c 'sleep 1000' &); done; (true &); echo started; sleep 0.3; exit 3";
    kernel.run(&[], &["sh", "-c", script]).exits(3);
    kernel.background("box", &["sh", "-c", "sleep 1000 & sleep 1000 & echo ready; wait"]);
    kernel.wait_for_log("box", "ready");
    assert!(!kernel.host_processes("stockade-monitor").is_empty());
    kernel.stockade(&["kill", "box"]).ok();
    assert_eq!(kernel.stockade(&["wait", "box"]).ok().out(), "137");
    wait_until("its processes to end", PATIENCE, || kernel.host_processes("").is_empty());
}

#[test]
fn many_at_once() {
    let kernel = Kernel::new(BUSYBOX);
    let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    for name in &names {
        kernel.background(name, &["sh", "-c", "echo up; exec sleep 1000"]);
    }
    for name in &names {
        kernel.wait_for_log(name, "up");
    }
    assert_eq!(kernel.stockade(&["ps", "-q"]).ok().stdout.lines().count(), names.len());
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    kernel.stockade(&[&["rm", "-f"], all.as_slice()].concat()).ok();
    assert_eq!(kernel.stockade(&["ps", "-aq"]).ok().out(), "");
}

#[test]
fn top_and_stats_answer() {
    let kernel = Kernel::new(BUSYBOX);
    kernel.background("box", &["sh", "-c", "echo up; sleep 1000"]);
    kernel.wait_for_log("box", "up");
    let top = kernel.stockade(&["top", "box"]).ok().stdout;
    assert!(top.lines().count() == 2 && top.contains("sleep 1000"), "one process, as the inside sees it: {top}");
    let row = kernel.stockade(&["stats", "--no-stream", "--format", "json", "box"]).ok().json();
    assert!(row["MemUsage"].as_str().is_some_and(|text| !text.starts_with("0B")), "{row}");
}
