//! The engine's handle.

use crate::{Backend, Directories, StateError};

/// One data directory and one run directory, and the verbs on the containers in them.
///
/// All state is on disk: any number of engines, in any number of processes, may work on the same directories.
pub struct Engine {
    pub(crate) directories: Directories,
    pub(crate) backend: Box<dyn Backend>,
}

impl Engine {
    /// Opens the directories, making those that are absent.
    pub fn open(directories: Directories, backend: Box<dyn Backend>) -> Result<Self, StateError> {
        for path in [directories.containers(), directories.names(), directories.volumes(), directories.runs()] {
            std::fs::create_dir_all(&path).map_err(StateError::io("create", &path))?;
        }
        Ok(Self { directories, backend })
    }

    /// Where things are.
    pub fn directories(&self) -> &Directories {
        &self.directories
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("directories", &self.directories).finish_non_exhaustive()
    }
}
