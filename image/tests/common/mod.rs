//! What the tests of the store share: small images, a registry that does as it is told, and looks at a store's
//! directory.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod docker_registry;
pub mod registry;
pub mod server;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use stockade_image::{Config, Digest, Image, NoProgress, PullError, PullOptions, Reference, Store};

/// A store in a directory of its own.
pub struct Scratch {
    pub dir: tempfile::TempDir,
    pub store: Store,
}

impl Scratch {
    pub fn new() -> Self {
        Self::with(config())
    }

    pub fn with(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), config).unwrap();
        Self { dir, store }
    }

    pub fn pull(&self, name: &str) -> Result<Image, PullError> {
        self.store.pull(&reference(name), &PullOptions::default(), &NoProgress)
    }

    /// The refusal of a pull as a person reads it, after a look that it left nothing behind.
    pub fn refusal(&self, name: &str) -> String {
        let before = listing(self.store.dir());
        let error = self.pull(name).expect_err(name);
        assert_eq!(listing(self.store.dir()), before, "{}", chain(&error));
        chain(&error)
    }
}

/// Few and fast retries, small limits.
pub fn config() -> Config {
    Config { retries: 2, stall_timeout_s: 5, ..Config::default() }
}

pub fn reference(name: &str) -> Reference {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// The error and its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// All files below `dir` with their lengths, the lock aside.
pub fn listing(dir: &Path) -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(listing(&entry.path()).into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else if name != "lock" {
            files.insert(name, entry.metadata().unwrap().len());
        }
    }
    files
}

/// A tarball of regular files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// An image as a registry holds it.
#[derive(Clone)]
pub struct TestImage {
    pub manifest: Vec<u8>,
    pub media_type: String,
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    pub layers: Vec<Digest>,
    pub config: Digest,
}

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

impl TestImage {
    /// An image of tar streams, compressed by `compress`.
    pub fn new(tars: &[Vec<u8>], compress: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let diff_ids: Vec<_> = tars.iter().map(|tar| Digest::of(tar)).collect();
        Self::with_diff_ids(&tars.iter().map(|tar| compress(tar)).collect::<Vec<_>>(), &diff_ids)
    }

    /// An image whose layers and diff ids need not fit.
    pub fn with_diff_ids(layers: &[Vec<u8>], diff_ids: &[Digest]) -> Self {
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
            "config": {"Cmd": ["/bin/sh"], "Env": ["A=1"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": diff_ids.iter().map(|_| serde_json::json!({"created_by": "test"})).collect::<Vec<_>>(),
        });
        Self::with_config(serde_json::to_vec(&config).unwrap(), layers)
    }

    pub fn with_config(config: Vec<u8>, layers: &[Vec<u8>]) -> Self {
        let mut blobs: BTreeMap<_, _> = layers.iter().map(|layer| (Digest::of(layer), layer.clone())).collect();
        let descriptor = |bytes: &[u8], kind: &str| {
            let media_type = format!("application/vnd.oci.image.{kind}");
            serde_json::json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
        };
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(&config, "config.v1+json"),
            "layers": layers.iter().map(|layer| descriptor(layer, "layer.v1.tar+gzip")).collect::<Vec<_>>(),
        });
        let id = Digest::of(&config);
        blobs.insert(id, config);
        Self {
            manifest: serde_json::to_vec(&manifest).unwrap(),
            media_type: OCI_MANIFEST.into(),
            blobs,
            layers: layers.iter().map(|layer| Digest::of(layer)).collect(),
            config: id,
        }
    }

    /// One layer with one file.
    pub fn small() -> Self {
        Self::new(&[tar(&[("hello", b"world")])], gzip)
    }

    /// Several layers of noise.
    pub fn layered(seed: u64, layers: u64, bytes: usize) -> Self {
        let tars: Vec<_> = (0..layers).map(|layer| tar(&[("noise", &noise(seed * 100 + layer, bytes))])).collect();
        Self::new(&tars, gzip)
    }

    /// The same image with an edited manifest.
    pub fn edited(&self, edit: impl FnOnce(&mut serde_json::Value)) -> Self {
        let mut manifest = serde_json::from_slice(&self.manifest).unwrap();
        edit(&mut manifest);
        Self { manifest: serde_json::to_vec(&manifest).unwrap(), ..self.clone() }
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }
}
