//! One error for each operation of the store.

use std::io;
use std::path::{Path, PathBuf};

use crate::Digest;
use crate::layer::ConvertError;
use crate::manifest::ManifestError;
use crate::registry::RegistryError;

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

    fn is_full_disk(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
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

/// Why a layer was refused.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// More bytes than announced or allowed.
    #[error("layer {layer} has more than {expected} bytes; its source is broken or lies")]
    TooLong {
        /// The layer.
        layer: String,
        /// As its descriptor or the limit says.
        expected: u64,
    },
    /// Fewer bytes than announced.
    #[error("layer {layer} has {found} bytes, not {expected}; its source is broken or lies")]
    Short {
        /// The layer.
        layer: String,
        /// As its descriptor says.
        expected: u64,
        /// As received.
        found: u64,
    },
    /// The bytes are not what the digest says.
    #[error("layer {expected} came with digest {found}; its source is broken or lies")]
    Digest {
        /// As its descriptor says.
        expected: Digest,
        /// Of what was received.
        found: Digest,
    },
    /// The tar stream is not what the configuration says.
    #[error("layer {layer} unpacks to diff id {found}, not {expected} as its image says; do not trust this image")]
    DiffId {
        /// The layer.
        layer: String,
        /// As the configuration says.
        expected: Digest,
        /// Of what was unpacked.
        found: Digest,
    },
    /// Two descriptors share a digest and differ in the rest.
    #[error("layer {layer} is listed twice with different sizes or diff ids; do not trust this image")]
    Contradiction {
        /// The layer.
        layer: Digest,
    },
    /// Neither gzip nor zstd nor a plain tar.
    #[error("cannot decompress layer {layer}")]
    Decode {
        /// The layer.
        layer: String,
        /// Why.
        source: io::Error,
    },
    /// Broken compression, a broken tar stream, or one that exceeds a limit.
    #[error("cannot unpack layer {layer}")]
    Convert {
        /// The layer.
        layer: String,
        /// Why.
        source: ConvertError,
    },
    /// The thread panicked: a fault of ours.
    #[error("the conversion of a layer broke down; please report this")]
    ConverterGone,
    /// Where the bytes come from could not be read.
    #[error("cannot read the layer's source")]
    Source(#[source] io::Error),
    /// The store could not be changed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl LayerError {
    /// The same error with the layer's name, which the converting thread does not know.
    pub(crate) fn of(self, name: &str) -> Self {
        match self {
            Self::Decode { source, .. } => Self::Decode { layer: name.into(), source },
            Self::Convert { source, .. } => Self::Convert { layer: name.into(), source },
            other => other,
        }
    }
}

/// Why an image was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The image is for another platform than was asked for.
    #[error("image {name} is for {found}, not for {wanted}; ask for platform {found} if you mean it")]
    Platform {
        /// The image.
        name: String,
        /// What it is for.
        found: String,
        /// Asked for.
        wanted: String,
    },
    /// The registry did not give it.
    #[error("cannot pull {name}")]
    Registry {
        /// The image.
        name: String,
        /// Why.
        source: RegistryError,
    },
    /// A manifest or configuration was refused.
    #[error("cannot pull {name}")]
    Manifest {
        /// The image.
        name: String,
        /// Why.
        source: ManifestError,
    },
    /// A layer was refused.
    #[error("cannot pull {name}")]
    Layer {
        /// The image.
        name: String,
        /// Why.
        source: LayerError,
    },
    /// The store could not be read.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store could not be changed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl PullError {
    /// Whether what was downloaded so far is worth keeping for the next attempt. On a full disk it is in the way.
    pub(crate) fn is_resumable(&self) -> bool {
        match self {
            Self::Registry { source, .. } => source.is_transient(),
            Self::Layer { source: LayerError::Io(error), .. } | Self::Io(error) => !error.is_full_disk(),
            _ => false,
        }
    }
}

/// Why a root file system was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source could not be read.
    #[error("cannot read {}", path.display())]
    Source {
        /// The tarball or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The tool for a compression is missing or failed.
    #[error("cannot decompress {} by {tool}: {reason}; install {tool}, or decompress the file first", path.display())]
    Tool {
        /// The tarball.
        path: PathBuf,
        /// `xz` or `bzip2`.
        tool: &'static str,
        /// Why.
        reason: String,
    },
    /// The tarball was refused.
    #[error("cannot import {}", path.display())]
    Layer {
        /// The tarball or directory.
        path: PathBuf,
        /// Why.
        source: LayerError,
    },
    /// The new image cannot be read back.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store could not be changed.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why an archive or a layout was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The archive is broken, or not what it should be.
    #[error("cannot load {archive}: {reason}")]
    Archive {
        /// File or directory.
        archive: String,
        /// What is wrong.
        reason: String,
    },
    /// The archive has no image of this name.
    #[error("{archive} has no image {tag:?}; it has {}", offered.join(", "))]
    NoTag {
        /// File or directory.
        archive: String,
        /// Asked for.
        tag: String,
        /// What there is.
        offered: Vec<String>,
    },
    /// A manifest or configuration was refused.
    #[error("cannot load {archive}")]
    Manifest {
        /// File or directory.
        archive: String,
        /// Why.
        source: ManifestError,
    },
    /// A layer was refused.
    #[error("cannot load {archive}")]
    Layer {
        /// File or directory.
        archive: String,
        /// Why.
        source: LayerError,
    },
    /// The new image cannot be read back.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store could not be changed.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Why images were not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// No such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A layer was not kept as it was downloaded.
    #[error(
        "layer {layer} of {image} was not kept as downloaded, and only that reproduces its digest; set keep_compressed = true in \
         [image], pull {image} again, then save it"
    )]
    NotKept {
        /// The image.
        image: String,
        /// The layer.
        layer: Digest,
    },
    /// A blob is not what it was.
    #[error("blob {0} has changed on disk and was removed; pull the image again, then save it")]
    Damaged(Digest),
    /// The archive could not be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Io(#[from] IoError),
}
