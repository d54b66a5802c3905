//! OCI bundles on the fixture root file systems.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scratch::{release, token_of, unique_dir};
use crate::{Cmd, rootfs};

/// A bundle directory: `config.json` and `rootfs/`. Removed on drop.
#[derive(Debug)]
pub struct Bundle {
    dir: Option<TempDir>,
    token: String,
    config: Value,
}

impl Bundle {
    /// A bundle that runs `args` in a writable busybox root of its own, as `runc spec` would describe it, without a
    /// terminal.
    #[track_caller]
    pub fn busybox(args: &[&str]) -> Self {
        Self::busybox_at(unique_dir(), args)
    }

    /// The same below a given directory.
    #[track_caller]
    pub(crate) fn busybox_in(parent: &Path, args: &[&str]) -> Self {
        let dir =
            tempfile::Builder::new().prefix("bundle-").rand_bytes(10).tempdir_in(parent).expect("make a directory");
        Self::busybox_at(dir, args)
    }

    /// A bundle on Debian's root, shared read-only below an overlay of its own.
    #[track_caller]
    pub fn debian(args: &[&str]) -> Self {
        let dir = unique_dir();
        mount_overlay(&rootfs("debian"), dir.path());
        Self::finish(dir, args)
    }

    fn busybox_at(dir: TempDir, args: &[&str]) -> Self {
        copy_busybox(&rootfs("busybox"), &dir.path().join("rootfs"));
        Self::finish(dir, args)
    }

    fn finish(dir: TempDir, args: &[&str]) -> Self {
        let token = token_of(&dir);
        let bundle = Self { dir: Some(dir), token, config: default_config(args) };
        bundle.write();
        bundle
    }

    /// A `config.json` that runs `args`, for a bundle that is made elsewhere.
    pub fn config_for(args: &[&str]) -> Value {
        default_config(args)
    }

    /// Changes `config.json`.
    pub fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.config);
        self.write();
        self
    }

    /// Sets the value at a JSON pointer, for example `/process/terminal`; objects on the way are made.
    #[track_caller]
    pub fn set(self, pointer: &str, value: Value) -> Self {
        self.edit(|config| {
            let keys = pointer.strip_prefix('/').expect("a JSON pointer starts with /").split('/');
            let slot = keys.fold(config, |node, key| match node {
                Value::Array(items) => {
                    let index: usize = key.parse().expect("an array index");
                    items.get_mut(index).expect("an index within the array")
                }
                node => &mut node[key],
            });
            *slot = value;
        })
    }

    /// Adds a mount after the others.
    pub fn mount(self, mount: Value) -> Self {
        self.edit(|config| config["mounts"].as_array_mut().expect("mounts is an array").push(mount))
    }

    /// The bundle directory.
    pub fn path(&self) -> &Path {
        self.dir.as_ref().expect("present until drop").path()
    }

    /// The root file system.
    pub fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    /// `config.json` as it is now.
    pub fn config(&self) -> &Value {
        &self.config
    }

    fn write(&self) {
        let text = serde_json::to_vec_pretty(&self.config).expect("JSON is serialisable");
        fs::write(self.path().join("config.json"), text).expect("write config.json");
    }
}

impl Drop for Bundle {
    /// Asserts nothing: the containers of the bundle are removed, and looked for, by the [`crate::Scratch`] that
    /// outlives it.
    fn drop(&mut self) {
        let _ = unmount(self.rootfs(), UnmountFlags::DETACH);
        release(self.dir.take(), &self.token);
    }
}

/// One copy of the binary and a link per applet: about 3 ms, and nothing to unmount.
fn copy_busybox(from: &Path, to: &Path) {
    fs::create_dir(to).expect("make the root directory");
    for entry in fs::read_dir(from).expect("list the busybox root").map(|entry| entry.expect("list the busybox root")) {
        copy_tree(&entry.path(), &to.join(entry.file_name()));
    }
}

fn copy_tree(from: &Path, to: &Path) {
    let kind = from.symlink_metadata().expect("look at a fixture").file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(from).expect("read a link"), to).expect("copy a link");
    } else if kind.is_dir() {
        copy_busybox(from, to);
    } else {
        fs::copy(from, to).expect("copy a file");
    }
}

fn mount_overlay(lower: &Path, dir: &Path) {
    for name in ["upper", "work", "rootfs"] {
        fs::create_dir(dir.join(name)).expect("make a directory");
    }
    let [lower, upper, work] = [lower, &dir.join("upper"), &dir.join("work")].map(|path| path.display().to_string());
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    Cmd::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(dir.join("rootfs")).ok();
}

/// What `runc spec` writes, without the terminal and with a writable root.
fn default_config(args: &[&str]) -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs", "readonly": false},
        "hostname": "stockade",
        "mounts": default_mounts(),
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}

fn default_mounts() -> Value {
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
    ])
}
