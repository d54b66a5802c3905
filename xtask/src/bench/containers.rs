//! The OCI runtimes under comparison, and what their containers cost.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use rustix::process::{WaitOptions, wait};
use std::time::Duration;
use stockade_tests::{Bundle, Cmd, Scratch, bin, leaks, wait_until};

use crate::sh;

/// An OCI runtime with a state directory of its own.
#[derive(Debug)]
pub struct Oci {
    /// Its name in tables.
    pub name: &'static str,
    program: PathBuf,
    root: PathBuf,
    options: &'static [&'static str],
}

impl Oci {
    /// Ours, crun and runc, on state directories below the scratch.
    pub fn all(scratch: &Scratch) -> [Self; 3] {
        let new = |name, program: PathBuf| Self { name, root: scratch.path(name), program, options: &[] };
        [new("stockade-oci", bin("stockade-oci")), new("crun", "crun".into()), new("runc", "runc".into())]
    }

    /// Ours, in class `kernel`.
    pub fn kernel(scratch: &Scratch) -> Self {
        let options = &["--isolation", "kernel"];
        let name = "stockade-oci --isolation kernel";
        Self { name, root: scratch.path("kernel"), program: bin("stockade-oci"), options }
    }

    /// Debian's gVisor. Its sandboxes have loopback alone, as ours.
    pub fn runsc(scratch: &Scratch) -> Self {
        let options = &["--platform=ptrace", "--network=none"];
        Self { name: "runsc --platform=ptrace", root: scratch.path("runsc"), program: "runsc".into(), options }
    }

    /// A verb of this runtime, silent.
    pub fn verb<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(args).into_inner();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// A verb of this runtime, whose output is wanted.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        Cmd::new(&self.program).arg("--root").arg(&self.root).args(self.options).args(args)
    }

    /// Runs a bundle to its end.
    pub fn run(&self, bundle: &Path, id: &str) -> Result<()> {
        sh::check(self.verb(["run", id]).current_dir(bundle))
    }

    /// Starts a bundle in the background.
    pub fn run_detached(&self, bundle: &Path, id: &str) -> Result<()> {
        sh::check(self.verb(["run", "--detach", id]).current_dir(bundle))
    }

    /// Kills and deletes a container.
    pub fn delete(&self, id: &str) -> Result<()> {
        sh::check(&mut self.verb(["delete", "--force", id]))
    }
}

/// A bundle of busybox whose root is read-only, so that any number of containers can share it.
pub fn shared_bundle(scratch: &Scratch, args: &[&str]) -> Bundle {
    scratch.bundle(args).set("/root/readonly", true.into())
}

/// Proportional set size of everything that descends from us, in KiB: what memory the containers really take,
/// runtimes included.
pub fn pss_kib() -> f64 {
    leaks::descendants().iter().filter_map(|pid| pss_of(*pid)).sum()
}

fn pss_of(pid: i32) -> Option<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// How many processes descend from us.
pub fn descendants() -> usize {
    leaks::descendants().len()
}

/// Waits until nothing descends from us, reaping what died.
pub fn reap_all() {
    wait_until("the containers' processes to end", Duration::from_secs(60), || {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        descendants() == 0
    });
}

/// Fails unless `count` processes, at least, descend from us.
pub fn check_alive(count: usize) -> Result<()> {
    match descendants() {
        alive if alive >= count => Ok(()),
        alive => bail!("only {alive} of {count} containers are alive"),
    }
}
