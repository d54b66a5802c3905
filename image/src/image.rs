//! An image as the store shows it to its callers.

use std::path::PathBuf;

use jiff::Timestamp;
use oci_spec::image::ImageConfiguration;

use crate::{Digest, Platform, Reference};

pub use crate::change::ConfigChange;

/// An image that is complete in the store. Hold a lease on it while a container uses it.
#[derive(Debug, Clone)]
pub struct Image {
    /// The digest of its configuration.
    pub id: Digest,
    /// The tags that name it, sorted; none for a dangling image.
    pub names: Vec<Reference>,
    /// The repositories and digests under which it was pulled, sorted.
    pub repo_digests: Vec<Reference>,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// What it was built for.
    pub platform: Platform,
    /// The configuration, as parsed. Its text is what the image's author wrote: hostile.
    pub config: ImageConfiguration,
    /// The layers, bottom first.
    pub layers: Vec<Layer>,
    /// Bytes of the converted layers.
    pub size_bytes: u64,
    /// When its author says that it was built.
    pub created: Option<Timestamp>,
}

/// One layer of an image, as an EROFS blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of the layer's tar stream.
    pub diff_id: Digest,
    /// The EROFS blob, read-only and shared between images.
    pub blob: PathBuf,
    /// The digest of the blob itself, to verify it with.
    pub blob_digest: Digest,
    /// Bytes of the blob.
    pub blob_bytes: u64,
    /// Files, directories and links in the layer.
    pub entries: u64,
    /// The digest of the layer as it was downloaded.
    pub compressed: Digest,
    /// Bytes of the layer as it was downloaded.
    pub compressed_bytes: u64,
}

/// A line of `image history`, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When the step was done.
    pub created: Option<Timestamp>,
    /// The command of the step.
    pub created_by: String,
    /// The author's remark.
    pub comment: String,
    /// The layer that the step made, if it made one.
    pub layer: Option<Digest>,
    /// Bytes of that layer's blob.
    pub size_bytes: u64,
}

impl Image {
    /// The first 12 digits of the id, as tables show it.
    pub fn short_id(&self) -> String {
        self.id.short()
    }

    /// Whether no tag names it.
    pub fn is_dangling(&self) -> bool {
        self.names.is_empty()
    }

    /// The steps that made the image, newest first.
    pub fn history(&self) -> Vec<HistoryEntry> {
        let mut layers = self.layers.iter();
        let steps = self.config.history().iter().flatten();
        let entry = |step: &oci_spec::image::History| {
            let layer = if step.empty_layer().unwrap_or(false) { None } else { layers.next() };
            HistoryEntry {
                created: step.created().as_deref().and_then(|time| time.parse().ok()),
                created_by: step.created_by().clone().unwrap_or_default(),
                comment: step.comment().clone().unwrap_or_default(),
                layer: layer.map(|layer| layer.diff_id),
                size_bytes: layer.map_or(0, |layer| layer.blob_bytes),
            }
        };
        let mut entries: Vec<_> = steps.map(entry).collect();
        entries.reverse();
        entries
    }
}
