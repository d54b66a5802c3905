//! Images as one archive: an OCI layout that also has docker load's `manifest.json`.
//!
//! Everything in it is the bytes that were pulled or loaded, so all digests come out again. Entries are sorted and
//! carry no time or owner: the same images give the same archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::Store;
use super::disk;
use super::error::{IoError, SaveError};
use super::find::Found;
use crate::archive::{DockerImage, NAME_ANNOTATION, TAG_ANNOTATION, blob_path};
use crate::manifest::OCI_INDEX;
use crate::{Digest, Reference};

impl Store {
    /// Writes images as an OCI archive that `docker load` reads too. Manifests, configurations and layers are the bytes
    /// that were pulled.
    pub fn save(&self, names: &[String], out: &mut dyn Write) -> Result<(), SaveError> {
        let mut found: Vec<Found> = Vec::new();
        for name in names {
            let next = self.find_for_save(name)?;
            if !found.iter().any(|other| (other.manifest.digest, &other.by) == (next.manifest.digest, &next.by)) {
                found.push(next);
            }
        }
        let blobs = blobs(&found);
        // From here on nobody collects them; whoever did just before is seen when the files are opened.
        let _hold = self.hold(blobs.keys().copied().collect(), Vec::new())?;
        for found in &found {
            let missing = found.manifest.layers.iter().find(|link| !self.has_blob(link));
            if let Some(link) = missing {
                return Err(SaveError::NotKept { image: shown(found), layer: link.digest });
            }
        }
        self.write_archive(&found, &blobs, out)
    }

    fn find_for_save(&self, name: &str) -> Result<Found, SaveError> {
        let _lock = self.disk.lock_shared()?;
        Ok(self.find_locked(name)?)
    }

    fn write_archive(
        &self,
        found: &[Found],
        blobs: &BTreeMap<Digest, u64>,
        out: &mut dyn Write,
    ) -> Result<(), SaveError> {
        let mut archive = tar::Builder::new(out);
        let mut small = |name: &str, bytes: &[u8]| append(&mut archive, name, bytes.len() as u64, bytes);
        small("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#).map_err(SaveError::Write)?;
        small("index.json", index(found).to_string().as_bytes()).map_err(SaveError::Write)?;
        small("manifest.json", docker_manifest(found).to_string().as_bytes()).map_err(SaveError::Write)?;
        for (digest, bytes) in blobs {
            let path = self.disk.blob(digest);
            let file = File::open(&path).map_err(IoError::at("open", &path))?;
            let mut content = Hashing { file: checked(file, *bytes, &path)?, hasher: Sha256::new() };
            append(&mut archive, &blob_path(digest), *bytes, &mut content).map_err(SaveError::Write)?;
            if Digest::finish(content.hasher) != *digest {
                // The next pull fetches it again.
                disk::remove(&path)?;
                return Err(SaveError::Damaged(*digest));
            }
        }
        archive.into_inner().and_then(Write::flush).map_err(SaveError::Write)
    }
}

/// Hashes what is read.
struct Hashing {
    file: File,
    hasher: Sha256,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// A file that changed its length would shift all that follows in the archive.
fn checked(file: File, bytes: u64, path: &Path) -> Result<File, IoError> {
    let length = file.metadata().map_err(IoError::at("inspect", path))?.len();
    let changed = || io::Error::new(io::ErrorKind::InvalidData, "its length has changed");
    if length == bytes { Ok(file) } else { Err(IoError::at("save", path)(changed())) }
}

fn append(archive: &mut tar::Builder<&mut dyn Write>, name: &str, bytes: u64, content: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(bytes);
    archive.append_data(&mut header, name, content)
}

/// All blobs of all images, each once, with their lengths.
fn blobs(found: &[Found]) -> BTreeMap<Digest, u64> {
    let mut blobs = BTreeMap::new();
    for Found { manifest, config_bytes, image, .. } in found {
        blobs.insert(manifest.digest, manifest.bytes);
        blobs.insert(image.id, *config_bytes);
        blobs.extend(manifest.layers.iter().map(|link| (link.digest, link.bytes)));
    }
    blobs
}

fn shown(found: &Found) -> String {
    found.by.as_ref().map_or_else(|| found.image.id.to_string(), Reference::familiar)
}

/// The tag that an image is saved under.
fn tag(found: &Found) -> Option<&Reference> {
    found.by.as_ref().filter(|name| name.tag().is_some())
}

fn index(found: &[Found]) -> serde_json::Value {
    let entry = |found: &Found| {
        let Found { manifest, .. } = found;
        let mut entry = serde_json::json!({
            "mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.bytes,
        });
        if let Some(name) = tag(found) {
            entry["annotations"] = serde_json::json!({NAME_ANNOTATION: name, TAG_ANNOTATION: name.tag()});
        }
        entry
    };
    let manifests: Vec<_> = found.iter().map(entry).collect();
    serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
}

/// One entry for each image; several names of one image share it.
fn docker_manifest(found: &[Found]) -> serde_json::Value {
    let mut images: Vec<(Digest, DockerImage)> = Vec::new();
    for found in found {
        let tags = tag(found).map(|name| vec![name.familiar()]);
        match images.iter_mut().find(|(digest, _)| *digest == found.manifest.digest) {
            Some((_, image)) => image.repo_tags.get_or_insert_default().extend(tags.into_iter().flatten()),
            None => images.push((
                found.manifest.digest,
                DockerImage {
                    config: blob_path(&found.image.id),
                    repo_tags: tags,
                    layers: found.manifest.layers.iter().map(|link| blob_path(&link.digest)).collect(),
                },
            )),
        }
    }
    serde_json::json!(images.into_iter().map(|(_, image)| image).collect::<Vec<_>>())
}
