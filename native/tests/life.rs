//! A container's life: verbs, their order and errors, hooks, terminals, exec, and what a killed runtime leaves.

mod common;

use std::fs;
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{Bundle, stdout, text};
use serde_json::json;

fn stderr_of(bundle: &Bundle, verb: &str, arguments: &[&str]) -> String {
    let output = bundle.verb(verb, arguments);
    assert!(!output.status.success(), "{verb} succeeded: {}", text(&output));
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

#[test]
fn a_life_step_by_step() {
    let bundle = Bundle::new("echo running > /started; sleep 100");
    let missing = stderr_of(&bundle, "state", &[]);
    assert_eq!(missing, "container does not exist");
    bundle.ok("create", &[]);
    let state = bundle.state();
    assert_eq!((state["status"].as_str(), state["ociVersion"].as_str()), (Some("created"), Some("1.2.0")));
    assert_eq!(state["owner"], "root");
    assert!(!bundle.rootfs().join("started").exists());
    assert_eq!(stderr_of(&bundle, "create", &[]), "container with given ID already exists");
    bundle.ok("start", &[]);
    bundle.wait_for("running");
    assert_eq!(stderr_of(&bundle, "start", &[]), "cannot start a container that has already started");
    let running = stderr_of(&bundle, "delete", &[]);
    assert_eq!(running, format!("cannot delete container {} that is not stopped: running", bundle.id));
    bundle.ok("pause", &[]);
    assert_eq!(bundle.state()["status"], "paused");
    assert_eq!(
        stderr_of(&bundle, "exec", &[r#"{"user":{"uid":0,"gid":0},"cwd":"/","args":["true"]}"#]),
        "cannot exec in a paused container"
    );
    bundle.ok("resume", &[]);
    assert_eq!(stderr_of(&bundle, "resume", &[]), "container not paused");
    bundle.ok("kill", &["9"]);
    bundle.wait_for("stopped");
    assert_eq!(stderr_of(&bundle, "kill", &["15"]), "container not running");
    assert_eq!(bundle.state()["pid"], 0);
    bundle.ok("delete", &[]);
    assert_eq!(stderr_of(&bundle, "delete", &[]), "container does not exist");
    bundle.ok("delete-force", &[]);
}

#[test]
fn a_paused_container_can_be_killed() {
    let bundle = Bundle::new("sleep 100");
    bundle.start();
    bundle.ok("pause", &[]);
    bundle.ok("kill", &["9"]);
    bundle.wait_for("stopped");
}

#[test]
fn kill_all_reaches_those_of_a_shared_pid_namespace() {
    let namespaces =
        json!([{"type": "mount"}, {"type": "uts"}, {"type": "ipc"}, {"type": "network"}, {"type": "cgroup"}]);
    let bundle = Bundle::new("sleep 1000 & sleep 1000 & wait").set("linux/namespaces", namespaces);
    bundle.start();
    let count = || bundle.ok("ps", &[]).lines().last().unwrap_or_default().split(',').count();
    while count() < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    bundle.ok("kill", &["9"]);
    bundle.wait_for("stopped");
    bundle.ok("kill-all", &["9"]);
    std::thread::sleep(Duration::from_millis(100));
    assert!(bundle.ok("ps", &[]).trim_end().ends_with("[]"));
}

#[test]
fn programs_that_cannot_run() {
    let check = |args: &[&str], expected: &str| {
        let error = Bundle::new("").set("process/args", json!(args)).refuse();
        assert_eq!(error, expected);
    };
    check(&["no-such"], "exec: \"no-such\": executable file not found in $PATH");
    check(&["/no/such"], "exec: \"/no/such\": stat /no/such: no such file or directory");
    check(&["/etc/passwd"], "exec: \"/etc/passwd\": permission denied");
    check(&["/etc"], "exec: \"/etc\": is a directory");
}

#[test]
fn exec_tells_why_it_failed() {
    let bundle = Bundle::new("sleep 100");
    fs::write(bundle.rootfs().join("bin/broken"), "no program").expect("file");
    fs::set_permissions(bundle.rootfs().join("bin/broken"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("chmod");
    bundle.start();
    let check = |args: &[&str], expected: &str| {
        let output = bundle.exec_process(json!({ "args": args }), &[]);
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).trim_end()), (Some(1), expected));
    };
    check(&["no-such"], "exec: \"no-such\": executable file not found in $PATH");
    check(&["broken"], "exec: \"/bin/broken\": exec format error");
    let bad_directory = bundle.exec_process(json!({"args": ["true"], "cwd": "/no/such"}), &[]);
    assert!(
        text(&bad_directory).contains("chdir to cwd (\"/no/such\") set in config.json failed"),
        "{}",
        text(&bad_directory)
    );
}

#[test]
fn exec_joins_everything_and_inherits_defaults() {
    let bundle = Bundle::new("sleep 100").set("linux/resources", json!({"pids": {"limit": 50}}));
    bundle.start();
    let script = "for n in pid mnt net ipc uts cgroup; do test $(readlink /proc/self/ns/$n) = $(readlink \
        /proc/1/ns/$n) || echo $n; done; grep -E 'CapEff|NoNewPrivs|CapBnd' /proc/self/status | awk '{print $2}'; \
        grep -vc ':/$' /proc/self/cgroup; ls /proc/self/fd | wc -l";
    let caps = "00000000080004e1";
    assert_eq!(stdout(&bundle.exec(script)), format!("{caps}\n{caps}\n1\n0\n4"));
    let by_name = bundle.exec_process(json!({"args": ["id", "-G"]}), &["user=web"]);
    assert_eq!(stdout(&by_name), "34 9");
    assert_eq!(bundle.exec("exit 7").status.code(), Some(7));
    let pinned = json!({"args": ["grep", "Cpus_allowed_list", "/proc/self/status"], "execCPUAffinity": {"final": "1"}});
    assert_eq!(stdout(&bundle.exec_process(pinned, &[])), "Cpus_allowed_list:\t1");
    let pid_file = bundle.dir.path().join("pid");
    let listed = bundle.exec_process(json!({"args": ["true"]}), &[&format!("pid-file={}", pid_file.display())]);
    assert!(listed.status.success() && fs::read_to_string(pid_file).expect("pid file").parse::<u32>().is_ok());
    let late = json!({"args": ["sh", "-c", "sleep 0.5; echo alive"]});
    let untold = text(&bundle.exec_process(late, &["pid-file=/no/such/dir/pid"]));
    assert!(untold.contains("write /no/such/dir/pid") && !untold.contains("alive"), "{untold}");
}

#[test]
fn hooks_run_in_their_places() {
    let bundle = Bundle::new("echo workload >> /log");
    let log = bundle.rootfs().join("log");
    let host = |name: &str| {
        let script = format!(
            "read -r state; echo {name} $(echo \"$state\" | grep -o '\"status\":\"[a-z]*\"') >> {}",
            log.display()
        );
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}])
    };
    let inside =
        json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo startContainer $$ >> /log"], "env": ["PATH=/bin"]}]);
    let bundle = bundle.set(
        "hooks",
        json!({"prestart": host("prestart"), "createRuntime": host("createRuntime"),
            "createContainer": host("createContainer"),
               "startContainer": inside, "poststart": host("poststart"), "poststop": host("poststop")}),
    );
    bundle.ok("create", &[]);
    let log = || fs::read_to_string(&log).expect("log");
    let created = "prestart \"status\":\"creating\"\ncreateRuntime \"status\":\"creating\"\ncreateContainer \
        \"status\":\"creating\"\n";
    assert_eq!(log(), created);
    bundle.ok("start", &[]);
    bundle.wait_for("stopped");
    assert!(log().contains("poststart \"status\":\"running\"") && log().contains("startContainer "), "{}", log());
    bundle.ok("delete", &[]);
    assert!(log().ends_with("poststop \"status\":\"stopped\"\n"), "{}", log());
}

#[test]
fn failing_hooks_fail_the_verb_that_runs_them() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo oops >&2; exit 3"]}]);
        let error = Bundle::new("true").set("hooks", json!({ kind: hook })).refuse();
        assert!(error.contains(&format!("error running {kind} hook #0")) && error.contains("oops"), "{error}");
    }
    let slow = json!([{"path": "/bin/sleep", "args": ["sleep", "50"], "timeout": 1}]);
    let error = Bundle::new("true").set("hooks", json!({ "createRuntime": slow })).refuse();
    assert!(error.contains("hook ran past timeout of 1.0s"), "{error}");
}

/// Accepts one connection and takes the descriptor that comes with its first message.
fn receive_descriptor(listener: UnixListener) -> (OwnedFd, Vec<u8>) {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let limit = rustix::time::Timespec { tv_sec: 20, tv_nsec: 0 };
    let mut ready = [rustix::event::PollFd::new(&listener, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut ready, Some(&limit)).expect("poll"), 1, "nobody connected");
    let (stream, _): (UnixStream, _) = listener.accept().expect("a connection");
    let mut bytes = vec![0; 65536];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(&stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::empty()).expect("a message");
    let mut descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor = descriptors.next().and_then(|mut found| found.next()).expect("a descriptor");
    bytes.truncate(received.bytes);
    (descriptor, bytes)
}

#[test]
fn terminals() {
    let script = "tty; stat -c %t:%T /dev/console > /dev/null && echo console; stty size 2>/dev/null || busybox \
        stty size; read line; echo got $line; id -u; stat -c %u $(tty)";
    let bundle = Bundle::new(script)
        .set("process/terminal", json!(true))
        .set("process/consoleSize", json!({"height": 33, "width": 77}))
        .set("process/user/uid", json!(33));
    let path = bundle.dir.path().join("console.sock");
    let listener = UnixListener::bind(&path).expect("socket");
    bundle.ok("create", &[&format!("console={}", path.display())]);
    let (master, name) = receive_descriptor(listener);
    assert!(name.starts_with(b"/dev/p"), "{name:?}");
    let mut master = fs::File::from(master);
    bundle.ok("start", &[]);
    master.write_all(b"hello\n").expect("write");
    let mut screen = String::new();
    let _ = master.read_to_string(&mut screen);
    for line in ["/dev/pts/0", "console", "33 77", "got hello", "33"] {
        assert!(screen.contains(&format!("{line}\r\n")), "{line:?} in {screen:?}");
    }
    assert!(screen.ends_with("got hello\r\n33\r\n33\r\n"), "{screen:?}");
}

#[test]
fn terminal_and_socket_come_together() {
    let error = Bundle::new("true").set("process/terminal", json!(true)).refuse();
    assert!(error.contains("cannot allocate tty if runc will detach without setting console socket"), "{error}");
}

#[test]
fn layers_are_shared_and_unmounted_by_the_last() {
    let bundle = Bundle::new("cat /name /etc/passwd | head -2; echo x > /name; cat /name; test -e /gone || echo gone");
    let blobs = blobs(&bundle, 3);
    let option = format!("layers={}:{}", bundle.dir.path().join("writable").display(), blobs.join(":"));
    let output = bundle.verb("run", &[&option]);
    assert_eq!(stdout(&output), "layer 2\nroot:x:0:0:root:/root:/bin/sh\nx\ngone");
    assert_eq!(fs::read_to_string(bundle.dir.path().join("writable/upper/name")).expect("upper"), "x\n");
    // Volatile mounts must not refuse their own remains.
    assert!(bundle.verb("run", &[&option]).status.success());
}

#[test]
fn a_hundred_and_twenty_layers() {
    let bundle = Bundle::new("cat /name");
    let blobs = blobs(&bundle, 120);
    let option = format!("layers={}:{}", bundle.dir.path().join("writable").display(), blobs.join(":"));
    assert_eq!(stdout(&bundle.verb("run", &[&option])), "layer 119");
}

#[test]
fn layers_in_a_user_namespace() {
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let bundle = Bundle::new("stat -c %u /name /bin; echo x > /new; stat -c %u /new")
        .add("linux/namespaces", json!({"type": "user"}))
        .set("linux/uidMappings", map.clone())
        .set("linux/gidMappings", map);
    let blobs = blobs(&bundle, 2);
    let option = format!("layers={}:{}", bundle.dir.path().join("writable").display(), blobs.join(":"));
    assert_eq!(stdout(&bundle.verb("run", &[&option])), "0\n0\n0");
    let new = fs::metadata(bundle.dir.path().join("writable/upper/new")).expect("new");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&new), 0);
}

/// EROFS blobs: the first holds the root, each a file of its own number; the second whites out /gone.
fn blobs(bundle: &Bundle, count: usize) -> Vec<String> {
    let dir = bundle.dir.path().join("layers");
    (0..count)
        .map(|number| {
            let tree = dir.join(number.to_string());
            fs::create_dir_all(&tree).expect("layer");
            fs::write(tree.join("name"), format!("layer {number}\n")).expect("name");
            if number == 0 {
                fs::write(tree.join("gone"), "").expect("gone");
                fs::rename(bundle.rootfs(), dir.join("root")).expect("root");
                for entry in fs::read_dir(dir.join("root")).expect("root").flatten() {
                    fs::rename(entry.path(), tree.join(entry.file_name())).expect("move");
                }
            } else if number == 1 {
                let whiteout =
                    std::process::Command::new("mknod").arg(tree.join("gone")).args(["c", "0", "0"]).status();
                assert!(whiteout.expect("mknod").success());
            }
            let blob = dir.join(format!("{number}.erofs"));
            let made = std::process::Command::new("mkfs.erofs").arg(&blob).arg(&tree).output().expect("mkfs.erofs");
            assert!(made.status.success(), "{made:?}");
            blob.to_string_lossy().into_owned()
        })
        .collect()
}

/// Kills `create` after many different times; whatever is left goes by `delete --force` or by the next `create`.
#[test]
fn a_killed_create_leaves_what_delete_removes() {
    let bundle = Bundle::new("sleep 1000");
    for step in 0..60 {
        let mut create =
            bundle.command("create", &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("create");
        std::thread::sleep(Duration::from_micros(250 * step));
        create.kill().expect("kill");
        create.wait().expect("wait");
        if step % 2 == 0 {
            bundle.ok("delete-force", &[]);
        } else if !bundle.state_root().join(&bundle.id).join("exec.fifo").exists() {
            bundle.ok("create", &[]);
            bundle.ok("delete-force", &[]);
        } else {
            bundle.ok("delete-force", &[]);
        }
        assert!(!bundle.state_root().join(&bundle.id).exists());
        let left = (0..500).all(|_| {
            let left = has_process(&bundle.id);
            std::thread::sleep(Duration::from_millis(u64::from(left)));
            left
        });
        assert!(!left, "a process is left after step {step}");
    }
}

fn has_process(id: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("proc").flatten();
    processes.into_iter().any(|entry| {
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        read("cgroup").contains(id) && !read("stat").contains(") Z ")
    })
}

#[test]
fn list_shows_all() {
    let bundle = Bundle::new("sleep 100");
    assert_eq!(stdout(&bundle.verb("list", &[])), "[]");
    bundle.start();
    let list = stdout(&bundle.verb("list", &[]));
    assert!(list.contains(&bundle.id) && list.contains("running"), "{list}");
}

#[test]
fn limits_change_while_it_runs() {
    let bundle = Bundle::new("sleep 100").set("linux/resources", json!({"pids": {"limit": 50}}));
    bundle.start();
    bundle.ok("update", &[r#"{"pids": {"limit": 60}}"#]);
    let mounted = bundle.exec("echo");
    assert!(mounted.status.success());
    let dirs = common::cgroups_named(Path::new("/sys/fs/cgroup/pids"), &bundle.id, 6);
    assert_eq!(fs::read_to_string(dirs[0].join("pids.max")).expect("pids.max"), "60\n");
}

#[test]
fn real_time_signals_and_the_null_signal() {
    let bundle = Bundle::new("trap 'echo caught > /caught; exit 0' 37; while :; do sleep 0.01; done");
    bundle.start();
    bundle.wait_for("running");
    bundle.ok("kill", &["0"]);
    std::thread::sleep(Duration::from_millis(100));
    bundle.ok("kill", &["37"]);
    bundle.wait_for("stopped");
    assert!(bundle.rootfs().join("caught").exists());
    assert!(stderr_of(&bundle, "kill", &["999"]).contains("container not running"));
}

#[test]
fn preserved_descriptors_must_be_there() {
    let bundle = Bundle::new("true");
    let error = stderr_of(&bundle, "run", &["preserve-fds=40"]);
    assert!(error.contains("unable to stat preserved-fd") && error.ends_with("(of 40)"), "{error}");
}

#[test]
fn seccomp_forbids_and_exec_inherits_it() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]
    });
    for no_new_privileges in [true, false] {
        let bundle = Bundle::new("mkdir /made; grep Seccomp: /proc/self/status; sleep 100")
            .set("linux/seccomp", profile.clone())
            .set("process/noNewPrivileges", json!(no_new_privileges));
        bundle.start();
        let script = "mkdir /by-exec 2>&1; awk '/^Seccomp:/ {print $2}' /proc/self/status /proc/1/status";
        let output = stdout(&bundle.exec(script));
        assert_eq!(output, "mkdir: can't create directory '/by-exec': Operation not permitted\n2\n2");
        assert!(!bundle.rootfs().join("made").exists());
    }
}

#[test]
fn seccomp_agents_get_the_listener() {
    let bundle = Bundle::new("mkdir /made; echo $?");
    let path = bundle.dir.path().join("agent.sock");
    let listener = UnixListener::bind(&path).expect("socket");
    let bundle = bundle.set(
        "linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": &path, "listenerMetadata": "meta",
               "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}),
    );
    // The filter goes in before the program runs, so `create` or the init hands the listener over.
    let agent = std::thread::spawn(move || receive_descriptor(listener));
    bundle.ok("create", &[]);
    bundle.ok("start", &[]);
    let (descriptor, message) = agent.join().expect("agent");
    let message: serde_json::Value = serde_json::from_slice(&message).expect("json");
    assert_eq!((&message["fds"], &message["metadata"]), (&json!(["seccompFd"]), &json!("meta")));
    assert_eq!(message["state"]["id"], bundle.id.as_str());
    let link = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&descriptor))).expect("link");
    assert_eq!(link.to_string_lossy(), "anon_inode:seccomp notify");
    bundle.ok("delete-force", &[]);
}
