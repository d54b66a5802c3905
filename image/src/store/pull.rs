//! Pulls: manifest and configuration, then all layers at once, then the names.
//!
//! Lock order: the store lock only to place the hold and to commit; a layer's file in `partial/` while it downloads,
//! and never while waiting for another. A layer that another process downloads is waited for without one of our
//! download permits, so that two pulls cannot wait for each other.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use oci_spec::image::ImageConfiguration;
use tokio::sync::Semaphore;

use super::commit::Hold;
use super::disk::LockedFile;
use super::error::{IoError, LayerError, PullError};
use super::find::platform;
use super::ingest::{Conversion, Expected, Ingest};
use super::record::{LayerLink, ManifestRecord};
use super::{PullOptions, Store};
use crate::manifest::{self, Descriptor, Document, Manifest};
use crate::registry::{Fetched, RegistryError, Repository, backoff, innermost};
use crate::{Digest, Event, Image, LayerSize, Phase, Progress, Reference};

/// How often to look whether another process is done with a layer.
const WAIT: Duration = Duration::from_millis(20);

impl Store {
    /// Fetches an image from a registry; layers that are here are not downloaded again.
    ///
    /// A pull that a network or a signal cuts leaves its partly downloaded layers for the next one. A pull that fails a
    /// check leaves nothing.
    pub fn pull(&self, name: &Reference, options: &PullOptions, progress: &dyn Progress) -> Result<Image, PullError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(IoError::at("start the network runtime for", self.dir()))?;
        let mut begun = Vec::new();
        let result = runtime.block_on(self.pull_from_registry(name, options, progress, &mut begun));
        // Waits for conversions that were cancelled, and drops those that had not begun: until then their files are
        // locked.
        drop(runtime);
        if result.as_ref().is_err_and(|error| !error.is_resumable()) {
            begun.iter().try_for_each(|layer| self.forget(layer))?;
            self.collect()?;
        }
        result
    }

    /// Removes what came of a layer, unless another pull works on it.
    fn forget(&self, digest: &Digest) -> Result<(), IoError> {
        let path = self.disk.partial(digest);
        if path.exists()
            && let Some(file) = LockedFile::try_acquire(&path)?
        {
            file.discard();
        }
        Ok(())
    }

    async fn pull_from_registry(
        &self,
        name: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
        begun: &mut Vec<Digest>,
    ) -> Result<Image, PullError> {
        let repository = Repository::new(name, &self.config).map_err(|source| registry(name, source))?;
        let pull = Pull { store: self, name, options, progress, repository };
        let resolved = pull.resolve().await?;
        let hold = pull.hold(&resolved)?;
        begun.extend(resolved.manifest.layers.iter().map(|layer| layer.digest));
        let links = pull.layers(&resolved).await?;
        let manifest = ManifestRecord {
            digest: resolved.fetched.digest,
            media_type: resolved.media_type.clone(),
            bytes: resolved.fetched.bytes.len() as u64,
            layers: links,
        };
        let tag = name.digest().is_none().then(|| name.clone());
        let names: Vec<_> = tag.into_iter().chain([name.with_digest(resolved.top)]).collect();
        Ok(self.commit(hold, resolved.manifest.config.digest, manifest, &names)?)
    }
}

/// One pull under way.
struct Pull<'a> {
    store: &'a Store,
    name: &'a Reference,
    options: &'a PullOptions,
    progress: &'a dyn Progress,
    repository: Repository<'a>,
}

/// An image's documents, checked.
struct Resolved {
    /// What the name leads to: an index or the manifest.
    top: Digest,
    fetched: Fetched,
    media_type: String,
    manifest: Manifest,
    config: Vec<u8>,
    diff_ids: Vec<Digest>,
}

impl Pull<'_> {
    async fn resolve(&self) -> Result<Resolved, PullError> {
        let digest = self.name.digest();
        let item = digest.map(Digest::to_string).or(self.name.tag().map(str::to_owned)).unwrap_or_default();
        let first = self.repository.manifest(&item, digest).await.map_err(|error| self.registry(error))?;
        let top = first.digest;
        self.progress.report(&Event::Resolved { name: self.name, digest: top });
        let fetched = match &first.document {
            Document::Manifest(_) => first,
            Document::Index(index) => {
                let chosen = index.choose(&self.options.platform).map_err(|error| self.manifest(error))?;
                let (item, digest) = (chosen.digest.to_string(), chosen.digest);
                self.repository.manifest(&item, Some(&digest)).await.map_err(|error| self.registry(error))?
            }
        };
        let Document::Manifest(manifest) = &fetched.document else {
            return Err(self.manifest(manifest::ManifestError::MediaType("an index within an index".into())));
        };
        let manifest = manifest.clone();
        let config = self.config_bytes(&manifest.config).await?;
        let parsed =
            manifest::parse_config(&config, &self.store.config.limits).map_err(|error| self.manifest(error))?;
        self.check_platform(&parsed)?;
        let diff_ids = manifest::diff_ids(&parsed, manifest.layers.len()).map_err(|error| self.manifest(error))?;
        let media_type = manifest::media_type_of(&fetched.bytes, &fetched.media_type);
        Ok(Resolved { top, fetched, media_type, manifest, config, diff_ids })
    }

    async fn config_bytes(&self, descriptor: &Descriptor) -> Result<Vec<u8>, PullError> {
        let max = self.store.config.limits.config_bytes_max;
        let here = super::disk::read_bounded(&self.store.disk.blob(&descriptor.digest), max)?;
        match here.filter(|bytes| Digest::of(bytes) == descriptor.digest) {
            Some(bytes) => Ok(bytes),
            None => self.repository.config(descriptor).await.map_err(|error| self.registry(error)),
        }
    }

    fn check_platform(&self, config: &ImageConfiguration) -> Result<(), PullError> {
        let (found, wanted) = (platform(config), &self.options.platform);
        if found.architecture.is_empty() || wanted.accepts(&found) {
            return Ok(());
        }
        let (found, wanted) = (found.to_string(), wanted.to_string());
        Err(PullError::Platform { name: self.name.familiar(), found, wanted })
    }

    /// Protects everything this pull needs, what is here already included, and stores the documents.
    fn hold(&self, resolved: &Resolved) -> Result<Hold, PullError> {
        let layers = resolved.manifest.layers.iter().map(|layer| layer.digest);
        let documents = [resolved.fetched.digest, resolved.manifest.config.digest];
        let hold = self.store.hold(layers.chain(documents).collect(), resolved.diff_ids.clone())?;
        self.store.put_blob(&resolved.fetched.digest, &resolved.fetched.bytes)?;
        self.store.put_blob(&resolved.manifest.config.digest, &resolved.config)?;
        Ok(hold)
    }

    /// All layers, each once, however often the manifest lists it.
    async fn layers(&self, resolved: &Resolved) -> Result<Vec<LayerLink>, PullError> {
        let mut links = Vec::new();
        let mut unique = BTreeMap::new();
        for (layer, diff_id) in resolved.manifest.layers.iter().zip(&resolved.diff_ids) {
            let link = LayerLink { diff_id: *diff_id, digest: layer.digest, bytes: layer.size };
            if *unique.entry(layer.digest).or_insert_with(|| link.clone()) != link {
                return Err(self.layer_error(LayerError::Contradiction { layer: layer.digest }));
            }
            links.push(link);
        }
        let sizes: Vec<_> = unique.values().map(|link| LayerSize { digest: link.digest, bytes: link.bytes }).collect();
        self.progress.report(&Event::Layers(&sizes));
        let permits = Semaphore::new(self.store.config.parallel_downloads.max(1));
        try_join_all(unique.values().map(|link| self.layer(link, &permits))).await?;
        Ok(links)
    }

    async fn layer(&self, link: &LayerLink, permits: &Semaphore) -> Result<(), PullError> {
        let mut waiting = false;
        loop {
            if self.store.has_layer(link)? {
                self.report(link, Phase::Exists);
                return Ok(());
            }
            let permit = permits.acquire().await.expect("never closed");
            if let Some(file) = LockedFile::try_acquire(&self.store.disk.partial(&link.digest))? {
                return self.layer_locked(link, file).await;
            }
            drop(permit);
            if !std::mem::replace(&mut waiting, true) {
                self.report(link, Phase::Waiting);
            }
            tokio::time::sleep(WAIT).await;
        }
    }

    async fn layer_locked(&self, link: &LayerLink, file: LockedFile) -> Result<(), PullError> {
        if self.store.has_layer(link)? {
            file.discard();
            self.report(link, Phase::Exists);
            return Ok(());
        }
        self.store.reuse_blob(link, &file)?;
        let ingest = self.ingest(link, file).await?;
        self.report(link, Phase::Converting);
        let config = self.store.config.clone();
        let finish = move || ingest.verify().and_then(|verified| Ok(verified.commit(&config)?));
        let finished = tokio::task::spawn_blocking(finish).await.unwrap_or(Err(LayerError::ConverterGone));
        finished.map_err(|error| self.layer_error(error))?;
        self.report(link, Phase::Done);
        Ok(())
    }

    /// All bytes of a layer. If they are wrong and some were here before, those may have suffered a power cut: from the
    /// start.
    async fn ingest(&self, link: &LayerLink, file: LockedFile) -> Result<Ingest, PullError> {
        let conversion = match self.store.layer_record(&link.diff_id)? {
            Some(_) => Conversion::Skip,
            None => Conversion::Convert,
        };
        let begin = |file| {
            let expected = Expected { digest: Some(link.digest), bytes: Some(link.bytes), diff_id: Some(link.diff_id) };
            let ingest = Ingest::begin(&self.store.disk, &self.store.config, file, expected, conversion);
            ingest.map_err(|error| self.layer_error(error))
        };
        let mut ingest = begin(file)?;
        self.replay(link, &mut ingest).await?;
        self.download(link, &mut ingest).await?;
        if ingest.replayed() > 0 && !ingest.is_right() {
            ingest = begin(ingest.restart()?)?;
            self.download(link, &mut ingest).await?;
        }
        Ok(ingest)
    }

    /// What an earlier attempt downloaded is hashed and converted like new bytes.
    async fn replay(&self, link: &LayerLink, ingest: &mut Ingest) -> Result<(), PullError> {
        while let Some(chunk) = ingest.replay().map_err(|error| self.layer_error(error))? {
            ingest.forward(chunk).await.map_err(|error| self.layer_error(error))?;
            self.report(link, Phase::Downloading { done: ingest.done(), total: link.bytes });
        }
        Ok(())
    }

    /// Receives the rest, again and again from where the connection broke, until all attempts brought nothing.
    async fn download(&self, link: &LayerLink, ingest: &mut Ingest) -> Result<(), PullError> {
        let mut attempt = 0;
        while ingest.done() < link.bytes {
            let before = ingest.done();
            let Err(error) = self.receive(link, ingest).await else { return Ok(()) };
            if ingest.done() > before {
                attempt = 0;
            }
            let reason = match &error {
                PullError::Registry { source, .. } if source.is_transient() && attempt < self.store.config.retries => {
                    source.to_string()
                }
                _ => return Err(error),
            };
            attempt += 1;
            let delay = backoff(attempt);
            self.report(link, Phase::Retrying { attempt, delay, reason: &reason });
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }

    async fn receive(&self, link: &LayerLink, ingest: &mut Ingest) -> Result<(), PullError> {
        let blob = self.repository.blob(&link.digest, ingest.done()).await;
        let (mut response, mut skip) = blob.map_err(|error| self.registry(error))?;
        let announced = response.content_length().is_some();
        let cut =
            |done, reason| self.registry(RegistryError::Cut { digest: link.digest, done, total: link.bytes, reason });
        loop {
            let chunk = response.chunk().await.map_err(|error| cut(ingest.done(), innermost(&error)))?;
            let Some(mut chunk) = chunk else { break };
            let dropped = skip.min(chunk.len() as u64);
            skip -= dropped;
            let chunk = chunk.split_off(usize::try_from(dropped).unwrap_or(usize::MAX));
            ingest.accept(&chunk).map_err(|error| self.layer_error(error))?;
            ingest.forward(chunk).await.map_err(|error| self.layer_error(error))?;
            self.report(link, Phase::Downloading { done: ingest.done(), total: link.bytes });
        }
        if ingest.done() < link.bytes && !announced {
            return Err(cut(ingest.done(), "the connection closed".into()));
        }
        Ok(())
    }

    fn report(&self, link: &LayerLink, phase: Phase<'_>) {
        self.progress.report(&Event::Layer { digest: link.digest, phase });
    }

    fn registry(&self, source: RegistryError) -> PullError {
        registry(self.name, source)
    }

    fn manifest(&self, source: manifest::ManifestError) -> PullError {
        PullError::Manifest { name: self.name.familiar(), source }
    }

    fn layer_error(&self, source: LayerError) -> PullError {
        PullError::Layer { name: self.name.familiar(), source }
    }
}

fn registry(name: &Reference, source: RegistryError) -> PullError {
    PullError::Registry { name: name.familiar(), source }
}
