//! Containers on disk: STATE_ROOT/ID/ holds `state.json`, `exec.fifo` while the init waits for `start`, and
//! `seccomp.json` if there is a profile.
//!
//! Invariants:
//! - the creator holds an flock on the directory until `create` is done;
//! - `exec.fifo.new` is there, or `state.json` is not, exactly while the container is half made: without the lock its
//!   creator is dead, and whoever comes next may clear it away;
//! - `state.json` is replaced by rename, so that a reader sees one version or the other.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Hooks, LinuxCapabilities, LinuxPersonality, LinuxSeccomp, PosixRlimit};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, mkfifoat, open, renameat_with};
use serde::{Deserialize, Serialize};
use stockade_sandbox::{ContainerId, ContainerState, Error, Result, Status};

use crate::cgroup::Cgroup;
use crate::fail::Context;
use crate::pid::Process;

const FIFO: &str = "exec.fifo";
const FIFO_NEW: &str = "exec.fifo.new";
const RECORD: &str = "state.json";
const SECCOMP: &str = "seccomp.json";

/// What state.json holds: all that later verbs need, so that none reads the bundle again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub oci_version: String,
    pub id: ContainerId,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    pub created: String,
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    pub annotations: HashMap<String, String>,
    /// `None` until the init exists.
    pub init: Option<Process>,
    pub cgroup: Cgroup,
    /// Clone flags of all namespaces that are not the host's.
    pub namespaces: u32,
    /// Whether the root is an overlay of image layers.
    pub image_layers: bool,
    /// Those that run after `create`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    pub defaults: ProcessDefaults,
}

/// What an exec'd process has in common with the init where its own description is silent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ProcessDefaults {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<LinuxCapabilities>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rlimits: Option<Vec<PosixRlimit>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apparmor_profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selinux_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_new_privileges: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personality: Option<LinuxPersonality>,
}

/// One container's directory.
#[derive(Clone, Debug)]
pub(crate) struct Dir {
    path: PathBuf,
}

impl Dir {
    /// The directory of a container that may or may not exist.
    pub(crate) fn of(root: &Path, id: &ContainerId) -> Self {
        Self { path: root.join(id.as_str()) }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory and locks it. `None` when the id is taken.
    pub(crate) fn make(&self) -> Result<Option<OwnedFd>> {
        loop {
            match fs::DirBuilder::new().mode(0o711).create(&self.path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.make_root()?;
                    continue;
                }
                Err(error) => return Err(Error::os(format!("make {}", self.path.display()), error)),
            }
            // Between mkdir and flock a cleaner may take the empty directory for a dead creator's.
            match self.try_lock()? {
                Some(lock) if self.is_same(&lock) => return Ok(Some(lock)),
                _ => {}
            }
        }
    }

    fn make_root(&self) -> Result<()> {
        let root = self.path.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(0o711).create(root).at_with(|| format!("make {}", root.display()))
    }

    /// Locks the directory; `None` when it is gone or another process holds the lock.
    pub(crate) fn try_lock(&self) -> Result<Option<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match open(&self.path, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            answer => answer.at_with(|| format!("open {}", self.path.display()))?,
        };
        match flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            answer => answer.at_with(|| format!("lock {}", self.path.display())).map(|()| Some(dir)),
        }
    }

    fn is_same(&self, dir: &OwnedFd) -> bool {
        let (Ok(by_fd), Ok(by_path)) = (rustix::fs::fstat(dir), fs::symlink_metadata(&self.path)) else { return false };
        (by_fd.st_dev, by_fd.st_ino) == (by_path.dev(), by_path.ino())
    }

    /// Whether there is such a directory.
    pub(crate) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Whether `create` has not finished it.
    pub(crate) fn is_half_made(&self) -> bool {
        self.path.join(FIFO_NEW).exists() || !self.path.join(RECORD).exists()
    }

    /// Makes the fifo that the init waits on and opens its reading end without blocking.
    pub(crate) fn make_fifo(&self) -> Result<OwnedFd> {
        let path = self.path.join(FIFO_NEW);
        mkfifoat(CWD, &path, Mode::from_raw_mode(0o600)).at_with(|| format!("make {}", path.display()))?;
        open(&path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).at("open exec.fifo")
    }

    /// Declares the container created.
    pub(crate) fn finish_creation(&self) -> Result<()> {
        fs::rename(self.path.join(FIFO_NEW), self.path.join(FIFO)).at("rename exec.fifo")
    }

    /// The fifo's writing end; `None` when the container was started, or nobody waits there.
    pub(crate) fn open_fifo(&self) -> Result<Option<OwnedFd>> {
        match open(self.path.join(FIFO), OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NXIO) => Ok(None),
            answer => answer.at("open exec.fifo").map(Some),
        }
    }

    /// Declares the container started.
    pub(crate) fn remove_fifo(&self) -> Result<()> {
        match fs::remove_file(self.path.join(FIFO)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::os("remove exec.fifo", error)),
            _ => Ok(()),
        }
    }

    /// The record.
    pub(crate) fn read(&self) -> Result<Record> {
        let path = self.path.join(RECORD);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NotFound),
            answer => answer.at_with(|| format!("read {}", path.display()))?,
        };
        serde_json::from_slice(&text).map_err(|error| Error::Other(format!("{}: {error}", path.display())))
    }

    /// Replaces the record. No fsync: a state directory does not outlive a boot.
    pub(crate) fn write(&self, record: &Record) -> Result<()> {
        self.write_json(RECORD, record)
    }

    /// Keeps the profile for later execs.
    pub(crate) fn write_seccomp(&self, profile: &LinuxSeccomp) -> Result<()> {
        self.write_json(SECCOMP, profile)
    }

    /// The container's profile.
    pub(crate) fn read_seccomp(&self) -> Result<Option<LinuxSeccomp>> {
        let text = match fs::read(self.path.join(SECCOMP)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            answer => answer.at("read seccomp.json")?,
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| Error::Other(format!("seccomp.json: {error}")))
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(value).map_err(|error| Error::Other(error.to_string()))?;
        replace(&self.path.join(name), &text, PRIVATE)
    }

    /// Removes the directory and what it holds.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::os(format!("remove {}", self.path.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// Where the container is in its life.
    pub(crate) fn status(&self, record: &Record) -> Status {
        let alive = record.init.is_some_and(|init| init.is_alive());
        if self.path.join(FIFO_NEW).exists() && matches!(self.try_lock(), Ok(None)) {
            Status::Creating
        } else if !alive {
            Status::Stopped
        } else if self.path.join(FIFO).exists() {
            Status::Created
        } else if record.cgroup.is_frozen().unwrap_or(false) {
            Status::Paused
        } else {
            Status::Running
        }
    }

    /// The container as callers see it.
    pub(crate) fn container_state(&self, record: Record) -> ContainerState {
        let status = self.status(&record);
        let stopped = matches!(status, Status::Stopped | Status::Creating);
        ContainerState {
            pid: record.init.filter(|_| !stopped).map_or(0, |init| init.pid),
            status,
            oci_version: record.oci_version,
            id: record.id,
            bundle: record.bundle,
            rootfs: record.rootfs,
            created: record.created,
            annotations: record.annotations,
            owner: fs::metadata(&self.path)
                .map_or_else(|_| String::new(), |meta| crate::user::name_on_host(meta.uid())),
        }
    }
}

/// Writes a file under another name beside it, then renames it into place.
pub fn replace_file(path: &Path, text: &[u8]) -> Result<()> {
    replace(path, text, 0o644)
}

/// Annotations and hooks may hold secrets.
const PRIVATE: u32 = 0o600;

fn replace(path: &Path, text: &[u8], mode: u32) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}"));
    let write = || -> io::Result<()> {
        let mut file = File::options().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        io::Write::write_all(&mut file, text)?;
        put_in_place(&temporary, path)
    };
    write().at_with(|| format!("write {}", path.display()))
}

/// Puts a file where another one may be. They are exchanged: what replaces a file by rename(2) goes to the disk at once
/// on ext4 (ext4(5), auto_da_alloc), and whoever removes it soon waits for that.
fn put_in_place(temporary: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, temporary, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => fs::remove_file(temporary),
        // The first one, or a file system that cannot exchange.
        Err(_) => fs::rename(temporary, path),
    }
}

/// Ids of all directories below a state root, sorted.
pub(crate) fn ids(root: &Path) -> Result<Vec<ContainerId>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        answer => answer.at_with(|| format!("read {}", root.display()))?,
    };
    let mut ids: Vec<ContainerId> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort();
    Ok(ids)
}
