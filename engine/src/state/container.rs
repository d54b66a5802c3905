//! One container's files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{ContainerLock, Durability, Record, RunState, SupervisorLock, flock_path, lock, read_json, write_json};
use crate::{Directories, LookupError, StateError};

/// Paths of one container that has an id; it may be gone by the time they are used.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    /// Its data directory.
    pub(crate) dir: PathBuf,
    /// Its run directory.
    pub(crate) run: PathBuf,
}

impl Container {
    /// The files of the container with this full id.
    pub(crate) fn new(directories: &Directories, id: &str) -> Self {
        Self { id: id.to_owned(), dir: directories.containers().join(id), run: directories.runs().join(id) }
    }

    /// A file in its data directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Its log.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.file("log.json")
    }

    /// What was asked for; [`LookupError::NotFound`] once it is removed.
    pub(crate) fn record(&self) -> Result<Record, LookupError> {
        read_json(&self.file("config.json"))?.ok_or_else(|| LookupError::NotFound(self.id.clone()))
    }

    /// Replaces what was asked for. Hold the lock.
    pub(crate) fn write_record(&self, record: &Record) -> Result<(), StateError> {
        // A container that goes with its supervisor has nothing to tell after a host crash.
        let durability = if record.options.auto_remove { Durability::Volatile } else { Durability::Durable };
        write_json(&self.file("config.json"), record, durability)
    }

    /// Where it is in its life, as last written; see `Engine::refresh` for the truth.
    pub(crate) fn run_state(&self) -> Result<RunState, StateError> {
        Ok(read_json(&self.file("state.json"))?.unwrap_or_default())
    }

    /// Replaces where it is in its life. Hold the lock.
    pub(crate) fn write_run_state(&self, state: &RunState) -> Result<(), StateError> {
        write_json(&self.file("state.json"), state, Durability::Volatile)
    }

    /// Waits for the lock; [`LookupError::NotFound`] once the container is removed.
    pub(crate) fn lock(&self) -> Result<ContainerLock, LookupError> {
        self.locked_by(flock_path)
    }

    /// Takes the lock if nobody has it; [`LookupError::NotFound`] once the container is removed.
    pub(crate) fn try_lock(&self) -> Result<Option<ContainerLock>, LookupError> {
        self.locked_by(lock::try_flock_path)
    }

    /// The removal may come before the lock is opened, and while it is waited for.
    fn locked_by<T>(&self, lock: impl FnOnce(&Path) -> Result<T, StateError>) -> Result<T, LookupError> {
        self.must_exist()?;
        let lock = match lock(&self.file("lock")) {
            Err(StateError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(LookupError::NotFound(self.id.clone()));
            }
            other => other?,
        };
        self.must_exist()?;
        Ok(lock)
    }

    /// Its directory is there.
    fn must_exist(&self) -> Result<(), LookupError> {
        if self.dir.is_dir() { Ok(()) } else { Err(LookupError::NotFound(self.id.clone())) }
    }

    /// The pid of its living supervisor.
    pub(crate) fn supervisor(&self) -> Result<Option<u32>, StateError> {
        SupervisorLock::holder(&self.supervisor_lock_path())
    }

    /// Where the supervisor's lock is.
    pub(crate) fn supervisor_lock_path(&self) -> PathBuf {
        self.file("supervisor.lock")
    }

    /// Whether its class may hold something of it.
    pub(crate) fn has_run_directory(&self) -> bool {
        self.run.is_dir()
    }

    /// The id as a class wants it.
    pub(crate) fn sandbox_id(&self) -> stockade_sandbox::Result<stockade_sandbox::ContainerId> {
        self.id.parse().map_err(|error: stockade_sandbox::InvalidId| stockade_sandbox::Error::Other(error.to_string()))
    }
}

/// The ids in a directory of containers, without what is being made or removed.
pub(crate) fn ids(containers: &Path) -> Result<Vec<String>, StateError> {
    let entries = std::fs::read_dir(containers).map_err(StateError::io("read", containers))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| is_id(name)).collect())
}

/// Whether a text is a full id.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_is_removed_has_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let directories = Directories { root: dir.path().into(), state: dir.path().join("run") };
        let container = Container::new(&directories, "web");
        std::fs::create_dir_all(&container.dir).unwrap();
        assert!(container.try_lock().unwrap().is_some());
        std::fs::remove_dir_all(&container.dir).unwrap();
        assert!(matches!(container.try_lock(), Err(LookupError::NotFound(id)) if id == "web"));
        assert!(matches!(container.lock(), Err(LookupError::NotFound(id)) if id == "web"));
    }
}
