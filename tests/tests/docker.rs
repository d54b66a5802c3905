//! Debian's dockerd and docker on `stockade-oci` in runc's place.

use std::fs;
use std::time::Duration;

use stockade_tests::{Docker, Pty, oci_runtime, wait_until};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_detached_container_is_entered_shown_limited_and_stopped() {
    let docker = Docker::start(&oci_runtime());
    docker.docker(&["run", "-d", "--name", "web", "busybox", "sh", "-c", "echo started; exec sleep 1000"]).ok();
    wait_until("the log arrives", SOON, || docker.docker(&["logs", "web"]).ok().out() == "started");

    assert_eq!(docker.docker(&["exec", "web", "id", "-u"]).ok().out(), "0");
    docker.docker(&["exec", "-e", "STATUS=6", "web", "sh", "-c", "exit $STATUS"]).exits(6);
    docker.docker(&["exec", "web", "no-such-program"]).exits(126);
    let top = docker.docker(&["top", "web"]).ok();
    assert!(top.stdout.contains("sleep 1000"), "{top}");
    let stats = docker.docker(&["stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "web"]).ok();
    assert!(stats.stdout.starts_with("1 ") && !stats.stdout.contains(" 0B"), "{stats}");

    docker.docker(&["update", "--memory", "50m", "--memory-swap", "100m", "web"]).ok();
    let limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
    assert_eq!(docker.docker(&["exec", "web", "sh", "-c", limit]).run().out(), "52428800");
    docker.docker(&["pause", "web"]).ok();
    assert_eq!(docker.inspect("web", "{{.State.Status}}"), "paused");
    docker.docker(&["unpause", "web"]).ok();

    docker.docker(&["stop", "--time", "1", "web"]).ok();
    assert_eq!(docker.inspect("web", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    docker.docker(&["start", "web"]).ok();
    docker.docker(&["rm", "--force", "web"]).ok();
}

#[test]
fn a_terminal_is_interactive() {
    let docker = Docker::start(&oci_runtime());
    let mut shell = Pty::spawn(docker.docker(&["run", "-it", "--rm", "busybox", "sh"]));
    shell.expect_shell();
    shell.send("exit 4\n");
    assert_eq!(shell.wait().0, 4);

    docker.docker(&["run", "-d", "--name", "host", "busybox", "sleep", "1000"]).ok();
    let mut shell = Pty::spawn(docker.docker(&["exec", "-it", "host", "sh"]));
    shell.expect("#");
    shell.send("ps | grep -c 'sle[e]p'; exit 5\n");
    shell.expect("1");
    assert_eq!(shell.wait().0, 5);
}

#[test]
fn the_options_of_run_reach_the_container() {
    let docker = Docker::start(&oci_runtime());
    let run = |options: &[&str], command: &[&str]| {
        docker.docker(&["run", "--rm"]).args(options).arg("busybox").args(command).run()
    };
    let check = |options: &[&str], command: &[&str], code: i32, text: &str| {
        let output = run(options, command);
        let found = output.stdout.contains(text) || output.stderr.contains(text);
        assert!(output.code == code && found, "expected {code} and {text:?}\n{output}\n{}", docker.log());
    };
    check(&["-e", "A=b", "-w", "/tmp"], &["sh", "-c", "echo $A in $PWD"], 0, "b in /tmp");
    check(&["--read-only"], &["touch", "/file"], 1, "Read-only file system");
    check(&["--user", "1000:1001"], &["id"], 0, "gid=1001");
    check(&["--cap-drop", "ALL"], &["chown", "1", "/etc"], 1, "Operation not permitted");
    check(&["--init"], &["sh", "-c", "cat /proc/1/comm"], 0, "docker-init");
    check(&["--hostname", "named"], &["hostname"], 0, "named");
    check(&["--tmpfs", "/scratch"], &["sh", "-c", "grep -c ' /scratch tmpfs' /proc/mounts"], 0, "1");
    check(&["--cpus", "0.5", "--pids-limit", "50"], &["true"], 0, "");
    check(&["--cap-add", "NET_ADMIN"], &["grep", "CapEff", "/proc/self/status"], 0, "00000000a80435fb");
    check(&[], &["sh", "-c", "exit 42"], 42, "");
    check(&[], &["no-such-program"], 127, "executable file not found in $PATH");
    check(&[], &["/etc"], 126, "exec: \"/etc\": ");
    let hungry = "a=x; while :; do a=$a$a; done";
    check(&["--memory", "20m", "--memory-swap", "20m"], &["sh", "-c", hungry], 137, "");
}

#[test]
fn containers_reach_each_other_and_the_host_over_the_bridge() {
    let docker = Docker::start(&oci_runtime());
    let serve = "echo page > /page; exec httpd -f -p 80 -h /";
    docker.docker(&["run", "-d", "--name", "web", "busybox", "sh", "-c", serve]).ok();
    let address = docker.inspect("web", "{{.NetworkSettings.IPAddress}}");
    let url = format!("http://{address}/page");
    wait_until("the host reads the page", SOON, || {
        docker.on_host(&["busybox", "wget", "-qO-", &url]).run().out() == "page"
    });
    assert_eq!(docker.docker(&["run", "--rm", "busybox", "wget", "-qO-", &url]).ok().out(), "page");

    let mut host = docker.on_host(&["busybox", "nc", "-l", "-p", "8099"]).input("from the host\n").spawn();
    let gateway = docker.inspect("web", "{{.NetworkSettings.Gateway}}");
    let fetch = format!("until nc {gateway} 8099 </dev/null; do sleep 0.05; done");
    let answer = docker.docker(&["run", "--rm", "busybox", "timeout", "20", "sh", "-c", &fetch]).ok();
    assert_eq!(answer.out(), "from the host");
    wait_until("the host's listener ends", SOON, || host.has_ended());
}

#[test]
fn dockerd_restarts_checks_builds_and_copies() {
    let docker = Docker::start(&oci_runtime());
    let health = ["--health-cmd", "test -e /well", "--health-interval", "200ms"];
    let healthy = "sleep 0.3; touch /well; exec sleep 1000";
    docker.docker(&["run", "-d", "--name", "healthy"]).args(health).args(["busybox", "sh", "-c", healthy]).ok();
    let restart = ["--name", "restarting", "--restart", "on-failure:2"];
    docker.docker(&["run", "-d"]).args(restart).args(["busybox", "sh", "-c", "exit 3"]).ok();

    build(&docker);
    copy(&docker);

    wait_until("the container is healthy", SOON, || docker.inspect("healthy", "{{.State.Health.Status}}") == "healthy");
    let restarted = || docker.inspect("restarting", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}");
    wait_until("both restarts fail", SOON, || restarted() == "2 exited 3");
}

#[track_caller]
fn build(docker: &Docker) {
    let context = docker.path("context");
    fs::create_dir(&context).expect("make a build context");
    let dockerfile = "FROM busybox\nRUN echo built > /made && test $(id -u) = 0\nCMD [\"cat\", \"/made\"]\n";
    fs::write(context.join("Dockerfile"), dockerfile).expect("write a Dockerfile");
    docker.docker(&["build", "--quiet", "--tag", "made"]).arg(&context).ok();
    assert_eq!(docker.docker(&["run", "--rm", "made"]).ok().out(), "built");
}

#[track_caller]
fn copy(docker: &Docker) {
    let file = docker.path("file");
    fs::write(&file, "content\n").expect("write a file");
    docker.docker(&["cp"]).arg(&file).arg("healthy:/file").ok();
    assert_eq!(docker.docker(&["exec", "healthy", "cat", "/file"]).ok().out(), "content");
    fs::remove_file(&file).expect("remove a file");
    docker.docker(&["cp", "healthy:/file"]).arg(&file).ok();
    assert_eq!(fs::read_to_string(&file).expect("read the copy"), "content\n");
}
