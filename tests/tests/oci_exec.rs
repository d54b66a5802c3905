//! `stockade-oci exec`: options, statuses, process files, wiring.

use std::fs;
use std::time::Duration;

use serde_json::json;
use stockade_tests::{Bundle, Cmd, Output, Scratch, wait_until};

const SOON: Duration = Duration::from_secs(10);

/// A running container.
struct Running {
    scratch: Scratch,
    _bundle: Bundle,
    id: String,
}

impl Running {
    fn new() -> Self {
        let scratch = Scratch::new();
        let bundle = scratch.bundle(&["sleep", "1000"]);
        let id = scratch.id("exec");
        scratch.oci(&["run", "--detach", "--bundle"]).arg(bundle.path()).arg(&id).ok();
        Self { scratch, _bundle: bundle, id }
    }

    fn exec(&self, options: &[&str], command: &[&str]) -> Cmd {
        self.scratch.oci(&["exec"]).args(options).arg(&self.id).args(command)
    }

    #[track_caller]
    fn check(&self, options: &[&str], command: &[&str], code: i32, text: &str) -> Output {
        let output = self.exec(options, command).run();
        let found = output.stdout.contains(text) || output.stderr.contains(text);
        assert!(output.code == code && found, "expected {code} and {text:?}\n{output}");
        output
    }
}

#[test]
fn options_change_the_containers_own_process() {
    let running = Running::new();
    running.check(&[], &["echo", "-n", "--cwd", "x"], 0, "--cwd x");
    running.check(&["--cwd", "/proc"], &["pwd"], 0, "/proc");
    running.check(&["--env", "A=1", "-e", "B=2"], &["sh", "-c", "echo $A$B$PATH"], 0, "12/usr/local/sbin");
    running.check(&["--user", "7:8", "-g", "9"], &["id"], 0, "uid=7 gid=8");
    running.check(&["--user", "7:8", "-g", "9,10"], &["id", "-G"], 0, "8 9 10");
    running.check(&["--cap", "CAP_NET_RAW"], &["grep", "CapEff", "/proc/self/status"], 0, "0000000020002420");
    running.check(&[], &["grep", "CapEff", "/proc/self/status"], 0, "0000000020000420");
    running.check(&["--cwd", "/no/such/dir"], &["true"], 255, "/no/such/dir");
    running.check(&["--cap", "CAP_FLY"], &["true"], 255, "CAP_FLY");
    running.check(&[], &["hostname"], 0, "stockade");
}

/// CVE-2022-36109: without the primary group among the supplementary ones, a set-group-id program would get past a mode
/// that shuts the group out. Users by number have the groups that the process says, as in runc.
#[test]
fn users_by_name_keep_their_primary_group() {
    let running = Running::new();
    let etc = running._bundle.rootfs().join("etc");
    fs::create_dir_all(&etc).expect("make /etc");
    fs::write(etc.join("passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n").expect("write passwd");
    fs::write(etc.join("group"), "web:x:34:\nmail:x:8:web\n").expect("write group");
    let groups = |user: &str, expected: &str| {
        let output = running.check(&["--user", user], &["grep", "Groups", "/proc/self/status"], 0, "Groups:");
        let mut found: Vec<&str> = output.stdout.split_whitespace().skip(1).collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), expected, "{user}");
    };
    groups("web", "34 8");
    groups("web:mail", "8");
    groups("web:77", "77");
    groups("33:34", "");
}

#[test]
fn statuses_are_the_processs_own() {
    let running = Running::new();
    running.check(&[], &["sh", "-c", "exit 7"], 7, "");
    running.check(&[], &["sh", "-c", "kill -9 $$"], 137, "");
    running.check(&[], &["no-such-program"], 255, "executable file not found in $PATH");
    running.check(&[], &["/no/program"], 255, "no such file or directory");
    running.check(&[], &["/etc"], 255, "exec: \\\"/etc\\\": ");
    running.check(&[], &["--tty", "sh"], 255, "executable file not found in $PATH");
    running.check(&["--process", "/no/file"], &[], 255, "/no/file");
    running.check(&[], &[], 255, "args");
    running.check(&["--tty", "--detach"], &["true"], 255, "cannot allocate tty if runc will detach");
    running.check(&["--console-socket", "/x"], &["true"], 255, "cannot use console socket");
    let input = running.exec(&[], &["cat"]).input("through a pipe\n").ok();
    assert_eq!(input.out(), "through a pipe");
}

#[test]
fn a_process_file_says_everything() {
    let running = Running::new();
    let file = running.scratch.path("process.json");
    let process = json!({
        "user": {"uid": 3, "gid": 4}, "cwd": "/tmp", "env": ["ONLY=this"], "noNewPrivileges": true,
        "args": ["/bin/sh", "-c", "pwd; echo $ONLY $HOME.; /usr/bin/id -u; /bin/grep NoNewPrivs /proc/self/status"],
    });
    fs::create_dir_all(running._bundle.rootfs().join("tmp")).expect("make /tmp");
    fs::write(&file, process.to_string()).expect("write a process file");
    let output = running.check(&["--process", file.to_str().expect("ASCII")], &[], 0, "/tmp");
    assert!(output.stdout.contains("\n3\nNoNewPrivs:\t1") && output.stdout.contains("this "), "{output}");
}

#[test]
fn a_detached_exec_leaves_a_pid_file() {
    let running = Running::new();
    let pid_file = running.scratch.path("pid");
    running.check(&["--detach", "--pid-file", pid_file.to_str().expect("ASCII")], &["sleep", "1001"], 0, "");
    let pid = fs::read_to_string(&pid_file).expect("read the pid file");
    let pids = running.scratch.oci(&["ps", "-f", "json", &running.id]).ok().json();
    let pids: Vec<String> = pids.as_array().expect("a list").iter().map(ToString::to_string).collect();
    assert!(pids.len() == 2 && pids.contains(&pid), "{pid} is not in {pids:?}");
    running.scratch.oci(&["kill", "--all", &running.id, "KILL"]).ok();
    wait_until("both end", SOON, || running.scratch.oci(&["ps", "-f", "json", &running.id]).run().out() == "[]");
}

#[test]
fn a_paused_container_can_be_entered_on_request() {
    let running = Running::new();
    running.scratch.oci(&["pause", &running.id]).ok();
    running.check(&[], &["true"], 255, "cannot exec in a paused container");
    running.scratch.oci(&["resume", &running.id]).ok();
    running.check(&["--ignore-paused"], &["true"], 0, "");
}
