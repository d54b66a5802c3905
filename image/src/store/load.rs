//! Images out of archives and layouts.

use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::commit::Hold;
use super::error::{IoError, LayerError, LoadError};
use super::ingest::{Conversion, Expected, Ingest, Verified};
use super::record::{LayerLink, ManifestRecord};
use super::{Loaded, PullOptions, Store};
use crate::archive::{self, DockerImage, Files, Kind, LayoutError, OciImage};
use crate::decode::Compression;
use crate::manifest::{self, Descriptor, ManifestError, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use crate::{Digest, Event, LayerSize, Limits, LoadSource, Phase, Progress, Reference};

impl Store {
    /// Loads the images of a layout or an archive, compressed or not.
    ///
    /// Names come from the archive. A bare tag, all that some tools write into a layout, becomes `localhost/FILE:TAG`.
    pub fn load(&self, source: &LoadSource, progress: &dyn Progress) -> Result<Vec<Loaded>, LoadError> {
        let load = Load { store: self, source, archive: source.shown(), progress };
        let result = load.all();
        if result.is_err() {
            self.collect()?;
        }
        result
    }
}

/// One load under way.
struct Load<'a> {
    store: &'a Store,
    source: &'a LoadSource,
    /// As messages name it.
    archive: String,
    progress: &'a dyn Progress,
}

/// An image as its source describes it.
struct Pending {
    names: Vec<Reference>,
    config: Vec<u8>,
    /// Its own manifest; docker save's old form has none.
    manifest: Option<(Descriptor, Vec<u8>)>,
    layers: Vec<PendingLayer>,
}

struct PendingLayer {
    /// In the source.
    file: String,
    digest: Option<Digest>,
    bytes: u64,
    diff_id: Digest,
}

/// A layer that is here, or ready to get its name.
enum Received {
    Here(LayerLink),
    New(Box<Verified>, Compression),
}

impl Load<'_> {
    fn all(&self) -> Result<Vec<Loaded>, LoadError> {
        let limits = &self.store.config.limits;
        let tmp = self.store.disk.part("tmp");
        let opened = Files::open(self.source, &tmp, limits.layer_bytes_max);
        let (files, kind) = opened.map_err(|reason| self.broken(reason))?;
        let pending = if kind == Kind::DockerArchive { self.docker(&files)? } else { self.oci(&files)? };
        if pending.is_empty() {
            return Err(self.broken("it has no images".into()));
        }
        pending.iter().map(|image| self.image(&files, image)).collect()
    }

    fn oci(&self, files: &Files) -> Result<Vec<Pending>, LoadError> {
        let images = self.oci_images(files)?;
        let wanted = |image: &&OciImage| self.source.tag().is_none_or(|tag| image.names.contains(tag));
        let chosen: Vec<_> = images.iter().filter(wanted).collect();
        if let (Some(tag), true) = (self.source.tag(), chosen.is_empty()) {
            let offered = images.iter().flat_map(|image| image.names.clone()).collect();
            return Err(LoadError::NoTag { archive: self.archive.clone(), tag: tag.clone(), offered });
        }
        chosen.into_iter().map(|image| self.oci_pending(files, image, self.oci_names(image)?)).collect()
    }

    fn oci_images(&self, files: &Files) -> Result<Vec<OciImage>, LoadError> {
        let platform = PullOptions::default().platform;
        archive::images(files, &platform, self.limits()).map_err(|error| self.layout(error))
    }

    fn oci_pending(&self, files: &Files, image: &OciImage, names: Vec<Reference>) -> Result<Pending, LoadError> {
        let max = self.store.config.limits.config_bytes_max;
        let config = archive::blob(files, &image.manifest.config, max).map_err(|error| self.layout(error))?;
        let parsed = manifest::parse_config(&config, self.limits()).map_err(|error| self.refused(error))?;
        let diff_ids = manifest::diff_ids(&parsed, image.manifest.layers.len()).map_err(|error| self.refused(error))?;
        let layer = |(layer, diff_id): (&Descriptor, Digest)| PendingLayer {
            file: archive::blob_path(&layer.digest),
            digest: Some(layer.digest),
            bytes: layer.size,
            diff_id,
        };
        let layers = image.manifest.layers.iter().zip(diff_ids).map(layer).collect();
        Ok(Pending { names, config, manifest: Some((image.descriptor.clone(), image.bytes.clone())), layers })
    }

    fn oci_names(&self, image: &OciImage) -> Result<Vec<Reference>, LoadError> {
        let Some(name) = image.names.first() else { return Ok(Vec::new()) };
        let full = name.contains(['/', ':']);
        let text = if full { name.clone() } else { format!("{}:{name}", self.source.repository()) };
        Ok(vec![self.name(&text)?])
    }

    /// The new form is an OCI layout with `manifest.json` for the names; the old form has only the latter.
    fn docker(&self, files: &Files) -> Result<Vec<Pending>, LoadError> {
        let max = self.limits().manifest_bytes_max;
        let bytes = files.read("manifest.json", max).map_err(|error| self.broken(error.to_string()))?;
        let bytes = bytes.ok_or_else(|| self.broken("it has no manifest.json".into()))?;
        manifest::check_bytes("manifest.json", bytes.len() as u64, self.limits())
            .map_err(|error| self.refused(error))?;
        let invalid = |source| self.refused(ManifestError::Json { what: "manifest.json", source });
        let images: Vec<DockerImage> = serde_json::from_slice(&bytes).map_err(invalid)?;
        let tags = |image: &DockerImage| image.repo_tags.clone().unwrap_or_default();
        let wanted = |image: &&DockerImage| self.source.tag().is_none_or(|tag| tags(image).contains(tag));
        let chosen: Vec<_> = images.iter().filter(wanted).collect();
        if let (Some(tag), true) = (self.source.tag(), chosen.is_empty()) {
            let offered = images.iter().flat_map(tags).collect();
            return Err(LoadError::NoTag { archive: self.archive.clone(), tag: tag.clone(), offered });
        }
        let with_layout = files.file("index.json").is_ok_and(|file| file.is_some());
        let layout = if with_layout { self.oci_images(files)? } else { Vec::new() };
        chosen.into_iter().map(|image| self.docker_pending(files, image, &layout)).collect()
    }

    fn docker_pending(&self, files: &Files, image: &DockerImage, layout: &[OciImage]) -> Result<Pending, LoadError> {
        let names = image.repo_tags.iter().flatten().map(|name| self.name(name)).collect::<Result<_, _>>()?;
        let limits = self.limits();
        let config =
            files.read(&image.config, limits.config_bytes_max).map_err(|error| self.broken(error.to_string()))?;
        let config = config.ok_or_else(|| self.broken(format!("{:?} is missing", image.config)))?;
        let parsed = manifest::parse_config(&config, limits).map_err(|error| self.refused(error))?;
        let id = Digest::of(&config);
        if let Some(image) = layout.iter().find(|other| other.manifest.config.digest == id) {
            return self.oci_pending(files, image, names);
        }
        let layers = image.layers.len();
        let diff_ids = manifest::check_layers(layers, limits).and_then(|()| manifest::diff_ids(&parsed, layers));
        let diff_ids = diff_ids.map_err(|error| self.refused(error))?;
        let layer = |(file, diff_id): (&String, Digest)| {
            let (_, bytes) =
                files.file(file).ok().flatten().ok_or_else(|| self.broken(format!("{file:?} is missing")))?;
            Ok(PendingLayer { file: file.clone(), digest: None, bytes, diff_id })
        };
        let layers = image.layers.iter().zip(diff_ids).map(layer).collect::<Result<_, LoadError>>()?;
        Ok(Pending { names, config, manifest: None, layers })
    }

    fn image(&self, files: &Files, pending: &Pending) -> Result<Loaded, LoadError> {
        let sizes = pending.layers.iter().map(|layer| LayerSize { digest: layer.shown(), bytes: layer.bytes });
        self.progress.report(&Event::Layers(&sizes.collect::<Vec<_>>()));
        let early = self.hold(pending, &[])?;
        let threads = self.store.config.parallel_downloads;
        let received = in_parallel(&pending.layers, threads, |layer| self.layer(files, layer))?;
        let links: Vec<_> = received.iter().map(Received::link).collect();
        let kinds: Vec<_> = received.iter().map(Received::compression).collect();
        let (manifest, bytes) = pending.manifest(&links, &kinds);
        let hold = self.hold(pending, &manifest.blobs().collect::<Vec<_>>())?;
        drop(early);
        for received in received {
            if let Received::New(verified, _) = received {
                verified.commit(&self.store.config)?;
            }
        }
        let id = Digest::of(&pending.config);
        self.store.put_blob(&id, &pending.config)?;
        self.store.put_blob(&manifest.digest, &bytes)?;
        let image = self.store.commit(hold, id, manifest, &pending.names)?;
        Ok(Loaded { image, names: pending.names.clone() })
    }

    fn hold(&self, pending: &Pending, more: &[Digest]) -> Result<Hold, IoError> {
        let known = pending.layers.iter().filter_map(|layer| layer.digest);
        let blobs = known.chain(more.iter().copied()).chain([Digest::of(&pending.config)]);
        self.store.hold(blobs.collect(), pending.layers.iter().map(|layer| layer.diff_id).collect())
    }

    fn layer(&self, files: &Files, layer: &PendingLayer) -> Result<Received, LoadError> {
        let digest = layer.digest.unwrap_or(layer.diff_id);
        let link = LayerLink { diff_id: layer.diff_id, digest, bytes: layer.bytes };
        if self.store.has_layer(&link)? && (layer.digest.is_some() || self.store.has_blob(&link)) {
            self.report(layer, Phase::Exists);
            return Ok(Received::Here(link));
        }
        let file = files.file(&layer.file).map_err(|error| self.broken(format!("{}: {error}", layer.file)))?;
        let (reader, _) = file.ok_or_else(|| self.broken(format!("{} is missing", layer.file)))?;
        let received = self.receive(layer, reader).map_err(|source| self.layer_error(source))?;
        self.report(layer, Phase::Done);
        Ok(received)
    }

    fn receive(&self, layer: &PendingLayer, reader: Box<dyn io::Read + '_>) -> Result<Received, LayerError> {
        let expected = Expected { digest: layer.digest, bytes: Some(layer.bytes), diff_id: Some(layer.diff_id) };
        let temp = self.store.disk.temp_file("")?;
        let mut ingest = Ingest::begin(&self.store.disk, &self.store.config, temp, expected, Conversion::Convert)?;
        let mut head = Vec::new();
        let report = |done| self.report(layer, Phase::Downloading { done, total: layer.bytes });
        ingest.absorb(Peek { reader, head: &mut head }, report)?;
        self.report(layer, Phase::Converting);
        Ok(Received::New(Box::new(ingest.verify()?), Compression::of(&head)))
    }

    fn name(&self, text: &str) -> Result<Reference, LoadError> {
        text.parse().map_err(|error: crate::ReferenceError| self.broken(error.to_string()))
    }

    fn limits(&self) -> &Limits {
        &self.store.config.limits
    }

    fn report(&self, layer: &PendingLayer, phase: Phase<'_>) {
        self.progress.report(&Event::Layer { digest: layer.shown(), phase });
    }

    fn broken(&self, reason: String) -> LoadError {
        LoadError::Archive { archive: self.archive.clone(), reason }
    }

    fn refused(&self, source: ManifestError) -> LoadError {
        LoadError::Manifest { archive: self.archive.clone(), source }
    }

    fn layout(&self, error: LayoutError) -> LoadError {
        match error {
            LayoutError::Refused(source) => self.refused(source),
            LayoutError::Broken(reason) => self.broken(reason),
        }
    }

    fn layer_error(&self, source: LayerError) -> LoadError {
        LoadError::Layer { archive: self.archive.clone(), source }
    }
}

impl Pending {
    /// Its own manifest, or a new one, as a record and as bytes.
    fn manifest(&self, links: &[LayerLink], kinds: &[Compression]) -> (ManifestRecord, Vec<u8>) {
        let (media_type, bytes) = match &self.manifest {
            Some((descriptor, bytes)) => (manifest::media_type_of(bytes, &descriptor.media_type), bytes.clone()),
            None => (OCI_MANIFEST.into(), oci_manifest(&self.config, links, kinds)),
        };
        let (digest, length) = (Digest::of(&bytes), bytes.len() as u64);
        (ManifestRecord { digest, media_type, bytes: length, layers: links.to_vec() }, bytes)
    }
}

impl PendingLayer {
    fn shown(&self) -> Digest {
        self.digest.unwrap_or(self.diff_id)
    }
}

impl Received {
    fn link(&self) -> LayerLink {
        match self {
            Self::Here(link) => link.clone(),
            Self::New(verified, _) => verified.link.clone(),
        }
    }

    /// A layer without a descriptor that is here already is a plain tar: it was found by its diff id.
    fn compression(&self) -> Compression {
        match self {
            Self::Here(_) => Compression::None,
            Self::New(_, compression) => *compression,
        }
    }
}

/// What `work` makes of each item, in their order, by so many threads; after an error nothing more is begun.
fn in_parallel<I: Sync, T: Send, E: Send>(
    items: &[I],
    threads: usize,
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(item);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push((index, result));
        }
        done
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.clamp(1, items.len().max(1))).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The manifest of an image that came without one.
pub fn oci_manifest(config: &[u8], links: &[LayerLink], kinds: &[Compression]) -> Vec<u8> {
    let layer = |(link, kind): (&LayerLink, &Compression)| {
        let media_type = format!("{OCI_LAYER}{}", kind.suffix());
        serde_json::json!({"mediaType": media_type, "digest": link.digest, "size": link.bytes})
    };
    let layers: Vec<_> = links.iter().zip(kinds).map(layer).collect();
    let config = serde_json::json!({"mediaType": OCI_CONFIG, "digest": Digest::of(config), "size": config.len()});
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers,
    });
    manifest.to_string().into_bytes()
}

/// Remembers the first bytes that pass.
pub struct Peek<'a, R> {
    pub reader: R,
    pub head: &'a mut Vec<u8>,
}

impl<R: io::Read> io::Read for Peek<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let missing = 6_usize.saturating_sub(self.head.len()).min(count);
        self.head.extend_from_slice(&buffer[..missing]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::in_parallel;

    #[test]
    fn results_come_in_order_and_an_error_ends_the_work() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(in_parallel(&items, 4, |&item| Ok::<_, ()>(item * 2)).unwrap()[99], 198);
        assert_eq!(in_parallel(&[], 4, |_: &usize| Ok::<_, ()>(0)), Ok(Vec::new()));
        let failing = |&item: &usize| if item == 3 { Err(item) } else { Ok(item) };
        assert_eq!(in_parallel(&items, 2, failing), Err(3));
        assert_eq!(in_parallel(&items, 0, failing), Err(3));
    }
}
