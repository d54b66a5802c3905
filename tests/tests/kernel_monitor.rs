//! Class `kernel`: limits that end applications and never their kernel, what is told from inside, and the trace.

mod kernel;

use std::fs;

use kernel::{BUSYBOX, Kernel, PATIENCE};
use serde_json::Value;
use stockade_tests::wait_until;

/// Uses so many MiB, bit by bit: nothing but their sum is too much.
fn use_memory(mib: u32) -> String {
    format!("awk 'BEGIN {{ x = sprintf(\"%1024s\", \"\"); while (i++ < {mib} * 1024) a[i] = x i }}'")
}

/// A container that only waits.
fn waiting(flags: &[&str]) -> Kernel {
    let kernel = Kernel::new(BUSYBOX);
    let flags = [&["-d", "--name", "box"], flags].concat();
    kernel.run_in("kernel", &flags, &["sh", "-c", "echo up; while :; do sleep 1000; done"]).ok();
    kernel.wait_for_log("box", "up");
    kernel
}

fn exec(kernel: &Kernel, script: &str) -> i32 {
    kernel.stockade(&["exec", "box", "sh", "-c", script]).run().code
}

#[test]
fn who_uses_too_much_memory_is_killed_and_nobody_else() {
    let kernel = waiting(&["-m", "64m"]);
    let monitors = kernel.host_processes("stockade-monitor");
    assert_eq!(exec(&kernel, &use_memory(8)), 0);
    assert_eq!(exec(&kernel, &use_memory(100)), 137);
    assert_eq!(exec(&kernel, "dd if=/dev/zero of=/dev/null bs=100M count=1"), 1, "one piece is refused: ENOMEM");
    assert_eq!(kernel.host_processes("stockade-monitor"), monitors);
    wait_until("the event", PATIENCE, || {
        let events = ["events", "--since", "1h", "--until", "0s", "--format", "json"];
        kernel.stockade(&events).run().stdout.contains("oom")
    });
}

#[test]
fn an_init_that_uses_too_much_memory_ends_its_container() {
    let kernel = Kernel::new(BUSYBOX);
    let run = ["-d", "--name", "box", "-m", "32m"];
    kernel.run_in("kernel", &run, &["sh", "-c", &format!("exec {}", use_memory(100))]).ok();
    assert_eq!(kernel.stockade(&["wait", "box"]).ok().out(), "137");
    assert_eq!(kernel.field("box", "{{.State.OOMKilled}}"), "true");
}

#[test]
fn limits_change_while_it_runs() {
    let kernel = waiting(&["-m", "256m"]);
    assert_eq!(exec(&kernel, &use_memory(100)), 0);
    // The host takes a moment to free what has just ended, and refuses a limit below what is in use.
    let update = ["update", "-m", "48m", "--memory-swap", "48m", "box"];
    wait_until("the lower limit", PATIENCE, || kernel.stockade(&update).run().code == 0);
    assert_eq!(exec(&kernel, &use_memory(100)), 137);
    let inside = kernel.stockade(&["exec", "box", "cat", "/sys/fs/cgroup/memory.max"]).ok();
    assert_eq!(inside.out(), (48 << 20).to_string());
    kernel.stockade(&["update", "-m", "256m", "--memory-swap", "256m", "box"]).ok();
    assert_eq!(exec(&kernel, &use_memory(100)), 0);
}

#[test]
fn files_in_memory_count() {
    let kernel = waiting(&["-m", "64m"]);
    let monitors = kernel.host_processes("stockade-monitor");
    let write = "dd if=/dev/zero of=/file bs=1M count=200 2>&1; rm /file";
    let said = kernel.stockade(&["exec", "box", "sh", "-c", write]).ok().stdout;
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(exec(&kernel, "dd if=/dev/zero of=/file bs=1M count=8 2>/dev/null && rm /file"), 0);
    assert_eq!(kernel.host_processes("stockade-monitor"), monitors);
}

#[test]
fn a_limit_of_processes_leaves_the_kernel_its_threads() {
    let kernel = waiting(&["--pids-limit", "12"]);
    // The shell ends when it cannot fork.
    let bomb = "for i in $(seq 40); do sleep 1000 & done";
    kernel.stockade(&["exec", "-d", "box", "sh", "-c", bomb]).ok();
    let pids = || kernel.stockade(&["stats", "--no-stream", "--format", "{{.PIDs}}", "box"]).ok().out().to_owned();
    wait_until("the limit to be reached", PATIENCE, || pids() == "11");
    let two = "sleep 0 & wait $!";
    assert_ne!(exec(&kernel, two), 0, "there is room for one more, not for two");
    kernel.stockade(&["update", "--pids-limit", "60", "box"]).ok();
    assert_eq!(exec(&kernel, two), 0);
}

#[test]
fn top_and_stats_tell_of_the_inside() {
    let kernel = waiting(&["-m", "128m"]);
    kernel.stockade(&["exec", "-d", "box", "sh", "-c", "head -c 30m /dev/zero > /file; exec sleep 2000"]).ok();
    let top = |options: &[&str]| kernel.stockade(&[&["top", "box"], options].concat()).ok().stdout;
    wait_until("all to sleep", PATIENCE, || top(&["-o", "comm"]).matches("sleep").count() == 2);
    let table = top(&[]);
    let mut lines = table.lines();
    assert_eq!(
        lines.next().map(|line| line.split_whitespace().collect()),
        Some(vec!["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
    );
    let init: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    assert_eq!((init[0], init[1], init[2]), ("root", "1", "0"), "{table}");
    let sleeper = top(&["axo", "pid=,stat,ruser,args"]);
    let is_told =
        |line: &str| line.contains(" S") && line.trim_end().ends_with(" sleep 2000") && line.contains(" root ");
    assert!(sleeper.lines().any(is_told), "{sleeper}");
    assert!(top(&["aux"]).starts_with("USER"), "the form of BSD");
    assert_eq!(top(&["-C", "sleep", "-o", "pid", "--sort=-pid"]).lines().count(), 3, "two that sleep");
    assert_eq!(top(&["-p", "1", "-o", "comm="]).trim(), "sh");
    assert!(top(&["-eTo", "pid,spid,comm"]).lines().any(|line| line.split_whitespace().eq(["1", "1", "sh"])));
    assert!(top(&["axf"]).contains(r" \_ sleep"), "children below their parent");
    kernel.stockade(&["top", "box", "-T", "--forest"]).exits(1);
    let stats: Value = kernel.stockade(&["stats", "--no-stream", "--format", "json", "box"]).ok().json();
    let text = |key: &str| stats[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(text("PIDs"), "3", "{stats}");
    let usage = text("MemUsage");
    let mib: f64 = usage.split("MiB").next().and_then(|mib| mib.parse().ok()).unwrap_or_default();
    assert!((30.0..60.0).contains(&mib) && usage.ends_with("/ 128MiB"), "{stats}");
    assert!(text("MemOverhead").contains("iB"), "{stats}");
}

#[test]
fn a_paused_container_is_killed_and_answers_what_it_can() {
    let kernel = waiting(&[]);
    kernel.stockade(&["pause", "box"]).ok();
    kernel.stockade(&["stats", "--no-stream", "box"]).ok();
    let refused = kernel.stockade(&["top", "box"]).exits(1);
    assert!(refused.stderr.contains("paused"), "{refused}");
    kernel.stockade(&["update", "--pids-limit", "50", "box"]).ok();
    kernel.stockade(&["kill", "box"]).ok();
    assert_eq!(kernel.stockade(&["wait", "box"]).ok().out(), "137");
}

#[test]
fn the_trace_reads_as_that_of_strace() {
    let kernel = Kernel::new(BUSYBOX);
    let file = kernel.scratch.path("trace");
    let script =
        "cat /etc/passwd > /dev/null; (sleep 1; exit 3); mkdir /etc 2>/dev/null; sh -c 'kill -USR1 $$'; exit 4";
    kernel.run(&[&format!("--strace={}", file.display())], &["sh", "-c", script]).exits(4);
    let trace = fs::read_to_string(&file).expect("read the trace");
    let has = |parts: &[&str]| {
        let found = trace.lines().any(|line| line.starts_with("[pid ") && parts.iter().all(|part| line.contains(part)));
        assert!(found, "{parts:?} in\n{trace}");
    };
    has(&["execve(", "\"/etc/passwd\"]", "vars */) ", " = 0"]);
    has(&["openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY", ") ", " = 3"]);
    has(&["write(2, \"mkdir: can't create directory '/\"..., "]);
    has(&["mkdir(\"/etc\", 0777)", "= -1 EEXIST (File exists)"]);
    has(&["mprotect(0x", ", PROT_READ)", "= 0"]);
    has(&["wait4(-1,  <unfinished ...>"]);
    has(&["<... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 3}]"]);
    has(&["--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=", "si_status=3} ---"]);
    has(&["exit_group(3)", "= ?"]);
    has(&["+++ exited with 3 +++"]);
    has(&[", SIGUSR1)", "kill("]);
    has(&["--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid="]);
    has(&["+++ killed by SIGUSR1 +++"]);
    has(&["[pid     1] +++ exited with 4 +++"]);
}

#[test]
fn the_trace_goes_to_standard_error_and_needs_a_kernel_of_our_own() {
    let kernel = Kernel::new(BUSYBOX);
    let traced = kernel.run(&["--strace"], &["sh", "-c", "echo out"]).ok();
    assert_eq!(traced.stdout, "out\n");
    assert!(traced.stderr.contains("[pid     1] write(1, \"out\\n\", 4)"), "{traced}");
    let refused = kernel.run_in("native", &["--rm", "--strace"], &["true"]).exits(125);
    assert!(refused.stderr.contains("class native") && refused.stderr.contains("strace(1)"), "{refused}");
}

#[test]
fn info_says_how_calls_are_trapped() {
    let kernel = Kernel::new(BUSYBOX);
    let info = kernel.stockade(&["info"]).ok().stdout;
    let paths = ["sync", "pinned", "interruptible"];
    assert!(
        paths.iter().any(|path| info.contains(&format!("kernel: available, trap path {path}, clocks of its own"))),
        "{info}"
    );
}
