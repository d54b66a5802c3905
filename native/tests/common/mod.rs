//! A bundle with a busybox root in a temporary directory, and the `contain` example to run the library's verbs on it.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than any container of these tests lives.
const LIMIT: Duration = Duration::from_secs(30);

const APPLETS: [&str; 30] = [
    "sh", "true", "false", "cat", "ls", "mount", "umount", "id", "sleep", "ps", "hostname", "env", "grep", "stat",
    "ip", "touch", "mkdir", "ln", "kill", "readlink", "test", "tty", "echo", "mknod", "dd", "chroot", "pwd", "rm",
    "awk", "sed",
];

static NEXT: AtomicU32 = AtomicU32::new(0);

/// One container's bundle, state directory and id. Dropping it deletes the container and checks that nothing is left.
pub struct Bundle {
    pub dir: TempDir,
    pub id: String,
    pub spec: Value,
}

impl Bundle {
    /// A container that runs `script`.
    pub fn new(script: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("native-").tempdir().expect("temporary directory");
        let id = format!("native-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let bundle = Self { spec: default_spec(script), dir, id };
        fill_rootfs(&bundle.rootfs());
        bundle
    }

    pub fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    pub fn state_root(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Replaces a part of the spec, named as in `process/user/uid`.
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let mut place = &mut self.spec;
        for name in pointer.split('/') {
            place = &mut place[name];
        }
        *place = value;
        self
    }

    /// Adds to a list of the spec.
    pub fn add(mut self, pointer: &str, value: Value) -> Self {
        let list = self.spec.pointer_mut(&format!("/{pointer}")).and_then(Value::as_array_mut).expect("a list");
        list.push(value);
        self
    }

    pub fn write(&self) {
        fs::write(self.dir.path().join("config.json"), self.spec.to_string()).expect("config.json");
    }

    /// The command of one verb on this container.
    pub fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        self.write();
        let mut command = Command::new(contain());
        command.arg(self.state_root()).args([verb, &self.id]).stdin(Stdio::null());
        if ["create", "run", "bench"].contains(&verb) {
            command.arg(self.dir.path());
        }
        command.args(arguments);
        command
    }

    /// Runs one verb to its end. The init of `create` must not keep our pipes open, so that has none.
    pub fn verb(&self, verb: &str, arguments: &[&str]) -> Output {
        output(self.command(verb, arguments))
    }

    /// Runs the container and returns what it wrote, which must have ended well.
    pub fn run(&self) -> String {
        let output = self.verb("run", &[]);
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs the container, which must fail to be created, and returns the error.
    pub fn refuse(&self) -> String {
        let output = self.verb("run", &[]);
        assert!(!output.status.success(), "{}", text(&output));
        assert!(!self.state_root().join(&self.id).exists(), "state is left");
        String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
    }

    /// Creates and starts the container with its streams on files.
    pub fn start(&self) {
        for verb in ["create", "start"] {
            self.ok(verb, &[]);
        }
    }

    /// A verb that must succeed and whose processes keep none of our pipes.
    pub fn ok(&self, verb: &str, arguments: &[&str]) -> String {
        let log = self.dir.path().join("log");
        let file = || fs::File::options().append(true).create(true).open(&log).expect("log");
        let mut child = self.command(verb, arguments).stdout(file()).stderr(file()).spawn().expect("contain");
        let status = wait(&mut child);
        let log = fs::read_to_string(&log).expect("log");
        assert!(status.is_some_and(|status| status.success()), "{verb}: {log}");
        log
    }

    /// Runs a script in the running container.
    pub fn exec(&self, script: &str) -> Output {
        self.exec_process(json!({ "args": ["/bin/sh", "-c", script] }), &[])
    }

    pub fn exec_process(&self, changes: Value, options: &[&str]) -> Output {
        let mut process = json!({ "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"] });
        for (key, value) in changes.as_object().expect("an object") {
            process[key] = value.clone();
        }
        self.verb("exec", &[&[process.to_string().as_str()], options].concat())
    }

    /// The container's state, as `state` prints it.
    pub fn state(&self) -> Value {
        let output = self.verb("state", &[]);
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).expect("json")
    }

    pub fn wait_for(&self, status: &str) {
        let deadline = Instant::now() + LIMIT;
        while self.state()["status"] != status {
            assert!(Instant::now() < deadline, "never {status}: {}", self.state());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let deleted = self.verb("delete-force", &[]);
        if std::thread::panicking() {
            return;
        }
        assert!(deleted.status.success(), "{}", text(&deleted));
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        let path = self.dir.path().to_string_lossy().into_owned();
        assert!(!mounts.contains(&path), "a mount is left in {path}: {mounts}");
        assert_eq!(cgroups_named(Path::new("/sys/fs/cgroup"), &self.id, 6), Vec::<PathBuf>::new());
        assert!(!self.state_root().join(&self.id).exists(), "state is left");
    }
}

/// Directories of this name in the cgroup hierarchies.
pub fn cgroups_named(dir: &Path, name: &str, depth: u32) -> Vec<PathBuf> {
    let Some(depth) = depth.checked_sub(1) else { return Vec::new() };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
    dirs.flat_map(|path| match path.file_name().is_some_and(|found| found == name) {
        true => vec![path],
        false => cgroups_named(&path, name, depth),
    })
    .collect()
}

pub fn text(output: &Output) -> String {
    format!("{} {} {}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn output(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("contain runs");
    child.wait_with_output().expect("contain ends")
}

/// `None` when it did not end in time.
fn wait(child: &mut std::process::Child) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("wait") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("kill");
    None
}

/// The example that lies beside the test binaries.
pub fn contain() -> PathBuf {
    let test = std::env::current_exe().expect("own path");
    let path = test.parent().and_then(Path::parent).expect("target directory").join("examples/contain");
    assert!(path.exists(), "{} is missing: cargo build -p stockade-native --examples", path.display());
    path
}

fn fill_rootfs(root: &Path) {
    for dir in ["bin", "proc", "sys", "dev", "etc", "tmp", "root"] {
        fs::create_dir_all(root.join(dir)).expect("rootfs");
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).expect("applet");
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/sh\n")
        .expect("passwd");
    fs::write(root.join("etc/group"), "root:x:0:\nweb:x:34:\nlog:x:9:web\n").expect("group");
}

fn default_spec(script: &str) -> Value {
    let capabilities =
        json!(["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE", "CAP_MKNOD"]);
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh", "-c", script],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs"},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755",
                "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec",
                "nodev", "mode=1777"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}
        ],
        "linux": {
            "namespaces": [
                {"type": "pid"}, {"type": "mount"}, {"type": "network"},
                    {"type": "ipc"}, {"type": "uts"}, {"type": "cgroup"}
            ],
            "maskedPaths": ["/proc/kcore", "/sys/firmware", "/proc/no-such"],
            "readonlyPaths": ["/proc/sys"]
        }
    })
}
