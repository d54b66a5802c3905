//! A root file system becomes an image of one layer.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use oci_spec::image::Config as ContainerConfig;

use super::error::{ImportError, LayerError};
use super::ingest::{Conversion, Expected, Ingest, Verified};
use super::load::{Peek, oci_manifest};
use super::record::ManifestRecord;
use super::{ImportOptions, Store};
use crate::decode::Compression;
use crate::layer::{ArchiveError, archive_directory};
use crate::manifest::OCI_MANIFEST;
use crate::{Digest, Image, Input};

impl Store {
    /// Makes a one-layer image of a root file system: a directory, or a tarball, plain or compressed by gzip, zstd, xz
    /// or bzip2. The latter two, which layers must not have, are undone by the tools of their names.
    pub fn import(&self, source: &Input, options: &ImportOptions) -> Result<Image, ImportError> {
        let result = self.import_layer(source).and_then(|(verified, kind)| {
            let config = config(source, options, &verified.link.diff_id);
            let manifest = oci_manifest(&config, std::slice::from_ref(&verified.link), &[kind]);
            self.commit_import(verified, &config, &manifest, options)
        });
        if result.is_err() {
            self.collect()?;
        }
        result
    }

    fn commit_import(
        &self,
        verified: Verified,
        config: &[u8],
        manifest: &[u8],
        options: &ImportOptions,
    ) -> Result<Image, ImportError> {
        let (id, digest) = (Digest::of(config), Digest::of(manifest));
        let hold = self.hold(vec![verified.link.digest, id, digest], vec![verified.link.diff_id])?;
        let link = verified.commit(&self.config)?;
        self.put_blob(&id, config)?;
        self.put_blob(&digest, manifest)?;
        let (media_type, bytes) = (OCI_MANIFEST.into(), manifest.len() as u64);
        let record = ManifestRecord { digest, media_type, bytes, layers: vec![link] };
        Ok(self.commit(hold, id, record, options.name.as_slice())?)
    }

    fn import_layer(&self, source: &Input) -> Result<(Verified, Compression), ImportError> {
        let shown = source.shown();
        let unreadable = |error| ImportError::Source { path: shown.into(), source: error };
        if source.is_dir().map_err(unreadable)? {
            return self.import_directory(shown);
        }
        let mut file = source.open().map_err(unreadable)?;
        let mut head = Vec::new();
        (&file).take(6).read_to_end(&mut head).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        match Compression::of(&head) {
            Compression::Xz => self.import_by_tool(shown, file, "xz"),
            Compression::Bzip2 => self.import_by_tool(shown, file, "bzip2"),
            _ => self.import_stream(shown, file),
        }
    }

    fn import_stream(&self, path: &Path, stream: impl Read) -> Result<(Verified, Compression), ImportError> {
        let refused = |source| ImportError::Layer { path: path.into(), source };
        let temp = self.disk.temp_file("")?;
        let expected = Expected::default();
        let mut ingest =
            Ingest::begin(&self.disk, &self.config, temp, expected, Conversion::Convert).map_err(refused)?;
        let mut head = Vec::new();
        ingest.absorb(Peek { reader: stream, head: &mut head }, |_| ()).map_err(refused)?;
        Ok((ingest.verify().map_err(refused)?, Compression::of(&head)))
    }

    fn import_directory(&self, dir: &Path) -> Result<(Verified, Compression), ImportError> {
        let unreadable = |source| ImportError::Source { path: dir.into(), source };
        let (reader, writer) = io::pipe().map_err(unreadable)?;
        std::thread::scope(|scope| {
            let archiver = scope.spawn(move || archive_directory(dir, writer));
            let imported = self.import_stream(dir, reader);
            match archiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                // Nobody read on: the other side knows why.
                Ok(()) | Err(ArchiveError::Output(_)) => imported,
                Err(error) => {
                    let source = LayerError::Convert { layer: "of the import".into(), source: error.into() };
                    Err(ImportError::Layer { path: dir.into(), source })
                }
            }
        })
    }

    fn import_by_tool(
        &self,
        path: &Path,
        file: File,
        tool: &'static str,
    ) -> Result<(Verified, Compression), ImportError> {
        let failed = |reason: String| ImportError::Tool { path: path.into(), tool, reason };
        let mut child = decompress(tool, file).map_err(|error| failed(error.to_string()))?;
        let stdout = child.stdout.take().ok_or_else(|| failed("it has no output".into()))?;
        let imported = self.import_stream(path, stdout);
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        let imported = imported?;
        if status.success() { Ok(imported) } else { Err(failed(status.to_string())) }
    }
}

fn decompress(tool: &str, file: File) -> io::Result<Child> {
    Command::new(tool).arg("-dc").stdin(file).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// The new image's configuration.
fn config(source: &Input, options: &ImportOptions, diff_id: &Digest) -> Vec<u8> {
    let mut container = ContainerConfig::default();
    options.changes.iter().for_each(|change| change.apply(&mut container));
    let created = Timestamp::now().to_string();
    let comment = options.message.clone().unwrap_or_else(|| format!("Imported from {}", source.file_name()));
    let mut config = serde_json::json!({
        "created": created,
        "architecture": options.platform.architecture,
        "os": options.platform.os,
        "config": container,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": created, "comment": comment}],
    });
    if let Some(variant) = &options.platform.variant {
        config["variant"] = variant.clone().into();
    }
    config.to_string().into_bytes()
}
