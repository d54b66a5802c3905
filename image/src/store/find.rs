//! From names and ids to images.

use super::Store;
use super::disk::{self, read_record, read_records};
use super::error::{FindError, IoError};
use super::record::{ImageRecord, LayerRecord, ManifestRecord, ReferenceRecord};
use crate::{Digest, Image, Layer, Platform, Reference, manifest};

impl Store {
    /// Finds an image by name, `name@digest`, id, or the first digits of an id.
    pub fn find(&self, text: &str) -> Result<Image, FindError> {
        let _lock = self.disk.lock_shared()?;
        self.find_locked(text).map(|found| found.image)
    }

    /// All complete images, newest first. A damaged one is left out with a warning.
    pub fn list(&self) -> Result<Vec<Image>, FindError> {
        let _lock = self.disk.lock_shared()?;
        let references = self.references()?;
        let mut images = Vec::new();
        for (_, record) in read_records::<ImageRecord>(&self.disk.part("images"))? {
            match self.image(&record, None, &references) {
                Ok(image) => images.push(image),
                Err(error) => tracing::warn!(%error, "skipping an image"),
            }
        }
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.names.cmp(&b.names)));
        Ok(images)
    }

    pub(super) fn find_locked(&self, text: &str) -> Result<Found, FindError> {
        let references = self.references()?;
        let (id, reference) = self.resolve(text, &references)?;
        let record = read_record::<ImageRecord>(&self.disk.image_record(&id))?;
        let record = record.ok_or_else(|| FindError::Missing(text.into()))?;
        let manifest = reference.as_ref().map(|reference| reference.manifest);
        let image = self.image(&record, manifest.as_ref(), &references)?;
        let by = reference.map(|reference| reference.name);
        let manifest = record.manifest(manifest.as_ref()).expect("checked by Store::image").clone();
        let config_bytes = std::fs::metadata(self.disk.blob(&id)).map_or(0, |meta| meta.len());
        Ok(Found { image, manifest, by, config_bytes })
    }

    /// The id behind `text`, and the reference if it is a name. A name wins over a short id, as in Docker.
    pub(super) fn resolve(
        &self,
        text: &str,
        references: &[ReferenceRecord],
    ) -> Result<(Digest, Option<ReferenceRecord>), FindError> {
        if let Ok(id) = text.parse::<Digest>() {
            return Ok((id, None));
        }
        if let Ok(name) = text.parse::<Reference>()
            && let Some(record) = self.reference(&name, references)
        {
            return Ok((record.image, Some(record)));
        }
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            text.parse::<Reference>()?;
            return Err(FindError::Missing(text.into()));
        }
        Ok((self.by_prefix(digits)?, None))
    }

    fn reference(&self, name: &Reference, references: &[ReferenceRecord]) -> Option<ReferenceRecord> {
        let exact = |wanted: &Reference| references.iter().find(|record| record.name == *wanted).cloned();
        let by_digest = || exact(&name.with_digest(*name.digest()?));
        let by_manifest = || {
            let digest = name.digest()?;
            let same =
                |record: &&ReferenceRecord| record.manifest == *digest && record.name.repository() == name.repository();
            references.iter().find(same).cloned()
        };
        exact(name).or_else(by_digest).or_else(by_manifest)
    }

    fn by_prefix(&self, digits: &str) -> Result<Digest, FindError> {
        let digits = digits.to_ascii_lowercase();
        let names = disk::entries(&self.disk.part("images"))?;
        let stem = |path: &std::path::PathBuf| path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        let mut matches = names.iter().filter_map(stem).filter(|stem| stem.starts_with(&digits));
        let first = matches.next().ok_or_else(|| FindError::Missing(digits.clone()))?;
        if matches.next().is_some() {
            return Err(FindError::Ambiguous(digits));
        }
        format!("sha256:{first}").parse().map_err(|_| FindError::Missing(digits))
    }

    pub(super) fn references(&self) -> Result<Vec<ReferenceRecord>, IoError> {
        let records = read_records::<ReferenceRecord>(&self.disk.part("references"))?;
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }

    pub(super) fn image(
        &self,
        record: &ImageRecord,
        manifest: Option<&Digest>,
        references: &[ReferenceRecord],
    ) -> Result<Image, FindError> {
        let damaged = |reason: String| FindError::Damaged { id: record.id, reason };
        let manifest = record.manifest(manifest).ok_or_else(|| damaged("its record names no manifest".into()))?;
        let bytes = disk::read_bounded(&self.disk.blob(&record.id), self.config.limits.config_bytes_max)?;
        let bytes = bytes.filter(|bytes| Digest::of(bytes) == record.id);
        let bytes = bytes.ok_or_else(|| damaged("its configuration is gone or changed".into()))?;
        let config = manifest::parse_config(&bytes, &self.config.limits).map_err(|error| damaged(error.to_string()))?;
        let layers = self.layers(manifest)?;
        let layers = layers.map_err(|diff_id| damaged(format!("layer {diff_id} is gone")))?;
        let mut names: Vec<_> = references.iter().filter(|r| r.image == record.id).map(|r| r.name.clone()).collect();
        names.sort();
        let (repo_digests, names) = names.into_iter().partition(|name| name.digest().is_some());
        Ok(Image {
            id: record.id,
            names,
            repo_digests,
            manifest: manifest.digest,
            platform: platform(&config),
            size_bytes: layers.iter().map(|layer| layer.blob_bytes).sum(),
            created: config.created().as_deref().and_then(|time| time.parse().ok()),
            config,
            layers,
        })
    }

    /// The layers of a manifest, or the diff id of the first one that is not in the store.
    fn layers(&self, manifest: &ManifestRecord) -> Result<Result<Vec<Layer>, Digest>, IoError> {
        let mut layers = Vec::with_capacity(manifest.layers.len());
        for link in &manifest.layers {
            let Some(record) = self.layer_record(&link.diff_id)? else { return Ok(Err(link.diff_id)) };
            layers.push(Layer {
                diff_id: link.diff_id,
                blob: self.disk.layer_blob(&link.diff_id),
                blob_digest: record.blob_digest,
                blob_bytes: record.blob_bytes,
                entries: record.entries,
                compressed: link.digest,
                compressed_bytes: link.bytes,
            });
        }
        Ok(Ok(layers))
    }

    /// The record of a converted layer whose blob is there with the right length.
    pub(super) fn layer_record(&self, diff_id: &Digest) -> Result<Option<LayerRecord>, IoError> {
        let Some(record) = read_record::<LayerRecord>(&self.disk.layer_record(diff_id))? else { return Ok(None) };
        let length = std::fs::metadata(self.disk.layer_blob(diff_id)).map(|meta| meta.len());
        Ok(length.is_ok_and(|length| length == record.blob_bytes).then_some(record))
    }
}

/// What a name or an id leads to.
pub struct Found {
    pub image: Image,
    pub manifest: ManifestRecord,
    /// The name, if it was found by one.
    pub by: Option<Reference>,
    /// Of the configuration.
    pub config_bytes: u64,
}

/// What a configuration says that it is for.
pub fn platform(config: &oci_spec::image::ImageConfiguration) -> Platform {
    Platform {
        os: config.os().to_string(),
        architecture: config.architecture().to_string(),
        variant: config.variant().clone(),
    }
}
