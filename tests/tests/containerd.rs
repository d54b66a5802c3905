//! Debian's containerd and ctr on `stockade-oci` in runc's place.

use std::time::Duration;

use stockade_tests::{Containerd, Pty, oci_runtime, wait_until};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_detached_container_is_run_entered_frozen_measured_and_killed() {
    let containerd = Containerd::start(&oci_runtime());
    containerd.run(&["--detach"], "web", &["sleep", "1000"]).ok();
    assert_eq!(containerd.status("web").as_deref(), Some("RUNNING"));

    assert_eq!(containerd.exec("web", &["hostname"]).stdout.lines().count(), 1);
    assert_eq!(containerd.exec("web", &["sh", "-c", "exit 7"]).code, 7);
    assert_eq!(containerd.exec("web", &["sh", "-c", "kill -9 $$"]).code, 137);
    containerd.exec_detached("web", &["sleep", "1001"]);

    let ps = containerd.ctr(&["task", "ps", "web"]).ok();
    assert_eq!(ps.stdout.lines().count(), 3, "a title, the init and the exec\n{ps}");
    let metrics = containerd.ctr(&["task", "metrics", "web"]).ok();
    assert!(metrics.stdout.contains("memory.usage_in_bytes"), "{metrics}");

    containerd.ctr(&["task", "pause", "web"]).ok();
    assert_eq!(containerd.status("web").as_deref(), Some("PAUSED"));
    containerd.ctr(&["task", "resume", "web"]).ok();
    assert_eq!(containerd.status("web").as_deref(), Some("RUNNING"));

    containerd.ctr(&["task", "kill", "--signal", "SIGKILL", "web"]).ok();
    wait_until("the task stops", SOON, || containerd.status("web").as_deref() == Some("STOPPED"));
    let removed = containerd.ctr(&["task", "rm", "web"]).ok();
    assert!(removed.stderr.contains("exit code 137"), "{removed}");
    containerd.ctr(&["container", "rm", "web"]).ok();
}

#[test]
fn exit_statuses_and_errors_come_through() {
    let containerd = Containerd::start(&oci_runtime());
    let hello = containerd.run(&["--rm"], "hello", &["echo", "hello"]).ok();
    assert_eq!(hello.out(), "hello");
    containerd.run(&["--rm"], "five", &["sh", "-c", "exit 5"]).exits(5);
    let absent = containerd.run(&["--rm"], "absent", &["no-such-program"]).exits(1);
    assert!(absent.stderr.contains("executable file not found in $PATH"), "{absent}");
    let read_only = containerd.run(&["--rm", "--read-only"], "ro", &["touch", "/file"]).exits(1);
    assert!(read_only.stderr.contains("Read-only file system"), "{read_only}");
}

#[test]
fn a_terminal_is_interactive_and_follows_its_size() {
    let containerd = Containerd::start(&oci_runtime());
    let mut shell = Pty::spawn(containerd.run(&["--rm", "--tty"], "shell", &["sh"]));
    shell.expect_shell();
    shell.resize(40, 100);
    shell.expect_size("40 100");
    shell.send("exit 3\n");
    assert_eq!(shell.wait().0, 3);
}

#[test]
fn a_container_outlives_containerd() {
    let mut containerd = Containerd::start(&oci_runtime());
    containerd.run(&["--detach"], "long", &["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done"]).ok();
    containerd.restart();
    assert_eq!(containerd.status("long").as_deref(), Some("RUNNING"));
    assert_eq!(containerd.exec("long", &["echo", "alive"]).out(), "alive");
    containerd.ctr(&["task", "kill", "long"]).ok();
    wait_until("the task stops", SOON, || containerd.status("long").as_deref() == Some("STOPPED"));
    let removed = containerd.ctr(&["task", "rm", "long"]).ok();
    assert!(removed.stderr.contains("exit code 9"), "{removed}");
}

#[test]
fn running_out_of_memory_is_an_event_and_a_kill() {
    let containerd = Containerd::start(&oci_runtime());
    let events = containerd.ctr(&["events"]).spawn();
    let hungry = "echo; sleep 0.5; a=x; while :; do a=$a$a; done";
    containerd.run(&["--rm", "--memory-limit", "20000000"], "hungry", &["sh", "-c", hungry]).exits(137);
    wait_until("the events arrive", SOON, || {
        let seen = events.stdout();
        seen.contains("/tasks/oom") && seen.contains("/tasks/exit")
    });
}
