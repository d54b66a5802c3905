//! The store on disk.

mod error;

use std::io::Write;
use std::path::{Path, PathBuf};

pub use error::{
    FindError, ImportError, IoError, LeaseError, LoadError, OpenError, PruneError, PullError, RemoveError, SaveError,
};

use crate::{Config, ConfigChange, Digest, Image, Platform, Progress, Reference};

/// When a pull asks the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    /// Always: a tag may have moved. Layers that are here are not downloaded again.
    #[default]
    Always,
    /// Only if the name is not in the store.
    Missing,
    /// Never: the name must be in the store.
    Never,
}

/// How to pull.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// When to ask the registry.
    pub policy: PullPolicy,
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

/// A directory of images, shared by any number of processes.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    #[expect(dead_code, reason = "the pull comes next")]
    config: Config,
}

impl Store {
    /// Opens the store in `dir`; makes it if it is not there.
    pub fn open(dir: &Path, config: Config) -> Result<Self, OpenError> {
        std::fs::create_dir_all(dir).map_err(IoError::at("create", dir))?;
        Ok(Self { dir: dir.into(), config })
    }

    /// The directory of the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Fetches an image from a registry, or finds it, as the policy says.
    pub fn pull(
        &self,
        _name: &Reference,
        _options: &PullOptions,
        _progress: &dyn Progress,
    ) -> Result<Image, PullError> {
        Err(PullError::NotYet)
    }

    /// Finds an image by name, `name@digest`, id, or the first digits of an id.
    pub fn find(&self, text: &str) -> Result<Image, FindError> {
        Err(FindError::Missing(text.into()))
    }

    /// All images, newest first.
    pub fn list(&self) -> Result<Vec<Image>, FindError> {
        Ok(Vec::new())
    }

    /// Gives `image` a further name.
    pub fn tag(&self, image: &Image, _name: &Reference) -> Result<(), LeaseError> {
        Err(LeaseError::Gone(image.id))
    }

    /// Keeps the layers of `image` until `holder` releases them. A holder has one lease; a second one replaces it.
    pub fn lease(&self, image: &Image, _holder: &str) -> Result<(), LeaseError> {
        Err(LeaseError::Gone(image.id))
    }

    /// Ends the lease of `holder`, if it has one.
    pub fn release(&self, _holder: &str) -> Result<(), LeaseError> {
        Ok(())
    }

    /// The holders of leases on an image, sorted.
    pub fn holders(&self, _image: &Image) -> Result<Vec<String>, LeaseError> {
        Ok(Vec::new())
    }

    /// Removes one name; with the last name, the image. An id stands for its only name.
    pub fn remove(&self, text: &str, _mode: RemoveMode) -> Result<Removed, RemoveError> {
        Err(FindError::Missing(text.into()).into())
    }

    /// Removes images that no lease holds, what no image needs, and leftovers of dead processes.
    pub fn prune(&self, _scope: PruneScope) -> Result<Pruned, PruneError> {
        Ok(Pruned::default())
    }

    /// Makes a one-layer image of a root file system: a directory, or a tarball, compressed or not.
    pub fn import(
        &self,
        _source: &Path,
        _options: &ImportOptions,
        _progress: &dyn Progress,
    ) -> Result<Image, ImportError> {
        Err(ImportError::NotYet)
    }

    /// Loads the images of `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `docker-archive:FILE`.
    pub fn load(&self, _source: &str, _progress: &dyn Progress) -> Result<Vec<Image>, LoadError> {
        Err(LoadError::NotYet)
    }

    /// Writes images as an OCI archive that `docker load` reads too. Manifests, configurations and layers are the bytes that
    /// were pulled.
    pub fn save(&self, _names: &[String], _out: &mut dyn Write) -> Result<(), SaveError> {
        Err(SaveError::NotYet)
    }

    /// Reads every blob of `image` and compares it with its digest.
    pub fn verify(&self, _image: &Image) -> Result<(), FindError> {
        Ok(())
    }
}
