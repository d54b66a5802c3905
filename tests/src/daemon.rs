//! Container managers from Debian, each with directories, sockets and logs of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::scratch::{release, token_of, unique_dir};
use crate::wait::holds_within;
use crate::{Cmd, bin, leaks};

/// The OCI runtime that managers are given: `STOCKADE_TEST_RUNTIME` (runc, to see what a test would say of it), else
/// `stockade-oci`.
pub fn oci_runtime() -> PathBuf {
    std::env::var_os("STOCKADE_TEST_RUNTIME").map_or_else(|| bin("stockade-oci"), PathBuf::from)
}

/// A manager's directory, whose name is in everything that it makes. On drop, what is left of it is an error.
#[derive(Debug)]
pub(crate) struct Home {
    dir: Option<TempDir>,
    token: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = unique_dir();
        let token = token_of(&dir);
        Self { dir: Some(dir), token }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.as_ref().expect("present until drop").path().join(name)
    }

    /// `path` as text, for configuration files and options.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A word that nothing else on the machine has in its name.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Marks a command, so that what it leaves is found.
    pub(crate) fn marked(&self, command: Cmd) -> Cmd {
        command.env("STOCKADE_TEST_SCRATCH", &self.token)
    }

    /// Waits for processes that end by themselves, and removes the control groups that the manager forgot.
    pub(crate) fn settle(&self) {
        leaks::processes_end(&self.token);
        leaks::remove_empty_groups(&self.token);
    }

    /// The image of the fixture layout as an archive; `form` is skopeo's transport, `name` what the archive calls it.
    #[track_caller]
    pub(crate) fn archive(&self, image: &str, form: &str, name: &str) -> PathBuf {
        let path = self.path(&format!("{image}.tar"));
        let from = format!("oci:{}:{image}", crate::oci_layout().display());
        Cmd::new("skopeo").args(["copy", "--quiet", &from, &format!("{form}:{}:{name}", path.display())]).ok();
        path
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.settle();
        let left = leaks::left_by(&self.token, &[]);
        leaks::remove(&self.token, &[]);
        release(self.dir.take(), &self.token);
        assert!(left.is_empty() || thread::panicking(), "the test left behind:\n{}", left.join("\n"));
    }
}

/// A daemon with a log file. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    #[track_caller]
    pub(crate) fn start(command: Cmd, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("open a daemon's log");
        let mut command = command.into_inner();
        command.stdin(Stdio::null()).stderr(file.try_clone().expect("duplicate a descriptor")).stdout(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// Waits until `ready` holds; shows the log when it does not or the daemon ends.
    #[track_caller]
    pub(crate) fn wait_ready(&mut self, mut ready: impl FnMut() -> bool) {
        let mut is_ready = false;
        holds_within(Duration::from_secs(40), || {
            is_ready = ready();
            is_ready || !matches!(self.child.try_wait(), Ok(None))
        });
        assert!(is_ready, "the daemon is not ready:\n{}", self.log());
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(self.pid(), Signal::TERM);
            holds_within(Duration::from_secs(20), || !matches!(self.child.try_wait(), Ok(None)));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}
