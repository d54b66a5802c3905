//! The `[image]` table of the configuration file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How images are fetched and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Layers of one image that are downloaded, or read from an archive, at once.
    pub parallel_downloads: usize,
    /// Keep each layer as it was downloaded beside its converted form. `image save` needs it to reproduce digests; it
    /// costs the image's download size on disk (about 40 % on top of the converted layers).
    pub keep_compressed: bool,
    /// Wait for the disk before an image counts as pulled. Without it a power cut may lose the images of the last half
    /// minute; what it left is compared with its digest before its first use after the boot.
    pub flush: bool,
    /// Attempts at a download that stalls or breaks before the pull fails. Each goes on from where the last one
    /// stopped.
    pub retries: u32,
    /// Seconds without a byte from a registry before a connection counts as stalled.
    pub stall_timeout_s: u64,
    /// Settings by registry host, for example `[image.registries."docker.io"]` or `[image.registries."10.0.0.1:5000"]`.
    pub registries: BTreeMap<String, RegistryConfig>,
    /// What an image may cost before it is refused.
    pub limits: Limits,
}

/// How one registry is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// Registries asked before this one, in this order: `HOST[:PORT]`, or a URL whose scheme says http or https and
    /// whose path is put before the repository. Credentials of this registry are never sent to them, only credentials
    /// of their own.
    pub mirrors: Vec<String>,
    /// Speak plain http. Without this key loopback addresses and `localhost` are spoken to in plain http and all others
    /// in https.
    pub insecure: Option<bool>,
    /// A file of PEM certificates trusted for this registry and where it redirects to, besides the system's. A
    /// registry's own self-signed certificate must not be marked as an authority (`basicConstraints=CA:FALSE`). A plain
    /// http registry on a loopback address that redirects to https needs this key too, as the system's certificates are
    /// not read for it.
    pub ca: Option<PathBuf>,
}

/// Bounds on what an image may make this machine do. Reaching one is an error that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a manifest or an index.
    pub manifest_bytes_max: u64,
    /// Bytes of an image configuration.
    pub config_bytes_max: u64,
    /// Manifests in an index.
    pub index_entries_max: usize,
    /// Layers of an image.
    pub layers_max: usize,
    /// Bytes of one layer as downloaded.
    pub layer_bytes_max: u64,
    /// What one layer may unpack to; the table `[image.limits.layer]`.
    pub layer: crate::layer::Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            parallel_downloads: 4,
            keep_compressed: true,
            flush: false,
            retries: 5,
            stall_timeout_s: 30,
            registries: BTreeMap::new(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        const GIB: u64 = 1 << 30;
        Self {
            manifest_bytes_max: 4 * MIB,
            config_bytes_max: 8 * MIB,
            index_entries_max: 1000,
            // More than overlayfs takes in one mount is no use.
            layers_max: 500,
            layer_bytes_max: 64 * GIB,
            layer: crate::layer::Limits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused() {
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
        for bad in [r#"{"paralel_downloads":1}"#, r#"{"registries":{"x":{"mirror":[]}}}"#, r#"{"limits":{"x":1}}"#] {
            assert!(serde_json::from_str::<Config>(bad).is_err(), "{bad}");
        }
    }
}
