//! The OCI image layout: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use super::source::Files;
use crate::manifest::{self, Descriptor, Document, Manifest, ManifestError};
use crate::{Digest, Limits, Platform};

/// OCI's annotation for a tag, or whatever the author calls an image.
pub const TAG_ANNOTATION: &str = "org.opencontainers.image.ref.name";
/// containerd's and Docker's annotation for the full name.
pub const NAME_ANNOTATION: &str = "io.containerd.image.name";
/// An index may lead to an index, as docker save does it, but not further.
const INDEXES_MAX: u32 = 2;

/// Why a layout has no usable images.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error(transparent)]
    Refused(#[from] ManifestError),
    #[error("{0}")]
    Broken(String),
}

/// An image of a layout.
#[derive(Debug)]
pub struct OciImage {
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
    pub manifest: Manifest,
    /// The annotations of its name, the full one first.
    pub names: Vec<String>,
}

/// Where a layout keeps a blob.
pub fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The images of a layout, each for `platform` where there is a choice.
pub fn images(files: &Files, platform: &Platform, limits: &Limits) -> Result<Vec<OciImage>, LayoutError> {
    let bytes = files.read("index.json", limits.manifest_bytes_max).map_err(|error| broken("index.json", error))?;
    let bytes = bytes.ok_or_else(|| LayoutError::Broken("it has no index.json".into()))?;
    let index = manifest::parse_index(&bytes, limits)?;
    index.manifests.iter().map(|entry| image(files, entry, platform, limits, INDEXES_MAX)).collect()
}

fn image(
    files: &Files,
    descriptor: &Descriptor,
    platform: &Platform,
    limits: &Limits,
    indexes_max: u32,
) -> Result<OciImage, LayoutError> {
    let bytes = blob(files, descriptor, limits.manifest_bytes_max)?;
    let document = manifest::parse(&bytes, &descriptor.media_type, limits)?;
    let mut image = match document {
        Document::Manifest(manifest) => OciImage { descriptor: descriptor.clone(), bytes, manifest, names: Vec::new() },
        Document::Index(_) if indexes_max == 1 => {
            return Err(LayoutError::Broken("its indexes are nested too deeply".into()));
        }
        Document::Index(index) => image(files, index.choose(platform)?, platform, limits, indexes_max - 1)?,
    };
    let annotation = |key: &str| descriptor.annotations.as_ref().and_then(|all| all.get(key)).cloned();
    image.names.extend(annotation(NAME_ANNOTATION).into_iter().chain(annotation(TAG_ANNOTATION)));
    Ok(image)
}

fn broken(path: &str, reason: impl std::fmt::Display) -> LayoutError {
    LayoutError::Broken(format!("{path}: {reason}"))
}

/// A small blob, checked.
pub fn blob(files: &Files, descriptor: &Descriptor, max: u64) -> Result<Vec<u8>, LayoutError> {
    let path = blob_path(&descriptor.digest);
    if descriptor.size > max {
        return Err(broken(&path, format!("it has {} bytes, more than {max}", descriptor.size)));
    }
    let bytes = files.read(&path, descriptor.size).map_err(|error| broken(&path, error))?;
    let bytes = bytes.ok_or_else(|| broken(&path, "it is missing"))?;
    if bytes.len() as u64 != descriptor.size {
        return Err(broken(&path, format!("it has not the {} bytes of its descriptor", descriptor.size)));
    }
    match Digest::of(&bytes) == descriptor.digest {
        true => Ok(bytes),
        false => Err(broken(&path, "it has not the digest of its name")),
    }
}
