//! What the store's small files hold.

use serde::{Deserialize, Serialize};

use crate::{Digest, Reference};

/// `images/HEX.json`: an image that is complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The digest of the configuration.
    pub id: Digest,
    /// The manifests that led to this configuration, the latest last. They differ where a registry compressed anew.
    pub manifests: Vec<ManifestRecord>,
}

/// A manifest of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRecord {
    pub digest: Digest,
    pub media_type: String,
    pub bytes: u64,
    /// Bottom first.
    pub layers: Vec<LayerLink>,
}

/// A layer of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerLink {
    pub diff_id: Digest,
    /// Of the layer as downloaded.
    pub digest: Digest,
    pub bytes: u64,
}

/// `layers/HEX.vN.json`: a converted layer. It is written after the blob; without it the layer is not there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerRecord {
    pub diff_id: Digest,
    /// Of the EROFS blob.
    pub blob_digest: Digest,
    pub blob_bytes: u64,
    pub entries: u64,
    /// The boot it was written in. In a later one the blob is compared with its digest once, as it may never have
    /// reached the disk; after that there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

/// `references/HASH.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReferenceRecord {
    pub name: Reference,
    pub image: Digest,
    pub manifest: Digest,
}

/// `leases/HOLDER.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseRecord {
    pub holder: String,
    pub image: Digest,
    pub layers: Vec<Digest>,
}

/// `tmp/*.hold`: what a pull under way needs; valid while its file is locked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HoldRecord {
    pub blobs: Vec<Digest>,
    pub layers: Vec<Digest>,
}

impl ManifestRecord {
    /// The blobs that make it up, the configuration aside.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> {
        self.layers.iter().map(|layer| layer.digest).chain([self.digest])
    }
}

impl ImageRecord {
    /// The manifest with `digest`, or the latest.
    pub fn manifest(&self, digest: Option<&Digest>) -> Option<&ManifestRecord> {
        let wanted = self.manifests.iter().find(|manifest| Some(&manifest.digest) == digest);
        wanted.or(self.manifests.last())
    }
}
