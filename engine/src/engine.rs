//! The engine's handle.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

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
        for path in [&directories.root, &directories.state] {
            make_directory(path, PASSABLE)?;
        }
        for path in [directories.containers(), directories.names(), directories.volumes(), directories.runs()] {
            make_directory(&path, PRIVATE)?;
        }
        Ok(Self { directories, backend })
    }

    /// Where things are.
    pub fn directories(&self) -> &Directories {
        &self.directories
    }
}

/// What containers' processes with mapped ids must pass through.
const PASSABLE: u32 = 0o711;
/// Root's alone: there are setuid programs of images in it, and options with secrets.
const PRIVATE: u32 = 0o700;

/// Makes a directory and those above it, unless it exists.
fn make_directory(path: &Path, mode: u32) -> Result<(), StateError> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(StateError::io("create", path))
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("directories", &self.directories).finish_non_exhaustive()
    }
}
