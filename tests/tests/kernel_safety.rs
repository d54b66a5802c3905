//! Class `kernel`: whatever dies, nothing of the sandbox is left; and what sleeps costs no CPU time.

mod kernel;

use std::fs;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use kernel::{BUSYBOX, Kernel, PATIENCE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
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

/// How much of its own program's code a process has mapped, in percent; 100 when it is gone.
fn code_percent(pid: i32) -> u64 {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
    let of_code: Vec<&str> = smaps.lines().skip_while(|line| !line.contains(" r-xp ")).collect();
    let kib = |name: &str| -> Option<u64> {
        let value = of_code.iter().find_map(|line| line.strip_prefix(name))?;
        value.trim().strip_suffix(" kB")?.parse().ok()
    };
    kib("Rss:").zip(kib("Size:")).map_or(100, |(resident, all)| resident * 100 / all)
}

#[test]
fn who_waits_gives_back_the_code_that_only_its_start_needed() {
    let kernel = sleeping();
    for name in ["stockade-monitor", "stockade-proxy"] {
        let pids = kernel.host_processes(name);
        assert!(!pids.is_empty(), "no {name} runs");
        wait_until(&format!("{name} to rest"), PATIENCE, || pids.iter().all(|pid| code_percent(*pid) < 15));
    }
    assert_eq!(kernel.stockade(&["exec", "box", "echo", "awake"]).ok().out(), "awake");
}

/// CPU time of all threads of some processes so far (Documentation/scheduler/sched-stats.rst).
fn cpu_time(processes: &[i32]) -> Duration {
    let threads = |pid: &i32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = |thread: fs::DirEntry| -> u64 {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(processes.iter().flat_map(threads).map(nanos).sum())
}

/// 0.0 % of a CPU in ten seconds, rounded to tenths as top(1) shows it; each sandbox by itself.
#[track_caller]
fn idle_sandboxes_use_no_cpu_time(count: usize) {
    let kernel = Kernel::new(BUSYBOX);
    for number in 0..count {
        kernel.background(&format!("box{number}"), &["sh", "-c", "sleep 1000 & wait"]);
    }
    wait_until("all processes to sleep", PATIENCE, || kernel.host_processes("stub").len() >= 3 * count);
    thread::sleep(Duration::from_secs(2));
    let all = kernel.host_processes("");
    let before = cpu_time(&all);
    thread::sleep(Duration::from_secs(10));
    let used = cpu_time(&all) - before;
    eprintln!("{count} idle sandboxes of {} processes used {used:?} in 10 s", all.len());
    assert!(used < Duration::from_millis(5) * u32::try_from(count).expect("few"), "{used:?}");
}

#[test]
fn one_idle_sandbox_uses_no_cpu_time() {
    idle_sandboxes_use_no_cpu_time(1);
}

#[test]
fn twenty_idle_sandboxes_use_no_cpu_time() {
    idle_sandboxes_use_no_cpu_time(20);
}

/// How long it takes all processes of a sandbox to be dead after one was killed; 100 ms on a quiet machine.
#[track_caller]
fn everything_ends_soon_after(victim: &str) {
    let kernel = sleeping();
    let victims = kernel.host_processes(victim);
    let watched: Vec<OwnedFd> = kernel
        .host_processes("")
        .into_iter()
        .filter_map(Pid::from_raw)
        .filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        .collect();
    // The oldest stub but the zygote is the init's.
    let victim = if victim == "stub" { victims[1] } else { victims[0] };
    let start = Instant::now();
    kill_process(Pid::from_raw(victim).expect("a pid"), Signal::KILL).expect("it lives");
    for process in &watched {
        let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
        let mut fds = [PollFd::new(process, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&limit)), Ok(1), "a process outlives the sandbox by 5 s");
    }
    let took = start.elapsed();
    eprintln!("{} processes were dead {took:?} after a kill", watched.len());
    assert!(took < Duration::from_millis(100) * BUSY, "{took:?}");
    kernel.wait_for("box", "{{.State.Status}} {{.State.ExitCode}}", "exited 137");
}

/// How many times slower this may be where others work too.
const BUSY: u32 = 20;

#[test]
fn all_ends_at_once_when_the_monitor_dies() {
    everything_ends_soon_after("stockade-monitor");
}

#[test]
fn all_ends_at_once_when_the_inits_stub_dies() {
    everything_ends_soon_after("stub");
}
