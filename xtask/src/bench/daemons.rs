//! Peers that are daemons, each with private directories and a private socket.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use stockade_tests::{Scratch, leaks, oci_layout, wait_until};

use crate::sh;

/// A daemon, ended with its control groups when dropped.
#[derive(Debug)]
struct Daemon {
    process: Child,
    token: String,
}

impl Daemon {
    fn start(mut command: Command, log: &Path, token: String) -> Result<Self> {
        let log = fs::File::create(log)?;
        let process = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        Ok(Self { process: process.with_context(|| format!("start {command:?}"))?, token })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
        leaks::remove_empty_cgroups(&self.token);
    }
}

/// containerd, and ctr as its client.
#[derive(Debug)]
pub struct Containerd {
    daemon: Daemon,
    dir: PathBuf,
}

impl Containerd {
    /// Starts one below the scratch; `name` is its directory.
    pub fn start(scratch: &Scratch, name: &str) -> Result<Self> {
        let dir = scratch.path(name);
        fs::create_dir_all(&dir)?;
        let config = dir.join("config.toml");
        let text = format!(
            "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/state\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{0}/sock\"\n",
            dir.display()
        );
        fs::write(&config, text)?;
        let mut command = Command::new("containerd");
        command.arg("--config").arg(&config);
        let daemon = Daemon::start(command, &dir.join("log"), scratch.id(name))?;
        let this = Self { daemon, dir };
        wait_until("containerd to answer", Duration::from_secs(30), || {
            this.ctr(["version"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        });
        Ok(this)
    }

    /// A ctr command, silent.
    pub fn ctr<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.dir.join("sock")).args(args).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Where it keeps content and snapshots.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.daemon.process.id()
    }
}

/// dockerd with a containerd of its own, without a bridge.
#[derive(Debug)]
pub struct Docker {
    socket: String,
    _daemon: Daemon,
}

impl Docker {
    /// Starts one below the scratch and loads the image `busybox` into it.
    pub fn start(scratch: &Scratch) -> Result<Self> {
        let (dir, group) = (scratch.path("docker"), scratch.id("docker"));
        fs::create_dir_all(&dir)?;
        let socket = format!("unix://{}", dir.join("sock").display());
        let mut command = Command::new("dockerd");
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(option).arg(dir.join(name));
        }
        command.args(["--host", &socket, "--bridge=none", "--iptables=false", "--storage-driver=overlay2"]);
        command.args(["--cgroup-parent", &group]);
        let this = Self { _daemon: Daemon::start(command, &dir.join("log"), group)?, socket };
        wait_until("dockerd to answer", Duration::from_secs(60), || {
            thread::sleep(Duration::from_millis(100));
            this.docker(["version"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        });
        this.load("busybox")?;
        Ok(this)
    }

    fn load(&self, tag: &str) -> Result<()> {
        let from = format!("oci:{}:{tag}", oci_layout().display());
        let args = ["copy", "--quiet", "--insecure-policy", "--dest-daemon-host", &self.socket, &from];
        sh::check(sh::cmd("skopeo", args).arg(format!("docker-daemon:{tag}:latest")))
    }

    /// A docker command, silent.
    pub fn docker<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("docker");
        command.args(["--host", &self.socket]).args(args).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}
