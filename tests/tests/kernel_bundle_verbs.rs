//! Class `kernel` on a bundle, by every verb of `stockade-oci`, by annotations, and with streams that nobody reads.

mod kernel;

use std::fs;

use kernel::PATIENCE;
use kernel::bundles::{oci, processes, with_capabilities};
use serde_json::{Value, json};
use stockade_tests::{ATTACKS, Bundle, Cmd, Output, Scratch, wait_until};

/// A container that runs on its own.
struct Container<'a> {
    scratch: &'a Scratch,
    id: String,
    bundle: Bundle,
}

impl<'a> Container<'a> {
    /// Busybox in class `kernel`: a script that makes `/up` when it is ready.
    fn start(scratch: &'a Scratch, name: &str, script: &str) -> Self {
        Self::of(scratch, name, with_capabilities(scratch.bundle(&["sh", "-c", script])))
    }

    fn of(scratch: &'a Scratch, name: &str, bundle: Bundle) -> Self {
        let id = scratch.id(name);
        oci(scratch, "kernel", &["run", "--detach", "--bundle"]).arg(bundle.path()).arg(&id).ok();
        let container = Self { scratch, id, bundle };
        wait_until("it to be up", PATIENCE, || container.root("up").exists());
        container
    }

    fn root(&self, path: &str) -> std::path::PathBuf {
        self.bundle.rootfs().join(path)
    }

    fn verb(&self, words: &[&str]) -> Cmd {
        self.scratch.oci(words).arg(&self.id)
    }

    fn exec(&self, script: &str) -> Output {
        self.scratch.oci(&["exec", &self.id, "sh", "-c", script]).run()
    }

    fn status(&self) -> Value {
        self.verb(&["state"]).ok().json()["status"].take()
    }

    fn file_servers(&self) -> usize {
        processes(&self.id, "stockade-files").len()
    }
}

const WAIT: &str = "echo >/up; while :; do sleep 1000; done";

#[test]
fn what_there_is_can_be_asked_for() {
    let scratch = Scratch::new();
    let container = Container::start(&scratch, "told", WAIT);
    let state = container.verb(&["state"]).ok().json();
    assert_eq!((&state["id"], &state["status"]), (&json!(container.id), &json!("running")));
    assert_eq!(state["bundle"], json!(container.bundle.path()));
    let listed = scratch.oci(&["list", "--format", "json"]).ok().json();
    assert_eq!((&listed[0]["id"], &listed[0]["pid"]), (&state["id"], &state["pid"]));
    assert_eq!(scratch.oci(&["list", "-q"]).ok().out(), container.id);
    assert!(scratch.oci(&["list"]).ok().stdout.contains("running"));
    let text = container.verb(&["ps"]).ok().stdout;
    assert!(text.starts_with("UID") && text.contains("sleep 1000"), "{text}");
    assert!(!text.contains("stockade"), "a container's own processes alone:\n{text}");
    let chosen = scratch.oci(&["ps", &container.id, "-o", "pid,comm"]).ok().stdout;
    assert!(chosen.lines().nth(1).is_some_and(|line| line.split_whitespace().eq(["1", "sh"])), "{chosen}");
    // Callers signal and count what this names, so it is what the host sees.
    let pids = container.verb(&["ps", "--format", "json"]).ok().json();
    assert!(pids.as_array().is_some_and(|pids| pids.contains(&state["pid"])), "{pids}");
    let stats = container.verb(&["events", "--stats"]).ok().json();
    assert_eq!((&stats["type"], &stats["id"]), (&json!("stats"), &json!(container.id)));
    let number = |pointer: &str| stats["data"].pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    assert_eq!(number("/pids/current"), 2, "{stats}");
    assert!(number("/memory/usage/usage") > 0 && number("/cpu/usage/total") > 0, "{stats}");
}

#[test]
fn it_can_be_paused_killed_and_deleted() {
    let scratch = Scratch::new();
    let container =
        Container::start(&scratch, "ruled", "trap 'echo >/got' USR1; echo >/up; while :; do sleep 0.1; done");
    assert_eq!(container.exec("cat /up; exit 7").code, 7);
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    assert_ne!(container.exec("true").code, 0);
    container.verb(&["resume"]).ok();
    assert_eq!((container.status(), container.exec("true").code), (json!("running"), 0));
    scratch.oci(&["kill", &container.id, "USR1"]).ok();
    wait_until("the signal to arrive", PATIENCE, || container.root("got").exists());
    assert!(container.verb(&["delete"]).run().code != 0, "it runs");
    container.verb(&["delete", "--force"]).ok();
    assert!(container.verb(&["state"]).run().stderr.contains("does not exist"));
    wait_until("its processes to end", PATIENCE, || processes(&container.id, "").is_empty());
}

#[test]
fn annotations_choose_class_and_trace() {
    let scratch = Scratch::new();
    let all = json!({"dev.stockade.isolation": "kernel", "dev.stockade.strace": "file"});
    let bundle = scratch.bundle(&["sh", "-c", "cat /proc/version; echo x >/made"]).set("/annotations", all);
    let id = scratch.id("annotated");
    let said = scratch.oci(&["run", "--bundle"]).arg(bundle.path()).arg(&id).ok().stdout;
    assert!(said.contains("Stockade") || !said.contains(&host_release()), "the kernel is not the host's: {said}");
    let trace = fs::read_to_string(bundle.path().join("strace.log")).expect("read the trace");
    assert!(trace.contains("\"/made\"") && trace.contains("execve("), "{trace}");
    let other = scratch.bundle(&["true"]).set("/annotations", json!({"dev.stockade.strace": "/etc/passwd"}));
    let refused = oci(&scratch, "kernel", &["run", "--bundle"]).arg(other.path()).arg(scratch.id("refused")).run();
    assert!(refused.code != 0 && refused.stderr.contains("use stderr or file"), "{refused}");
}

fn host_release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").expect("read the host's release").trim().to_owned()
}

/// A second bundle in the sandbox of the first, by the annotation.
fn member<'a>(scratch: &'a Scratch, owner: &Container<'_>, script: &str) -> Container<'a> {
    let bundle = with_capabilities(scratch.bundle(&["sh", "-c", script]));
    Container::of(scratch, "member", bundle.set("/annotations", json!({"dev.stockade.sandbox": owner.id})))
}

#[test]
fn a_file_server_ends_with_its_container() {
    let scratch = Scratch::new();
    let owner = Container::start(&scratch, "owner", WAIT);
    let member = member(&scratch, &owner, WAIT);
    assert_eq!((owner.file_servers(), member.file_servers()), (1, 1));
    assert_eq!(processes(&member.id, "stockade-monitor").len(), 0, "it has none of its own");
    assert_eq!(member.exec("echo mine >/mine; cat /mine").out(), "mine");
    assert_eq!(owner.exec("test -e /mine").code, 1, "roots are each one's own");
    scratch.oci(&["kill", &member.id, "KILL"]).ok();
    wait_until("it to stop", PATIENCE, || member.status() == "stopped");
    wait_until("its file server to end", PATIENCE, || member.file_servers() == 0);
    assert_eq!((owner.file_servers(), owner.exec("echo >/still; cat /up").code), (1, 0), "the other one goes on");
    member.verb(&["delete"]).ok();
    assert_eq!(owner.status(), "running");
}

/// Programs that write without end to a pipe that nobody reads stand still; all else goes on.
#[test]
fn nobody_reading_stops_nobody_but_the_writers() {
    let scratch = Scratch::new();
    let script = "yes one & yes two >&2 & (sleep 0.5; echo >/up) & while :; do echo three; done";
    let bundle = with_capabilities(scratch.bundle(&["sh", "-c", script]));
    let id = scratch.id("unread");
    let (unread, pipe) = std::io::pipe().expect("make a pipe");
    let mut command =
        oci(&scratch, "kernel", &["run", "--detach", "--bundle"]).arg(bundle.path()).arg(&id).into_inner();
    // One pipe for both streams: two of the kernel's threads write to it.
    command.stdin(std::process::Stdio::null()).stdout(pipe.try_clone().expect("copy it")).stderr(pipe);
    assert!(command.status().expect("run it").success());
    drop(command);
    let container = Container { scratch: &scratch, id, bundle };
    wait_until("the pipe to be full", PATIENCE, || container.root("up").exists());
    for round in 0..20 {
        let said = scratch.oci(&["exec", &container.id, "sh", "-c", "echo hi"]).timeout(PATIENCE).run();
        assert_eq!((said.out(), said.code), ("hi", 0), "round {round}: {said}");
    }
    assert!(container.verb(&["ps"]).ok().stdout.contains("yes one"), "the writers wait");
    drop(unread);
    container.verb(&["delete", "--force"]).ok();
}

#[test]
fn the_log_says_why_a_stub_was_killed() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["sh", "-c", "/stub words; echo >/up; while :; do sleep 1000; done"]);
    ATTACKS.build(&["stub"], &bundle.rootfs());
    let container = Container::of(&scratch, "misused", bundle);
    let log = scratch.oci_root().join(&container.id).join("monitor.log");
    let text = fs::read_to_string(&log).expect("read the log");
    assert!(text.contains("WARN: a stub's code was misused"), "{text}");
    assert!(text.len() < 300 << 10, "{} bytes", text.len());
    assert!(text.lines().all(|line| line.starts_with("stockade-monitor: ")), "{text}");
}

/// What a container's spec says of all of its processes, and a process of where it runs, in both classes.
#[test]
fn processes_of_exec_play_the_containers_system_where_they_are_told_to() {
    let scratch = Scratch::new();
    for class in ["native", "kernel"] {
        let bundle = with_capabilities(scratch.bundle(&["sh", "-c", WAIT]))
            .set("/linux/personality", json!({"domain": "LINUX32"}));
        let id = scratch.id(class);
        oci(&scratch, class, &["run", "--detach", "--bundle"]).arg(bundle.path()).arg(&id).ok();
        wait_until("it to be up", PATIENCE, || bundle.rootfs().join("up").exists());
        let mut process = bundle.config()["process"].clone();
        process["args"] = json!(["sh", "-c", "uname -m; taskset -p $$"]);
        process["execCPUAffinity"] = json!({"final": "0"});
        let file = scratch.path("process.json");
        fs::write(&file, process.to_string()).expect("write a process");
        let said = scratch.oci(&["exec", "--process"]).arg(&file).arg(&id).ok().stdout;
        assert!(said.starts_with("i686\n") && said.ends_with(": 1\n"), "{class}: {said}");
        scratch.oci(&["delete", "--force", &id]).ok();
    }
}
