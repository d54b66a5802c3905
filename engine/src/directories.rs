//! Where things are: the data directory survives a reboot, the run directory does not.

use std::path::{Path, PathBuf};

/// The two roots of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// Data: images, containers, volumes, names.
    pub root: PathBuf,
    /// Run state: sockets, locks, the classes' own state.
    pub state: PathBuf,
}

impl Directories {
    /// Makes the paths absolute, so that a supervisor can use them from anywhere.
    pub fn new(root: &Path, state: &Path) -> std::io::Result<Self> {
        Ok(Self { root: std::path::absolute(root)?, state: std::path::absolute(state)? })
    }

    /// The image store.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Named and anonymous volumes, one directory each.
    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// The state directory of a class's runtime, for example `native`.
    pub fn class(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// One directory per container, named by id.
    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// One file per name that holds an id.
    pub(crate) fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    /// Run directories of running containers, named by id.
    pub(crate) fn runs(&self) -> PathBuf {
        self.state.join("containers")
    }

    /// The event log.
    pub(crate) fn events(&self) -> PathBuf {
        self.state.join("events")
    }
}
