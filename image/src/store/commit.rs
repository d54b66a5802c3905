//! The last step of every pull, load and import: protect, store, name.

use std::fs;
use std::path::Path;

use super::Store;
use super::disk::{self, HOLD, LockedFile, read_record};
use super::error::{FindError, IoError};
use super::record::{HoldRecord, ImageRecord, LayerLink, ManifestRecord, ReferenceRecord};
use crate::{Digest, Image, Reference};

/// Keeps the collector away from what is being put together.
#[derive(Debug)]
pub struct Hold {
    _file: LockedFile,
}

impl Store {
    /// Protects blobs and layers, whether they are here or to come, while the hold lives. Room for them is made first:
    /// what killed processes left half written goes.
    pub(super) fn hold(&self, blobs: Vec<Digest>, layers: Vec<Digest>) -> Result<Hold, IoError> {
        let _lock = self.disk.lock_shared()?;
        self.sweep_temporary()?;
        let file = self.disk.temp_file(&format!(".{HOLD}"))?;
        let json = serde_json::to_vec(&HoldRecord { blobs, layers }).map_err(IoError::at("encode", file.path()))?;
        std::io::Write::write_all(&mut file.file(), &json).map_err(IoError::at("write", file.path()))?;
        Ok(Hold { _file: file })
    }

    /// Stores a small blob whose digest was checked. A hold must name it.
    pub(super) fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), IoError> {
        let path = self.disk.blob(digest);
        let same_length = fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes.len() as u64);
        if same_length { Ok(()) } else { self.disk.write_file(&path, bytes) }
    }

    /// Whether a layer is converted, and kept as downloaded if it should be.
    pub(super) fn has_layer(&self, link: &LayerLink) -> Result<bool, IoError> {
        Ok(self.has_sound_layer(&link.diff_id)? && (!self.config.keep_compressed || self.has_blob(link)))
    }

    /// Whether a converted layer is here. One that was written before the last boot is compared with its digest first,
    /// and goes if it has not survived.
    pub(super) fn has_sound_layer(&self, diff_id: &Digest) -> Result<bool, IoError> {
        let Some(mut record) = self.layer_record(diff_id)? else { return Ok(false) };
        if record.boot.as_ref().is_none_or(|boot| *boot == disk::boot_id()) {
            return Ok(true);
        }
        let (path, blob) = (self.disk.layer_record(diff_id), self.disk.layer_blob(diff_id));
        if hash_file(&blob)? == record.blob_digest {
            record.boot = None;
            return self.disk.write_record(&path, &record).map(|()| true);
        }
        // Reading took a while, in which another pull may have brought it again.
        if self.layer_record(diff_id)?.is_some_and(|now| now.boot != record.boot) {
            return Ok(true);
        }
        tracing::warn!(%diff_id, "a layer did not survive the last shutdown");
        disk::remove(&path)?;
        Ok(false)
    }

    pub(super) fn has_blob(&self, link: &LayerLink) -> bool {
        fs::metadata(self.disk.blob(&link.digest)).is_ok_and(|meta| meta.len() == link.bytes)
    }

    /// Where only the conversion is missing, the bytes need not come from the network.
    pub(super) fn reuse_blob(&self, link: &LayerLink, file: &LockedFile) -> Result<(), IoError> {
        if !self.has_blob(link) || file.len()? == link.bytes {
            return Ok(());
        }
        let blob = self.disk.blob(&link.digest);
        fs::copy(&blob, file.path()).map(drop).map_err(IoError::at("copy", &blob))
    }

    /// Records an image whose blobs are all here, gives it its names, and ends the hold.
    pub(super) fn commit(
        &self,
        hold: Hold,
        id: Digest,
        manifest: ManifestRecord,
        names: &[Reference],
    ) -> Result<Image, FindError> {
        let _lock = self.disk.lock_exclusive()?;
        let path = self.disk.image_record(&id);
        let old = read_record::<ImageRecord>(&path)?;
        let mut record = old.unwrap_or_else(|| ImageRecord { id, manifests: Vec::new() });
        record.manifests.retain(|other| other.digest != manifest.digest);
        record.manifests.push(manifest);
        self.disk.write_record(&path, &record)?;
        let manifest = record.manifest(None).expect("just added").digest;
        for name in names {
            let record = ReferenceRecord { name: name.clone(), image: id, manifest };
            self.disk.write_record(&self.disk.reference(name), &record)?;
        }
        drop(hold);
        self.image(&record, None, &self.references()?)
    }

    /// Gives `image` a further name.
    pub fn tag(&self, image: &Image, name: &Reference) -> Result<(), FindError> {
        let _lock = self.disk.lock_exclusive()?;
        let present = read_record::<ImageRecord>(&self.disk.image_record(&image.id))?;
        present.ok_or_else(|| FindError::Missing(image.id.to_string()))?;
        let record = ReferenceRecord { name: name.clone(), image: image.id, manifest: image.manifest };
        Ok(self.disk.write_record(&self.disk.reference(name), &record)?)
    }

    /// Reads every converted layer of `image`, and its manifest, and compares them with their digests.
    pub fn verify(&self, image: &Image) -> Result<(), FindError> {
        for layer in &image.layers {
            if hash_file(&layer.blob)? != layer.blob_digest {
                let reason = format!("the blob of layer {} has changed on disk", layer.diff_id);
                return Err(FindError::Damaged { id: image.id, reason });
            }
        }
        let manifest = self.disk.blob(&image.manifest);
        let bytes = disk::read_bounded(&manifest, u64::MAX)?.unwrap_or_default();
        match Digest::of(&bytes) == image.manifest {
            true => Ok(()),
            false => Err(FindError::Damaged { id: image.id, reason: "its manifest is gone or changed".into() }),
        }
    }
}

fn hash_file(path: &Path) -> Result<Digest, IoError> {
    let file = fs::File::open(path).map_err(IoError::at("open", path))?;
    super::ingest::hash_reader(file).map_err(IoError::at("read", path))
}
