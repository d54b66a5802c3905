//! A client of the OCI distribution protocol, for pulls.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>. No answer is read without a bound, no
//! redirect gets another host's credentials, and none leads from https to http. Nothing here knows the store.

mod auth;
mod challenge;
mod client;
mod credentials;
mod endpoint;
mod error;

use std::time::Duration;

use reqwest::{Response, StatusCode};

pub use client::innermost;
pub use credentials::CredentialError;
pub use error::RegistryError;

use crate::manifest::{self, DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, Document, OCI_INDEX, OCI_MANIFEST};
use crate::{Config, Digest, Reference};
use client::Client;

/// The longest pause between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(20);

/// One repository: its registry and the mirrors of it.
pub struct Repository<'a> {
    name: &'a Reference,
    config: &'a Config,
    clients: Vec<Client>,
}

/// A manifest or an index as received and checked.
pub struct Fetched {
    pub bytes: Vec<u8>,
    pub digest: Digest,
    pub media_type: String,
    pub document: Document,
}

impl<'a> Repository<'a> {
    pub fn new(name: &'a Reference, config: &'a Config) -> Result<Self, RegistryError> {
        let endpoints = endpoint::endpoints(name, config)?.into_iter();
        let clients = endpoints.map(|endpoint| Client::new(endpoint, config)).collect::<Result<_, _>>()?;
        Ok(Self { name, config, clients })
    }

    /// The manifest or index that `item`, a tag or a digest, names.
    pub async fn manifest(&self, item: &str, digest: Option<&Digest>) -> Result<Fetched, RegistryError> {
        self.retried(async |client: &Client| self.manifest_from(client, item, digest).await).await
    }

    async fn manifest_from(
        &self,
        client: &Client,
        item: &str,
        digest: Option<&Digest>,
    ) -> Result<Fetched, RegistryError> {
        let accept = client::accept(&[OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST]);
        let response = client.get(client.endpoint.url("manifests", item), accept).await?;
        let response = self.successful(client, response).await?;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or_default().to_owned();
        let bytes = client::read(response, self.config.limits.manifest_bytes_max).await?;
        manifest::check_bytes("manifest", bytes.len() as u64, &self.config.limits)?;
        let found = Digest::of(&bytes);
        check_digest("the manifest", digest, found)?;
        let document = manifest::parse(&bytes, &media_type, &self.config.limits)?;
        Ok(Fetched { bytes, digest: found, media_type, document })
    }

    /// A small blob, checked: an image's configuration.
    pub async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, RegistryError> {
        self.retried(async |client: &Client| self.config_from(client, descriptor).await).await
    }

    async fn config_from(&self, client: &Client, descriptor: &Descriptor) -> Result<Vec<u8>, RegistryError> {
        let response =
            client.get(client.endpoint.url("blobs", &descriptor.digest.to_string()), Default::default()).await?;
        let bytes = client::read(self.successful(client, response).await?, descriptor.size).await?;
        let found = bytes.len() as u64;
        if found != descriptor.size {
            return Err(RegistryError::Length { what: "the configuration", expected: descriptor.size, found });
        }
        check_digest("the configuration", Some(&descriptor.digest), Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// A layer's bytes from `offset` on; the second value counts bytes to drop first.
    pub async fn blob(&self, digest: &Digest, offset: u64) -> Result<(Response, u64), RegistryError> {
        self.first(async |client: &Client| client.blob(digest, offset).await).await
    }

    /// Asks one endpoint after the other; the registry's own answer counts if none has it.
    async fn first<T>(&self, ask: impl AsyncFn(&'_ Client) -> Result<T, RegistryError>) -> Result<T, RegistryError> {
        let (last, mirrors) = self.clients.split_last().expect("the registry itself is an endpoint");
        for mirror in mirrors {
            match ask(mirror).await {
                Ok(answer) => return Ok(answer),
                Err(error) => tracing::info!(mirror = mirror.endpoint.host, %error, "trying the next registry"),
            }
        }
        ask(last).await
    }

    async fn retried<T>(&self, ask: impl AsyncFn(&'_ Client) -> Result<T, RegistryError>) -> Result<T, RegistryError> {
        let mut attempt = 0;
        loop {
            match self.first(&ask).await {
                // The first request tells a wrong name or a machine without network; waiting would not help.
                Err(error @ RegistryError::Unreachable { .. }) => return Err(error),
                Err(error) if error.is_transient() && attempt < self.config.retries => {
                    attempt += 1;
                    tracing::info!(%error, attempt, "trying again");
                    tokio::time::sleep(backoff(attempt)).await;
                }
                result => return result,
            }
        }
    }

    async fn successful(&self, client: &Client, response: Response) -> Result<Response, RegistryError> {
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(RegistryError::NotFound(self.name.familiar())),
            _ => Err(client.error(response).await),
        }
    }
}

fn check_digest(what: &'static str, expected: Option<&Digest>, found: Digest) -> Result<(), RegistryError> {
    match expected {
        Some(expected) if *expected != found => Err(RegistryError::Digest { what, expected: *expected, found }),
        _ => Ok(()),
    }
}

/// The pause before an attempt, counted from 1: 0.25 s, doubled each time.
pub fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(250).saturating_mul(1 << attempt.clamp(1, 10).saturating_sub(1)).min(BACKOFF_MAX)
}
