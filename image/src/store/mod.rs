//! The store on disk: see [`disk`] for its layout, lock order and durability.

mod collect;
mod commit;
mod disk;
mod error;
mod find;
mod import;
mod ingest;
mod lease;
mod load;
mod pull;
mod record;
mod save;

use std::path::Path;

pub use error::{
    FindError, ImportError, IoError, LayerError, LeaseError, LoadError, OpenError, PruneError, PullError, RemoveError,
    SaveError,
};

use crate::{Config, ConfigChange, Digest, Image, Platform, Reference};
use disk::{Disk, Flush};

/// How to pull.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// The platform to choose from an index; linux/amd64 by default.
    pub platform: Platform,
}

/// How to import a root file system.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The name of the new image; without one it is dangling.
    pub name: Option<Reference>,
    /// Changes to its empty configuration.
    pub changes: Vec<ConfigChange>,
    /// A remark for its history.
    pub message: Option<String>,
    /// What it is for; linux/amd64 by default.
    pub platform: Platform,
}

/// What a load did.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The image, with all its names.
    pub image: Image,
    /// The names that it has from the archive.
    pub names: Vec<Reference>,
}

/// What to do about containers and further names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RemoveMode {
    /// Refuse to remove what is leased, or an id that several tags name.
    #[default]
    Careful,
    /// Remove all its names. Layers that leases hold stay on disk until those are released.
    Force,
}

/// What a removal did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that are gone.
    pub untagged: Vec<Reference>,
    /// The image, if its last name went.
    pub deleted: Option<Digest>,
    /// Bytes given back to the file system.
    pub freed_bytes: u64,
}

/// What a prune did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Images that are gone.
    pub deleted: Vec<Digest>,
    /// Names that are gone.
    pub untagged: Vec<Reference>,
    /// Bytes given back to the file system.
    pub freed_bytes: u64,
}

/// Which images a prune removes, beside what no image needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PruneScope {
    /// Images without a tag that no lease holds.
    #[default]
    Dangling,
    /// All images that no lease holds.
    Unused,
}

/// A directory of images, shared by any number of processes and threads.
#[derive(Debug)]
pub struct Store {
    disk: Disk,
    config: Config,
}

impl Store {
    /// Opens the store in `dir`; makes it if it is not there.
    pub fn open(dir: &Path, config: Config) -> Result<Self, OpenError> {
        let flush = if config.flush { Flush::BeforeNaming } else { Flush::Lazy };
        Ok(Self { disk: Disk::open(dir, flush)?, config })
    }

    /// The directory of the store.
    pub fn dir(&self) -> &Path {
        self.disk.dir()
    }
}
