//! Debian's podman and conmon on `stockade-oci` in runc's place.

use std::time::Duration;

use stockade_tests::{Podman, Pty, oci_runtime, wait_until};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_detached_container_is_entered_shown_frozen_and_stopped() {
    let podman = Podman::new(&oci_runtime());
    podman.run(&["-d", "--name", "web"], &["sh", "-c", "echo started; exec sleep 1000"]).ok();
    wait_until("the log arrives", SOON, || podman.podman(&["logs", "web"]).ok().out() == "started");

    assert_eq!(podman.podman(&["exec", "web", "id", "-u"]).ok().out(), "0");
    podman.podman(&["exec", "web", "sh", "-c", "exit 6"]).exits(6);
    podman.podman(&["exec", "web", "no-such-program"]).exits(127);
    let top = podman.podman(&["top", "web", "args"]).ok();
    assert!(top.stdout.contains("sleep 1000"), "{top}");

    podman.podman(&["pause", "web"]).ok();
    let status = |format: &str| podman.podman(&["inspect", "--format", format, "web"]).ok().out().to_owned();
    assert_eq!(status("{{.State.Status}}"), "paused");
    podman.podman(&["unpause", "web"]).ok();

    podman.podman(&["stop", "--time", "1", "web"]).ok();
    assert_eq!(status("{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    podman.podman(&["rm", "web"]).ok();
}

#[test]
fn foreground_containers_give_their_output_and_status() {
    let podman = Podman::new(&oci_runtime());
    let check = |options: &[&str], command: &[&str], code: i32, text: &str| {
        let output = podman.run(options, command).run();
        let found = output.stdout.contains(text) || output.stderr.contains(text);
        assert!(output.code == code && found, "expected {code} and {text:?}\n{output}");
    };
    check(&["--rm"], &["echo", "hello"], 0, "hello");
    check(&["--rm"], &["sh", "-c", "exit 42"], 42, "");
    check(&["--rm"], &["sh", "-c", "ulimit -n"], 0, "20000");
    check(&["--rm", "--user", "1000:1001"], &["id"], 0, "gid=1001");
    check(&["--rm", "--read-only"], &["touch", "/file"], 1, "Read-only file system");
    check(&["--rm"], &["no-such-program"], 127, "executable file");
    check(&["--rm"], &["/etc"], 126, "\"/etc\": ");
}

#[test]
fn a_terminal_is_interactive() {
    let podman = Podman::new(&oci_runtime());
    let mut shell = Pty::spawn(podman.run(&["-it", "--rm"], &["sh"]));
    shell.expect_shell();
    shell.send("exit 4\n");
    assert_eq!(shell.wait().0, 4);
}
