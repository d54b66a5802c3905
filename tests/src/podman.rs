//! Debian's podman and conmon.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Cmd;
use crate::daemon::Home;

/// Podman reads a runtime's errors as JSON only when the runtime's name is listed (containers.conf(5)).
const CONFIG: &str = "[engine]\nevents_logger = \"file\"\nruntime_supports_json = [\"runc\", \"stockade-oci\"]\n";

/// Podman with directories of its own and the image `busybox`. On drop it ends all containers, and fails when anything
/// is left.
#[derive(Debug)]
pub struct Podman {
    runtime: PathBuf,
    home: Home,
}

impl Podman {
    /// Prepares one that makes containers with `runtime`.
    #[track_caller]
    pub fn new(runtime: &Path) -> Self {
        let home = Home::new();
        fs::write(home.path("containers.conf"), CONFIG).expect("write containers.conf");
        let podman = Self { runtime: runtime.to_owned(), home };
        let archive = podman.home.archive("busybox", "docker-archive", "localhost/busybox:latest");
        podman.podman(&["load", "--quiet", "--input"]).arg(archive).ok();
        podman
    }

    /// The `podman` command.
    pub fn podman(&self, args: &[&str]) -> Cmd {
        let dirs = [("--root", "root"), ("--runroot", "runroot"), ("--tmpdir", "tmp")];
        let command = Cmd::new("podman").env("CONTAINERS_CONF", self.home.path("containers.conf"));
        let command =
            dirs.iter().fold(command, |command, (option, name)| command.args([*option, &self.home.text(name)]));
        let options = ["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--runtime"];
        self.home.marked(command.args(options).arg(&self.runtime)).args(args)
    }

    /// `podman run OPTIONS busybox COMMAND`, with limits that podman itself, and so its child, may set on a restricted
    /// host.
    pub fn run(&self, options: &[&str], command: &[&str]) -> Cmd {
        let parent = format!("/{}", self.home.token());
        let limits = ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=30000:30000", "--network", "none"];
        let run = self.podman(&["run", "--cgroup-parent", &parent]).args(limits).args(options);
        run.arg("localhost/busybox:latest").args(command)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.podman(&["rm", "--all", "--force", "--time", "0"]).run();
        }
        // conmon calls `podman container cleanup`, which mounts the storage on itself once more.
        self.home.settle();
        let _ = rustix::mount::unmount(self.home.path("root/overlay"), rustix::mount::UnmountFlags::DETACH);
    }
}
