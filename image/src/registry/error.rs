//! What can go wrong with a registry.

use std::path::PathBuf;

use super::credentials::CredentialError;
use crate::Digest;
use crate::manifest::ManifestError;

/// Why a registry did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A mirror in the configuration file.
    #[error("{0:?} is not a registry: expected HOST, HOST:PORT or an http(s) URL without user name")]
    Server(String),
    /// No connection could be made.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// The server, with its port if the URL has one.
        host: String,
        /// Why.
        reason: String,
    },
    /// The connection broke.
    #[error("cannot read {url}: {reason}")]
    Network {
        /// What was asked for.
        url: String,
        /// Why it failed.
        reason: String,
    },
    /// The connection ended or stalled before all was here.
    #[error("the download of {digest} stopped after {done} of {total} bytes: {reason}")]
    Cut {
        /// The blob.
        digest: Digest,
        /// Bytes received.
        done: u64,
        /// Bytes to receive.
        total: u64,
        /// What was seen.
        reason: String,
    },
    /// The registry answered with an error.
    #[error("{url} answered {status}{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The registry's own words.
        message: String,
    },
    /// No such tag, digest or repository.
    #[error("{0} is not in the registry, or it needs a login; check the name, or run `docker login`")]
    NotFound(String),
    /// The registry wants credentials, or refused the ones it got.
    #[error("{host} refuses access to {path}: {reason}; run `docker login {host}` and try again")]
    Denied {
        /// The registry.
        host: String,
        /// The repository.
        path: String,
        /// What it said.
        reason: String,
    },
    /// Credentials would go out unprotected.
    #[error("{host} sends credentials to {realm}, which is not https; refusing. Fix the registry's token realm")]
    InsecureRealm {
        /// The registry.
        host: String,
        /// Where it wants tokens to come from.
        realm: String,
    },
    /// The bytes are not what the digest says.
    #[error("{what} has digest {found}, not {expected}; the registry is broken or lies")]
    Digest {
        /// Manifest or configuration.
        what: &'static str,
        /// As named.
        expected: Digest,
        /// As received.
        found: Digest,
    },
    /// More or fewer bytes than announced.
    #[error("{what} has {found} bytes, not {expected}; the registry is broken or lies")]
    Length {
        /// Manifest or configuration.
        what: &'static str,
        /// As the descriptor says.
        expected: u64,
        /// As received, cut at one more than expected.
        found: u64,
    },
    /// A manifest or token of no use.
    #[error("{url} sent an answer of no use: {reason}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificates of the configuration file.
    #[error("cannot use the certificates in {}: {reason}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up a client for {host}: {reason}")]
    Client {
        /// The registry.
        host: String,
        /// Why.
        reason: String,
    },
    /// A document that was refused.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Docker's configuration file or a helper.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

impl RegistryError {
    /// Whether the same request may succeed in a moment.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Network { .. } | Self::Cut { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }
}
