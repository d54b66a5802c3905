//! One error for each operation of the store.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Digest, Platform, Reference};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct IoError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl IoError {
    /// For `map_err`: names what was tried on what.
    pub(crate) fn at<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source: source.into() }
    }

    /// The kind of the cause.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A directory could not be made or read.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why no image was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Nothing has this name or id.
    #[error("no such image: {0}; pull it or look at `stockade images`")]
    Missing(String),
    /// Several images begin with these digits.
    #[error("image id {0} is ambiguous; give more digits")]
    Ambiguous(String),
    /// The text is neither a name nor an id.
    #[error(transparent)]
    Reference(#[from] crate::ReferenceError),
    /// A record or blob of the image is gone or damaged.
    #[error("image {id} is damaged: {reason}; remove it with `stockade image rm --force {id}` and pull it again")]
    Damaged {
        /// The image.
        id: Digest,
        /// What is wrong.
        reason: String,
    },
    /// The store could not be read.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why an image was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// No such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Containers use it.
    #[error("image {name} is in use by {}; remove what uses it first, or force the removal", holders.join(", "))]
    InUse {
        /// What was to be removed.
        name: String,
        /// Who holds leases.
        holders: Vec<String>,
    },
    /// Several tags name the image that was given by id.
    #[error("image {id} has several names ({}); remove them one by one, or force the removal", names.join(", "))]
    SeveralNames {
        /// The image.
        id: Digest,
        /// Its names.
        names: Vec<String>,
    },
    /// The store could not be changed.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why a lease was neither taken nor given back.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The image was removed meanwhile.
    #[error("image {0} was removed meanwhile; pull it again")]
    Gone(Digest),
    /// A holder's name becomes a file's name.
    #[error(
        "{0:?} cannot hold a lease: a holder is 1 to 200 letters, digits, '.', '_' and '-', and begins with no '.'"
    )]
    Holder(String),
    /// The store could not be changed.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why unused data could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The store could not be changed.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why an image was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The policy is never to pull, and the image is not here.
    #[error("image {0} is not in the store and the pull policy is never")]
    Never(Reference),
    /// What is here is for another platform.
    #[error("image {name} is here for {found}, not for {wanted}; pull it with that platform")]
    Platform {
        /// The image.
        name: Reference,
        /// Of the one in the store.
        found: Platform,
        /// Asked for.
        wanted: Platform,
    },
    /// Not in this build.
    #[error("this build cannot pull from registries yet")]
    NotYet,
    /// The store could not be read.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store could not be changed.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why a root file system was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not in this build.
    #[error("this build cannot import root file systems yet")]
    NotYet,
    /// The store or the source could not be read, or the store not changed.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why an archive or a layout was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The source is not `oci:`, `oci-archive:` or `docker-archive:`.
    #[error("cannot load {0:?}: expected oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE")]
    Source(String),
    /// Not in this build.
    #[error("this build cannot load archives yet")]
    NotYet,
    /// The store or the source could not be read, or the store not changed.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why images were not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// No such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Not in this build.
    #[error("this build cannot save images yet")]
    NotYet,
    /// The store could not be read or the archive not written.
    #[error(transparent)]
    Io(#[from] IoError),
}
