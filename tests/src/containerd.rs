//! Debian's containerd and ctr, with runc's shim told to run another runtime.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::daemon::{Daemon, Home};
use crate::{Cmd, Output};

/// The name of the image that a new [`Containerd`] holds.
pub const BUSYBOX: &str = "docker.io/library/busybox:latest";

/// A running containerd with the busybox image. On drop it ends all containers, and fails when anything is left.
#[derive(Debug)]
pub struct Containerd {
    daemon: Daemon,
    runtime: PathBuf,
    execs: AtomicU32,
    home: Home,
}

impl Containerd {
    /// Starts one that makes containers with `runtime`.
    #[track_caller]
    pub fn start(runtime: &Path) -> Self {
        let home = Home::new();
        fs::write(home.path("config.toml"), config(&home)).expect("write containerd's configuration");
        let daemon = start_daemon(&home);
        let containerd = Self { daemon, runtime: runtime.to_owned(), execs: AtomicU32::new(0), home };
        let archive = containerd.home.archive("busybox", "oci-archive", "latest");
        let import = ["image", "import", "--base-name", "docker.io/library/busybox"];
        containerd.ctr(&import).arg(archive).ok();
        containerd
    }

    /// `ctr`, in a containerd namespace of its own.
    pub fn ctr(&self, args: &[&str]) -> Cmd {
        let command = Cmd::new("ctr").args(["--address", &self.home.text("sock"), "--namespace", self.home.token()]);
        self.home.marked(command).args(args)
    }

    /// `ctr run OPTIONS busybox ID COMMAND` on the runtime.
    pub fn run(&self, options: &[&str], id: &str, command: &[&str]) -> Cmd {
        let runtime = self.runtime.display().to_string();
        let [root, fifos] = ["runtime", "fifo"].map(|name| self.home.text(name));
        let own = ["run", "--runc-binary", &runtime, "--runc-root", &root, "--fifo-dir", &fifos];
        self.ctr(&own).args(options).args([BUSYBOX, id]).args(command)
    }

    /// `ctr task exec` of a command, to its end.
    #[track_caller]
    pub fn exec(&self, id: &str, command: &[&str]) -> Output {
        self.exec_with(&[], id, command).run()
    }

    /// `ctr task exec --detach`.
    #[track_caller]
    pub fn exec_detached(&self, id: &str, command: &[&str]) {
        self.exec_with(&["--detach"], id, command).ok();
    }

    fn exec_with(&self, options: &[&str], id: &str, command: &[&str]) -> Cmd {
        let exec_id = format!("exec-{}", self.execs.fetch_add(1, Ordering::Relaxed));
        let own = ["task", "exec", "--fifo-dir", &self.home.text("fifo"), "--exec-id", &exec_id];
        self.ctr(&own).args(options).arg(id).args(command)
    }

    /// The state of a task as `ctr task ls` shows it, for example `RUNNING`.
    #[track_caller]
    pub fn status(&self, id: &str) -> Option<String> {
        let tasks = self.ctr(&["task", "ls"]).ok();
        let line = tasks.stdout.lines().find(|line| line.split_whitespace().next() == Some(id))?;
        line.split_whitespace().last().map(str::to_owned)
    }

    /// Ends containerd, not its containers, and starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.daemon.stop();
        self.daemon = start_daemon(&self.home);
    }

    /// Where it keeps content and snapshots.
    pub fn root(&self) -> PathBuf {
        self.home.path("root")
    }

    /// Its process.
    pub fn pid(&self) -> rustix::process::Pid {
        self.daemon.pid()
    }

    /// What containerd and its shims have logged.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    fn remove_containers(&self) {
        for id in self.ctr(&["task", "ls", "-q"]).run().stdout.lines() {
            self.ctr(&["task", "rm", "--force", id]).run();
        }
        for id in self.ctr(&["container", "ls", "-q"]).run().stdout.lines() {
            self.ctr(&["container", "rm", id]).run();
        }
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.remove_containers();
        }
        self.daemon.stop();
    }
}

#[track_caller]
fn start_daemon(home: &Home) -> Daemon {
    let command = Cmd::new("containerd").args(["--config", &home.text("config.toml")]);
    let mut daemon = Daemon::start(home.marked(command), &home.path("log"));
    let answers = || Cmd::new("ctr").args(["--address", &home.text("sock"), "version"]).run().code == 0;
    daemon.wait_ready(|| home.path("sock").exists() && answers());
    daemon
}

/// Only what these tests need: no CRI, no snapshotters that look for devices.
fn config(home: &Home) -> String {
    let [root, state, sock, opt] = ["root", "state", "sock", "opt"].map(|name| home.text(name));
    format!(
        "version = 2\nroot = {root:?}\nstate = {state:?}\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.snapshotter.v1.aufs\", \
         \"io.containerd.snapshotter.v1.btrfs\", \"io.containerd.snapshotter.v1.devmapper\", \
         \"io.containerd.snapshotter.v1.zfs\"]\n\
         [grpc]\naddress = {sock:?}\n[plugins.\"io.containerd.internal.v1.opt\"]\npath = {opt:?}\n"
    )
}
