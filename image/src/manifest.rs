//! Manifests, indexes and configurations: hostile JSON, parsed under limits into types that can be trusted for their
//! shape.
//!
//! serde_json refuses nesting beyond 128 levels where it matters, and skips what it does not know without recursion;
//! the byte limits bound everything else, and counts are checked after that.

use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};

use crate::{Digest, Limits, Platform};

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";

/// Why a manifest, an index or a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, too deeply nested, or of another shape.
    #[error("the {what} is not valid")]
    Json {
        /// Manifest, index or configuration.
        what: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A limit of the configuration file.
    #[error("the {what} has {found} {unit}, more than {limit}; raise {key} in [image.limits] if you trust it")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        found: u64,
        /// Bytes, layers or entries.
        unit: &'static str,
        /// How large it may be.
        limit: u64,
        /// The key to raise.
        key: &'static str,
    },
    /// Neither an image nor an index.
    #[error("media type {0:?} is not an image's; this engine reads OCI images and Docker images of schema 2")]
    MediaType(String),
    /// Readers would disagree on what the digest names: CVE-2021-41190.
    #[error("the manifest claims to be an image and an index at once; do not trust its source")]
    Ambiguous,
    /// Nothing in the index fits.
    #[error("the index has no image for {wanted}; it has {}", offered.join(", "))]
    Platform {
        /// Asked for.
        wanted: String,
        /// What there is.
        offered: Vec<String>,
    },
    /// The configuration counts other layers than the manifest.
    #[error("the manifest has {layers} layers and the configuration {diff_ids}; the image is broken at its source")]
    LayerCount {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
}

/// Names bytes by digest and length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// An image's manifest, of OCI's or Docker's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub config: Descriptor,
    /// Bottom first.
    pub layers: Vec<Descriptor>,
}

/// Manifests for several platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    #[serde(default)]
    pub schema_version: u32,
    #[serde(default)]
    pub media_type: Option<String>,
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
}

/// What a tag or a digest leads to.
#[derive(Debug)]
pub enum Document {
    Manifest(Manifest),
    Index(Index),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    schema_version: u32,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
}

/// Parses what a registry or a layout gave. `declared` is the media type that came with it; the document's own wins.
pub fn parse(bytes: &[u8], declared: &str, limits: &Limits) -> Result<Document, ManifestError> {
    check_bytes("manifest", bytes.len() as u64, limits)?;
    let head: Head = decode("manifest", bytes)?;
    if head.manifests.is_some() && (head.layers.is_some() || head.config.is_some()) {
        return Err(ManifestError::Ambiguous);
    }
    match head.media_type(declared).as_str() {
        OCI_INDEX | DOCKER_INDEX => parse_index(bytes, limits).map(Document::Index),
        OCI_MANIFEST | DOCKER_MANIFEST => parse_manifest(bytes, limits).map(Document::Manifest),
        other => Err(ManifestError::MediaType(other.chars().take(200).collect())),
    }
}

/// The media type of a document that [`parse`] took.
pub fn media_type_of(bytes: &[u8], declared: &str) -> String {
    serde_json::from_slice::<Head>(bytes).map_or_else(|_| OCI_MANIFEST.into(), |head| head.media_type(declared))
}

impl Head {
    fn media_type(&self, declared: &str) -> String {
        let declared = declared.split(';').next().unwrap_or_default().trim();
        let guessed = match declared {
            _ if self.schema_version == 1 => DOCKER_SCHEMA_1,
            OCI_INDEX | DOCKER_INDEX | OCI_MANIFEST | DOCKER_MANIFEST => declared,
            _ if self.manifests.is_some() => OCI_INDEX,
            _ => OCI_MANIFEST,
        };
        self.media_type.clone().unwrap_or_else(|| guessed.into())
    }
}

/// Parses an index.
pub fn parse_index(bytes: &[u8], limits: &Limits) -> Result<Index, ManifestError> {
    check_bytes("index", bytes.len() as u64, limits)?;
    let index: Index = decode("index", bytes)?;
    check("index", index.manifests.len() as u64, "entries", limits.index_entries_max as u64, "index_entries_max")?;
    Ok(index)
}

fn parse_manifest(bytes: &[u8], limits: &Limits) -> Result<Manifest, ManifestError> {
    let raw: RawManifest = decode("manifest", bytes)?;
    let manifest = Manifest { config: raw.config, layers: raw.layers };
    check_layers(manifest.layers.len(), limits)?;
    check("configuration", manifest.config.size, "bytes", limits.config_bytes_max, "config_bytes_max")?;
    let largest = manifest.layers.iter().map(|layer| layer.size).max().unwrap_or(0);
    check("largest layer", largest, "bytes", limits.layer_bytes_max, "layer_bytes_max")?;
    Ok(manifest)
}

/// Refuses an image of too many layers.
pub fn check_layers(layers: usize, limits: &Limits) -> Result<(), ManifestError> {
    check("image", layers as u64, "layers", limits.layers_max as u64, "layers_max")
}

/// Parses an image's configuration.
pub fn parse_config(bytes: &[u8], limits: &Limits) -> Result<ImageConfiguration, ManifestError> {
    check("configuration", bytes.len() as u64, "bytes", limits.config_bytes_max, "config_bytes_max")?;
    decode("configuration", bytes)
}

/// The diff ids of a configuration, as many as the manifest has layers.
pub fn diff_ids(config: &ImageConfiguration, layers: usize) -> Result<Vec<Digest>, ManifestError> {
    let invalid = |error| ManifestError::Json { what: "configuration", source: serde::de::Error::custom(error) };
    let ids = config.rootfs().diff_ids();
    if ids.len() != layers {
        return Err(ManifestError::LayerCount { layers, diff_ids: ids.len() });
    }
    ids.iter().map(|id| id.parse().map_err(invalid)).collect()
}

/// Refuses a manifest or index of too many bytes, before or after it was read.
pub fn check_bytes(what: &'static str, bytes: u64, limits: &Limits) -> Result<(), ManifestError> {
    check(what, bytes, "bytes", limits.manifest_bytes_max, "manifest_bytes_max")
}

impl Index {
    /// The first image for `wanted`; attestations and the like are passed over.
    pub fn choose(&self, wanted: &Platform) -> Result<&Descriptor, ManifestError> {
        let fits = |entry: &&Descriptor| match &entry.platform {
            Some(platform) => wanted.accepts(platform),
            None => self.manifests.len() == 1,
        };
        self.manifests.iter().find(fits).ok_or_else(|| {
            let offered = self.manifests.iter().filter_map(|entry| entry.platform.as_ref());
            let known = offered.filter(|platform| platform.os != "unknown").take(20).map(Platform::to_string);
            ManifestError::Platform { wanted: wanted.to_string(), offered: known.collect() }
        })
    }
}

fn check(
    what: &'static str,
    found: u64,
    unit: &'static str,
    limit: u64,
    key: &'static str,
) -> Result<(), ManifestError> {
    if found > limit { Err(ManifestError::Limit { what, found, unit, limit, key }) } else { Ok(()) }
}

fn decode<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T, ManifestError> {
    serde_json::from_slice(bytes).map_err(|source| ManifestError::Json { what, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        let error = parse(json.as_bytes(), "", &Limits::default()).expect_err(json);
        format!("{error}: {}", std::error::Error::source(&error).map_or_else(String::new, ToString::to_string))
    }

    fn manifest(config: &str, layers: &str) -> String {
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layers}]}}"#)
    }

    #[test]
    fn bombs_and_nonsense_are_refused() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let good = format!(r#"{{"mediaType":"x","digest":"{digest}","size":1}}"#);
        assert!(matches!(parse(manifest(&good, &good).as_bytes(), "", &Limits::default()), Ok(Document::Manifest(_))));
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(refused(&deep).contains("not valid"));
        assert!(refused(&" ".repeat(5 << 20)).contains("manifest_bytes_max"));
        assert!(refused(&manifest(&good, &vec![good.as_str(); 501].join(","))).contains("layers_max"));
        for size in ["-1", "18446744073709551616", "1e99", "\"1\"", "1.5"] {
            let bad = format!(r#"{{"mediaType":"x","digest":"{digest}","size":{size}}}"#);
            assert!(refused(&manifest(&good, &bad)).contains("not valid"), "{size}");
        }
        let huge = format!(r#"{{"digest":"{digest}","size":18446744073709551615}}"#);
        assert!(refused(&manifest(&good, &huge)).contains("layer_bytes_max"));
        assert!(refused(&manifest(&huge, &good)).contains("config_bytes_max"));
        let path = r#"{"digest":"sha256:../../x","size":1}"#;
        assert!(refused(&manifest(&good, path)).contains("not a digest"));
        let index = format!(r#"{{"manifests":[{}]}}"#, vec![good.as_str(); 1001].join(","));
        assert!(refused(&index).contains("index_entries_max"));
        assert!(refused(r#"{"schemaVersion":1}"#).contains("schema 2"));
        assert!(refused(r#"{"manifests":[],"layers":[]}"#).contains("at once"));
        assert!(refused(r#"{"manifests":[],"config":{}}"#).contains("at once"));
        assert!(refused("[]").contains("not valid"));
    }

    #[test]
    fn an_index_is_searched_by_platform() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let entry = |os, arch| {
            format!(r#"{{"digest":"{digest}","size":1,"platform":{{"os":"{os}","architecture":"{arch}"}}}}"#)
        };
        let json = format!(r#"{{"manifests":[{},{}]}}"#, entry("unknown", "unknown"), entry("linux", "arm64"));
        let index = parse_index(json.as_bytes(), &Limits::default()).unwrap();
        assert!(index.choose(&"linux/arm64".parse().unwrap()).is_ok());
        let error = index.choose(&Platform::default()).unwrap_err().to_string();
        assert_eq!(error, "the index has no image for linux/amd64; it has linux/arm64");
    }
}
