//! Private directories for one test, and the proof that the test left nothing behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use tempfile::TempDir;

use crate::{Bundle, Cmd, bin, leaks};

/// Private `--root` and `--state` directories for the binaries under test.
///
/// On drop it removes the containers that are left, through the product, and then asserts that no mount, control
/// group or process of theirs remains. Everything is found by the directory's unique name, so tests may run beside
/// each other.
#[derive(Debug)]
pub struct Scratch {
    dir: Option<TempDir>,
    token: String,
    binaries: Option<PathBuf>,
}

impl Scratch {
    /// Makes the directories.
    pub fn new() -> Self {
        Self::make(None)
    }

    /// Makes the directories, for binaries of a given directory instead of those of [`bin`].
    pub fn with_binaries(binaries: PathBuf) -> Self {
        Self::make(Some(binaries))
    }

    fn make(binaries: Option<PathBuf>) -> Self {
        let dir = unique_dir();
        let token = token_of(&dir);
        Self { dir: Some(dir), token, binaries }
    }

    #[track_caller]
    fn bin(&self, name: &str) -> PathBuf {
        self.binaries.as_ref().map_or_else(|| bin(name), |dir| dir.join(name))
    }

    /// The directory that holds all others.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("present until drop").path()
    }

    /// A path in the directory, for the test's own files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// `stockade --root` of this scratch.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// `stockade --state` of this scratch.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// `stockade-oci --root` of this scratch.
    pub fn oci_root(&self) -> PathBuf {
        self.path("oci")
    }

    /// A container id that no other test uses, and by which a leaked control group is found.
    pub fn id(&self, name: &str) -> String {
        format!("{}-{name}", self.token)
    }

    /// `stockade` with the private directories.
    #[track_caller]
    pub fn stockade<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Cmd {
        let dirs = ["--root".into(), self.root(), "--state".into(), self.state()];
        self.marked(Cmd::new(self.bin("stockade")).args(dirs)).args(args)
    }

    /// `stockade-oci` with the private state directory.
    #[track_caller]
    pub fn oci<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Cmd {
        self.marked(Cmd::new(self.bin("stockade-oci")).args(["--root".into(), self.oci_root()])).args(args)
    }

    /// Any command, marked so that what it leaves is found.
    pub fn marked(&self, command: Cmd) -> Cmd {
        command.env("STOCKADE_TEST_SCRATCH", &self.token)
    }

    /// A busybox bundle inside this scratch.
    #[track_caller]
    pub fn bundle(&self, args: &[&str]) -> Bundle {
        Bundle::busybox_in(self.dir(), args)
    }

    /// Ids of containers that still have state.
    fn ids(&self) -> Vec<String> {
        let dirs = [self.root().join("containers"), self.oci_root()];
        let entries = dirs.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
        // What is being made or is shared by containers has a name that no container can have.
        entries
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with(['@', '.']))
            .collect()
    }

    fn remove_containers(&self, ids: &[String]) {
        for id in ids {
            if self.oci_root().join(id).exists() {
                self.oci(&["delete", "--force", id]).run();
            } else {
                self.stockade(&["rm", "--force", id]).run();
            }
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let ids = self.ids();
        if thread::panicking() {
            // A command may panic in turn, which would abort the whole run: only the plain way is left.
            leaks::remove(&self.token, &ids);
            return release(self.dir.take(), &self.token);
        }
        self.remove_containers(&ids);
        let left = leaks::left_by(&self.token, &ids);
        leaks::remove(&self.token, &ids);
        release(self.dir.take(), &self.token);
        assert!(left.is_empty(), "the test left behind:\n{}", left.join("\n"));
    }
}

/// A directory whose last component is found nowhere else.
pub(crate) fn unique_dir() -> TempDir {
    tempfile::Builder::new().prefix("sk-").rand_bytes(10).tempdir().expect("make a directory")
}

/// The last component of a directory of [`unique_dir`].
pub(crate) fn token_of(dir: &TempDir) -> String {
    dir.path().file_name().expect("a directory has a name").to_string_lossy().into_owned()
}

/// Removes the directory, unless something is still mounted below it: that would empty the mounted tree.
pub(crate) fn release(dir: Option<TempDir>, token: &str) {
    if let Some(dir) = dir
        && leaks::is_mounted(token)
    {
        let _ = dir.keep();
    }
}
