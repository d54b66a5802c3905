//! Debian's dockerd and docker, in a network and a mount namespace of their own.

use std::fs;
use std::path::Path;

use crate::Cmd;
use crate::daemon::{Daemon, Home};

/// A running dockerd, with a containerd of its own, that holds the image `busybox`. On drop it ends all containers, and
/// fails when anything is left.
#[derive(Debug)]
pub struct Docker {
    daemon: Daemon,
    home: Home,
}

impl Docker {
    /// Starts one that makes containers with `runtime`.
    #[track_caller]
    pub fn start(runtime: &Path) -> Self {
        let home = Home::new();
        fs::write(home.path("daemon.json"), "{}").expect("write dockerd's configuration");
        let mut daemon = Daemon::start(dockerd(&home, runtime), &home.path("log"));
        daemon.wait_ready(|| home.path("sock").exists() && docker(&home, &["version"]).run().code == 0);
        let docker = Self { daemon, home };
        let archive = docker.home.archive("busybox", "docker-archive", "busybox:latest");
        docker.docker(&["load", "--quiet", "--input"]).arg(archive).ok();
        docker
    }

    /// The `docker` command.
    pub fn docker(&self, args: &[&str]) -> Cmd {
        docker(&self.home, args)
    }

    /// A command on dockerd's host, which is its network namespace.
    pub fn on_host(&self, command: &[&str]) -> Cmd {
        let target = self.daemon.pid().as_raw_nonzero().to_string();
        self.home.marked(Cmd::new("nsenter").args(["--net", "--target", &target]).args(command))
    }

    /// `docker inspect --format` of a container.
    #[track_caller]
    pub fn inspect(&self, container: &str, format: &str) -> String {
        self.docker(&["inspect", "--format", format, container]).ok().out().to_owned()
    }

    /// A directory for files of the test.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path(name)
    }

    /// What dockerd has logged.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let ids = self.docker(&["ps", "--all", "--quiet"]).run().stdout;
        if !ids.trim().is_empty() && !std::thread::panicking() {
            self.docker(&["rm", "--force"]).args(ids.split_whitespace()).run();
        }
        self.daemon.stop();
    }
}

/// `exec` keeps the pid of the namespaces' maker: dockerd's. Its default limit of open files is above what a container
/// in a restricted host may have.
fn dockerd(home: &Home, runtime: &Path) -> Cmd {
    let options = [
        format!("--config-file={}", home.text("daemon.json")),
        format!("--data-root={}", home.text("data")),
        format!("--exec-root={}", home.text("exec")),
        format!("--pidfile={}", home.text("pid")),
        format!("--host=unix://{}", home.text("sock")),
        format!("--add-runtime=tested={}", runtime.display()),
        format!("--cgroup-parent=/{}", home.token()),
        "--default-runtime=tested".to_owned(),
        "--storage-driver=overlay2".to_owned(),
        "--default-ulimit=nofile=20000:20000".to_owned(),
    ];
    let shell = ["--net", "--mount", "sh", "-c", "ip link set lo up && exec dockerd \"$@\"", "dockerd"];
    home.marked(Cmd::new("unshare").args(shell).args(options))
}

fn docker(home: &Home, args: &[&str]) -> Cmd {
    let host = format!("unix://{}", home.text("sock"));
    let command = Cmd::new("docker").env("DOCKER_HOST", host).env("DOCKER_CONFIG", home.path("client"));
    home.marked(command.env("DOCKER_BUILDKIT", "0")).args(args)
}
