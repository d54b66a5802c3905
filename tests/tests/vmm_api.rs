//! `stockade vmm` from outside: Firecracker's getting-started session by curl, its flags and exit statuses, on a host
//! whose /dev/kvm may not be able to run a guest.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_tests::{Cmd, Running, bin, wait_until};
use tempfile::TempDir;

/// A VMM with an API socket in a directory of its own; it is killed with the test.
struct Vmm {
    dir: TempDir,
    _running: Running,
}

impl Vmm {
    fn start(flags: &[&str]) -> Self {
        let dir = TempDir::new().expect("a directory");
        let running = vmm(dir.path(), flags).spawn();
        wait_until("the API socket", Duration::from_secs(30), || dir.path().join("api.sock").exists());
        Self { dir, _running: running }
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, content).expect("write a file");
        path.display().to_string()
    }

    /// The status and the body of an answer, as curl sees them.
    fn curl(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let socket = self.dir.path().join("api.sock");
        let mut curl =
            Cmd::new("curl").args(["--silent", "--show-error", "-X", method, "--write-out", "\n%{http_code}"]);
        curl = curl.args([Path::new("--unix-socket"), &socket]);
        if let Some(body) = body {
            curl = curl.args(["--data", &body.to_string()]);
        }
        let output = curl.args([format!("http://localhost{path}")]).ok().stdout;
        let (body, status) = output.rsplit_once('\n').expect("a status");
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).expect("JSON") };
        (status.parse().expect("a status"), body)
    }

    #[track_caller]
    fn put(&self, path: &str, body: &Value) {
        assert_eq!(self.curl("PUT", path, Some(body)), (204, Value::Null), "{path} {body}");
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.curl("GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

fn vmm(dir: &Path, flags: &[&str]) -> Cmd {
    Cmd::new(bin("stockade")).args(["vmm", "--api-sock"]).args([dir.join("api.sock")]).args(flags)
}

#[test]
fn the_getting_started_session() {
    let vmm = Vmm::start(&["--id", "getting-started"]);
    let log = vmm.file("firecracker.log", "");
    vmm.put("/logger", &json!({"log_path": log, "level": "Debug", "show_level": true, "show_log_origin": true}));
    let kernel = vmm.file("vmlinux", "no kernel");
    let arguments = "console=ttyS0 reboot=k panic=1";
    vmm.put("/boot-source", &json!({"kernel_image_path": kernel, "boot_args": arguments}));
    let disk = vmm.file("rootfs.ext4", "no file system");
    let drive = json!({"drive_id": "rootfs", "path_on_host": disk, "is_root_device": true, "is_read_only": false});
    vmm.put("/drives/rootfs", &drive);
    let network = json!({"iface_id": "net1", "guest_mac": "06:00:AC:10:00:02", "host_dev_name": "tap0"});
    vmm.put("/network-interfaces/net1", &network);
    vmm.put("/machine-config", &json!({"vcpu_count": 2, "mem_size_mib": 256}));
    let config = vmm.get("/vm/config");
    assert_eq!(config["boot-source"]["boot_args"], arguments);
    assert_eq!(config["drives"][0]["path_on_host"], disk.as_str());
    assert_eq!(config["network-interfaces"][0]["guest_mac"], "06:00:ac:10:00:02");
    assert_eq!(config["machine-config"]["mem_size_mib"], 256);
    let info = vmm.get("/");
    assert_eq!((&info["id"], &info["state"]), (&json!("getting-started"), &json!("Not started")));
    let log = fs::read_to_string(log).expect("read the log");
    let line = log.lines().find(|line| line.contains("/boot-source")).expect("a line about the boot source");
    assert!(line.contains(" [getting-started:main:INFO:") && line.contains("The API server received a Put request"));
}

/// Neither a kernel that is none nor a KVM that cannot run guests is found out late.
#[test]
fn a_start_that_cannot_succeed_says_why_at_once() {
    let vmm = Vmm::start(&[]);
    let kernel = vmm.file("vmlinux", "no kernel");
    vmm.put("/boot-source", &json!({"kernel_image_path": kernel}));
    let begun = Instant::now();
    let (status, body) = vmm.curl("PUT", "/actions", Some(&json!({"action_type": "InstanceStart"})));
    let words = body["fault_message"].as_str().expect("a fault");
    assert_eq!(status, 400);
    let reason = words.strip_prefix("Start microvm error: ").expect("Firecracker's word for it");
    assert!(reason.contains("/dev/kvm") || reason.contains("kernel"), "{words}");
    // Two seconds are promised; a busy machine gets more.
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
    assert_eq!(vmm.get("/")["state"], "Not started");
}

#[test]
fn metadata_and_metrics_come_from_flags() {
    let dir = TempDir::new().expect("a directory");
    let (metadata, metrics) = (dir.path().join("metadata"), dir.path().join("metrics"));
    fs::write(&metadata, r#"{"latest": {"name": "box"}}"#).expect("write a file");
    let flags = ["--metadata", utf8(&metadata), "--metrics-path", utf8(&metrics), "--mmds-size-limit", "100"];
    let vmm = Vmm::start(&flags);
    assert_eq!(vmm.get("/mmds"), json!({"latest": {"name": "box"}}));
    let (status, _) = vmm.curl("PUT", "/mmds", Some(&json!({"a": "x".repeat(100)})));
    assert_eq!(status, 413);
    assert!(metrics.exists());
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn firecrackers_exit_statuses() {
    let dir = TempDir::new().expect("a directory");
    let check = |flags: &[&str], status: i32, words: &str| {
        let output = vmm(dir.path(), flags).exits(status);
        assert!(output.stderr.contains(words), "{output}");
    };
    check(&["--no-such-flag"], 153, "--no-such-flag");
    check(&["--no-api"], 153, "--config-file");
    check(&["--id", "a_b"], 153, "Invalid char (_) at position 1");
    check(&["--level", "loud"], 152, "Failed to parse string to level filter: loud");
    check(&["--config-file", "/nonexistent"], 152, "cannot read /nonexistent");
    check(&["--log-path", "/nonexistent/log"], 1, "Failed to open target file: No such file");
    let config = dir.path().join("config.json");
    fs::write(&config, r#"{"boot-source": {"kernel_image_path": "/nonexistent"}, "drives": []}"#)
        .expect("write a file");
    check(&["--no-api", "--config-file", utf8(&config)], 152, "The kernel file cannot be opened");
    let taken = TempDir::new().expect("a directory");
    fs::write(taken.path().join("api.sock"), "").expect("write a file");
    let output = vmm(taken.path(), &[]).exits(1);
    assert!(output.stderr.contains("Failed to open the API socket at: "), "{output}");
}

#[test]
fn firecrackers_clients_find_their_program() {
    let dir = TempDir::new().expect("a directory");
    let program: PathBuf = dir.path().join("firecracker");
    symlink(bin("stockade"), &program).expect("make a link");
    let output = Cmd::new(&program).args(["--version"]).ok();
    assert!(output.stdout.starts_with("Firecracker v1."), "{output}");
}
