//! Class `kernel`: whatever dies, nothing of the sandbox is left; and what sleeps costs no CPU time.

mod kernel;

use std::fs;
use std::thread;
use std::time::Duration;

use kernel::{BUSYBOX, Kernel, PATIENCE};
use rustix::process::{Pid, Signal, kill_process};
use stockade_tests::wait_until;

/// A container with processes that sleep.
fn sleeping() -> Kernel {
    let kernel = Kernel::new(BUSYBOX);
    kernel.background("box", &["sh", "-c", "sleep 1000 & sleep 1000 & echo up; wait"]);
    kernel.wait_for_log("box", "up");
    kernel
}

/// Kills the processes with this name; the container must end with this status, and with it all of its processes.
#[track_caller]
fn survives_the_death_of(name: &str) {
    let kernel = sleeping();
    let victims = kernel.host_processes(name);
    assert!(!victims.is_empty(), "no {name} runs");
    for pid in victims.into_iter().filter_map(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
    wait_until("its processes to end", PATIENCE, || kernel.host_processes("").is_empty());
    kernel.wait_for("box", "{{.State.Status}} {{.State.ExitCode}}", "exited 137");
    let listed = kernel.stockade(&["ps", "-a", "--format", "json"]).ok().stdout;
    assert!(listed.contains("Exited (137)"), "{listed}");
}

#[test]
fn the_monitor_dies() {
    survives_the_death_of("stockade-monitor");
}

#[test]
fn the_proxy_dies() {
    survives_the_death_of("stockade-proxy");
}

#[test]
fn a_stub_dies() {
    survives_the_death_of("stub");
}

#[test]
fn the_supervisor_dies() {
    let kernel = sleeping();
    let pid: i32 = kernel.field("box", "{{.State.Pid}}").parse().expect("a pid");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the proxy lives");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).and_then(|pid| pid.parse().ok());
    let parent = Pid::from_raw(parent.expect("it has a parent")).expect("a pid");
    kill_process(parent, Signal::KILL).expect("kill the supervisor");
    kernel.stockade(&["kill", "box"]).run();
    wait_until("its processes to end", PATIENCE, || kernel.host_processes("").is_empty());
    wait_until("it to be listed as ended", PATIENCE, || kernel.stockade(&["ps", "-a"]).ok().stdout.contains("Exited"));
}

/// User and system time of a process and its threads in clock ticks (proc_pid_stat(5)).
fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[test]
fn what_sleeps_uses_no_cpu_time() {
    let kernel = sleeping();
    let all = || kernel.host_processes("").into_iter().map(ticks).sum::<u64>();
    thread::sleep(Duration::from_millis(500));
    let before = all();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(all(), before);
}
