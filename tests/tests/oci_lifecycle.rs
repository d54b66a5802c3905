//! A container's life through `stockade-oci`: every verb, status, file and error on the way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};
use stockade_tests::{Bundle, Output, Scratch, wait_until};

const SOON: Duration = Duration::from_secs(10);

/// One container of a scratch directory.
struct Subject<'a> {
    scratch: &'a Scratch,
    bundle: Bundle,
    id: String,
}

impl<'a> Subject<'a> {
    fn new(scratch: &'a Scratch, name: &str, args: &[&str]) -> Self {
        Self { scratch, bundle: scratch.bundle(args), id: scratch.id(name) }
    }

    /// A verb with the bundle option and the id after the other options.
    #[track_caller]
    fn make(&self, args: &[&str]) -> Output {
        self.scratch.oci(args).arg("--bundle").arg(self.bundle.path()).arg(&self.id).run()
    }

    /// A verb on the id.
    #[track_caller]
    fn verb(&self, verb: &str, args: &[&str]) -> Output {
        self.scratch.oci(&[verb, &self.id]).args(args).run()
    }

    #[track_caller]
    fn status(&self) -> String {
        let state = self.verb("state", &[]);
        assert_eq!(state.code, 0, "{state}");
        state.json()["status"].as_str().expect("a status").to_owned()
    }
}

#[track_caller]
fn expect(output: &Output, code: i32, text: &str) {
    assert!(output.code == code && output.stderr.contains(text), "expected {code} and {text:?}\n{output}");
}

#[test]
fn create_start_kill_delete() {
    let scratch = Scratch::new();
    let subject = Subject::new(&scratch, "life", &["sleep", "1000"]);
    let pid_file = scratch.path("pid");
    expect(&subject.make(&["create", "--pid-file", pid_file.to_str().expect("ASCII")]), 0, "");

    let state = subject.verb("state", &[]).json();
    assert_eq!(state["status"], "created");
    assert_eq!(state["id"], subject.id);
    assert_eq!(state["bundle"], subject.bundle.path().to_str().expect("ASCII"));
    assert_eq!(state["rootfs"], subject.bundle.rootfs().to_str().expect("ASCII"));
    assert_eq!(fs::read_to_string(&pid_file).expect("read the pid file"), state["pid"].to_string());

    expect(&subject.make(&["create"]), 1, "create failed: container with given ID already exists");
    expect(&subject.verb("start", &[]), 0, "");
    assert_eq!(subject.status(), "running");
    expect(&subject.verb("start", &[]), 1, "cannot start");
    let refused = format!("cannot delete container {} that is not stopped: running", subject.id);
    expect(&subject.verb("delete", &[]), 1, &refused);
    expect(&subject.verb("kill", &["BOGUS"]), 1, "unknown signal");
    expect(&subject.verb("kill", &["9"]), 0, "");
    wait_until("it stops", SOON, || subject.status() == "stopped");

    expect(&subject.verb("kill", &["KILL"]), 1, "container not running");
    expect(&subject.verb("exec", &["true"]), 255, "cannot exec in a stopped container");
    expect(&subject.verb("pause", &[]), 1, "container not running");
    expect(&subject.verb("start", &[]), 1, "cannot start a container that has stopped");
    expect(&subject.verb("delete", &[]), 0, "");
    expect(&subject.verb("state", &[]), 1, "container does not exist");
}

#[test]
fn run_gives_the_output_and_the_status() {
    let scratch = Scratch::new();
    let check = |command: &str, code: i32, out: &str| {
        let subject = Subject::new(&scratch, "run", &["sh", "-c", command]);
        let output = subject.make(&["run"]);
        assert!(output.code == code && output.out() == out, "expected {code} and {out:?}\n{output}");
        expect(&subject.verb("state", &[]), 1, "does not exist");
    };
    check("echo hello; exit 5", 5, "hello");
    check("kill -TERM $$; echo init ignores it", 0, "init ignores it");
    check("(sleep 1000 &) ; echo orphaned", 0, "orphaned");

    let absent = Subject::new(&scratch, "absent", &["no-such-program"]);
    let error = "exec: \\\"no-such-program\\\": executable file not found in $PATH";
    expect(&absent.make(&["run"]), 1, &format!("run failed: unable to start container process: {error}"));
    expect(&absent.make(&["create"]), 1, "executable file not found in $PATH");
    let absent = Subject::new(&scratch, "absent", &["/no/program"]);
    expect(&absent.make(&["run"]), 1, "stat /no/program: no such file or directory");
    expect(&absent.verb("state", &[]), 1, "does not exist");
}

#[test]
fn run_keeps_and_detaches_when_told() {
    let scratch = Scratch::new();
    let kept = Subject::new(&scratch, "kept", &["sh", "-c", "exit 4"]);
    assert_eq!(kept.make(&["run", "--keep"]).code, 4);
    assert_eq!(kept.status(), "stopped");
    expect(&kept.verb("delete", &[]), 0, "");

    let detached = Subject::new(&scratch, "detached", &["sleep", "1000"]);
    expect(&detached.make(&["run", "-d"]), 0, "");
    assert_eq!(detached.status(), "running");
    expect(&detached.verb("delete", &["--force"]), 0, "");
    expect(&detached.verb("state", &[]), 1, "does not exist");
}

#[test]
fn a_created_container_can_be_deleted_without_force() {
    let scratch = Scratch::new();
    let subject = Subject::new(&scratch, "created", &["true"]);
    expect(&subject.make(&["create"]), 0, "");
    expect(&subject.verb("delete", &[]), 0, "");
    expect(&subject.verb("state", &[]), 1, "does not exist");
}

#[test]
fn list_and_ps_show_what_there_is() {
    let scratch = Scratch::new();
    let subject = Subject::new(&scratch, "shown", &["sleep", "1000"]);
    subject.make(&["run", "-d"]);
    let list = scratch.oci(&["list"]).ok();
    let line = list.stdout.lines().nth(1).expect("a line for the container");
    assert!(line.starts_with(&subject.id) && line.contains(" running ") && line.ends_with("root"), "{list}");
    assert_eq!(scratch.oci(&["list", "-q"]).ok().out(), subject.id);
    let all = scratch.oci(&["list", "--format", "json"]).ok().json();
    assert_eq!(all[0]["id"], subject.id);

    let pid = subject.verb("state", &[]).json()["pid"].clone();
    assert_eq!(scratch.oci(&["ps", "--format", "json", &subject.id]).ok().json(), json!([pid]));
    let table = subject.verb("ps", &[]);
    assert!(table.stdout.starts_with("UID") && table.stdout.contains("sleep 1000"), "{table}");
    let chosen = subject.verb("ps", &["-o", "pid,comm"]);
    assert_eq!(chosen.stdout.lines().last().map(str::trim), Some(format!("{pid} sleep").as_str()), "{chosen}");
}

#[test]
fn pause_and_resume() {
    let scratch = Scratch::new();
    let subject = Subject::new(&scratch, "paused", &["sleep", "1000"]);
    subject.make(&["run", "-d"]);
    expect(&subject.verb("resume", &[]), 1, "container not paused");
    expect(&subject.verb("pause", &[]), 0, "");
    assert_eq!(subject.status(), "paused");
    let override_it = "cannot exec in a paused container (use --ignore-paused to override)";
    expect(&subject.verb("exec", &["true"]), 255, override_it);
    expect(&subject.verb("resume", &[]), 0, "");
    assert_eq!(subject.status(), "running");
    expect(&subject.verb("pause", &[]), 0, "");
    expect(&subject.verb("delete", &["--force"]), 0, "");
}

#[test]
fn update_takes_options_and_json() {
    let scratch = Scratch::new();
    let subject = Subject::new(&scratch, "updated", &["sleep", "1000"]);
    subject.make(&["run", "-d"]);
    expect(&subject.verb("update", &["--memory", "32m", "--memory-swap", "40m", "--pids-limit", "17"]), 0, "");
    assert_eq!(stats(&subject)["memory"]["usage"]["limit"], 32 << 20);
    assert_eq!(stats(&subject)["memory"]["swap"]["limit"], 40 << 20);
    assert_eq!(stats(&subject)["pids"]["limit"], 17);

    let resources = json!({"memory": {"limit": 36 << 20}, "pids": {"limit": 19}}).to_string();
    let update = scratch.oci(&["update", "-r", "-", &subject.id]).input(resources.clone()).run();
    expect(&update, 0, "");
    assert_eq!(stats(&subject)["memory"]["usage"]["limit"], 36 << 20);
    let file = scratch.path("resources.json");
    fs::write(&file, resources.replace("19", "23")).expect("write resources");
    expect(&subject.verb("update", &["--resources", file.to_str().expect("ASCII")]), 0, "");
    assert_eq!(stats(&subject)["pids"]["limit"], 23);
    let broken = scratch.oci(&["update", "--resources=-", &subject.id]).input("{").run();
    expect(&broken, 1, "resources on standard input");
}

#[track_caller]
fn stats(subject: &Subject<'_>) -> Value {
    let output = subject.verb("events", &["--stats"]);
    assert_eq!(output.code, 0, "{output}");
    let event = output.json();
    assert_eq!(event["type"], "stats");
    assert_eq!(event["id"], subject.id);
    event["data"].clone()
}

#[test]
fn events_are_samples_kills_and_the_end() {
    let scratch = Scratch::new();
    let hungry = "read go < /fifo; (a=x; while :; do a=$a$a; done); sleep 1000";
    let mut subject = Subject::new(&scratch, "events", &["sh", "-c", &format!("mkfifo /fifo; {hungry}")]);
    subject.bundle = subject.bundle.set("/linux/resources/memory", json!({"limit": 20 << 20, "swap": 20 << 20}));
    expect(&subject.make(&["run", "-d"]), 0, "");
    assert!(stats(&subject)["cpu"]["usage"]["total"].as_u64() > Some(0));

    let mut events = scratch.oci(&["events", "--interval", "100ms", &subject.id]).spawn();
    wait_until("a sample", SOON, || events.stdout().contains("\"type\":\"stats\""));
    let fifo = subject.bundle.rootfs().join("fifo");
    wait_until("the container made its fifo", SOON, || fifo.exists());
    fs::write(&fifo, "go\n").expect("write to the container's fifo");
    wait_until("the kill is told", SOON, || events.stdout().contains("\"type\":\"oom\""));
    expect(&subject.verb("kill", &["KILL"]), 0, "");
    wait_until("the events end", SOON, || events.has_ended());
}

#[test]
fn a_foreground_run_passes_signals_on() {
    let scratch = Scratch::new();
    let trap = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let subject = Subject::new(&scratch, "signals", &["sh", "-c", trap]);
    let run = scratch.oci(&["run", "--bundle"]).arg(subject.bundle.path()).arg(&subject.id).spawn();
    wait_until("it is ready", SOON, || run.stdout().contains("ready"));
    run.signal(rustix::process::Signal::TERM);
    let output = run.wait();
    assert!(output.code == 9 && output.stdout.contains("caught"), "{output}");

    let killed = Subject::new(&scratch, "killed", &["sh", "-c", "echo ready; sleep 1000"]);
    let run = scratch.oci(&["run", "--bundle"]).arg(killed.bundle.path()).arg(&killed.id).spawn();
    wait_until("it is ready", SOON, || run.stdout().contains("ready"));
    expect(&killed.verb("kill", &["KILL"]), 0, "");
    assert_eq!(run.wait().code, 137);
}

/// A foreground run blocks its own signals; what it starts on the host must not inherit that.
#[test]
fn hooks_of_a_foreground_run_get_their_signals() {
    let scratch = Scratch::new();
    let file = scratch.path("blocked");
    let mut subject = Subject::new(&scratch, "hooked", &["true"]);
    let script = format!("grep SigBlk /proc/self/status >> {}", file.display());
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}]);
    let hooks = json!({"createRuntime": hook, "createContainer": hook, "poststart": hook, "poststop": hook});
    subject.bundle = subject.bundle.set("/hooks", hooks);
    expect(&subject.make(&["run"]), 0, "");
    let blocked = fs::read_to_string(&file).expect("read what the hooks wrote");
    assert_eq!(blocked, "SigBlk:\t0000000000000000\n".repeat(4));
    fs::remove_file(&file).expect("remove a file");
}

#[test]
fn descriptors_are_preserved_on_request_only() {
    let scratch = Scratch::new();
    let subject = Subject::new(&scratch, "fds", &["sh", "-c", "cat <&3; ls /proc/self/fd | wc -l"]);
    let file = scratch.path("three");
    fs::write(&file, "from three\n").expect("write a file");
    let shell = "exec \"$@\" 3< \"$FILE\" 4< \"$FILE\"";
    let run = |preserve: &str| {
        let command = scratch.oci(&["run", "--preserve-fds", preserve, "--bundle"]).arg(subject.bundle.path());
        let inner = command.arg(&subject.id).into_inner();
        let words = std::iter::once(inner.get_program()).chain(inner.get_args());
        let command = stockade_tests::Cmd::new("sh").args(["-c", shell, "sh"]).args(words).env("FILE", &file);
        scratch.marked(command).run()
    };
    let with = run("1");
    assert!(with.code == 0 && with.stdout.starts_with("from three\n"), "{with}");
    let without = run("0");
    assert!(!without.stdout.contains("from three"), "{without}");
    fs::remove_file(&file).expect("remove a file");
}

/// Annotations and the environments of hooks are no other user's business.
#[test]
fn a_containers_records_are_private() {
    let scratch = Scratch::new();
    let subject = Subject::new(&scratch, "private", &["true"]);
    expect(&subject.make(&["create"]), 0, "");
    let record = fs::metadata(scratch.oci_root().join(&subject.id).join("state.json")).expect("stat the record");
    assert_eq!(record.permissions().mode() & 0o777, 0o600);
}
