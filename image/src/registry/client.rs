//! HTTP to one endpoint: requests with authorisation, bounded answers, and blobs from any offset.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RANGE, WWW_AUTHENTICATE};
use reqwest::{Certificate, Response, StatusCode, Url, redirect};
use serde::Deserialize;

use super::auth;
use super::credentials::{self, Credential};
use super::endpoint::Endpoint;
use super::error::RegistryError;
use crate::{Config, Digest};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const REDIRECTS_MAX: usize = 10;
/// Of an error's text that is read.
const ERROR_BYTES_MAX: u64 = 64 << 10;

/// A client for one repository at one endpoint.
pub struct Client {
    pub endpoint: Endpoint,
    http: reqwest::Client,
    credential: Option<Credential>,
    authorization: Mutex<Option<HeaderValue>>,
}

impl Client {
    pub fn new(endpoint: Endpoint, config: &Config) -> Result<Self, RegistryError> {
        let http = http_client(&endpoint, config)?;
        let credential = credentials::find(&endpoint.host)?;
        Ok(Self { endpoint, http, credential, authorization: Mutex::new(None) })
    }

    /// Sends a GET. A refusal is answered once with a token or a password for its challenge.
    ///
    /// Redirects to another host lose the authorisation (reqwest does that); tokens are asked for by the original host
    /// only.
    pub async fn get(&self, url: Url, headers: HeaderMap) -> Result<Response, RegistryError> {
        let response = self.send(&url, &headers).await?;
        if response.status() != StatusCode::UNAUTHORIZED || response.url().host_str() != url.host_str() {
            return Ok(response);
        }
        let Some(challenge) = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()) else {
            return Ok(response);
        };
        let authorization = auth::answer(&self.http, &self.endpoint, self.credential.as_ref(), challenge).await?;
        let Some(authorization) = authorization else { return Ok(response) };
        *self.authorization.lock().expect("never poisoned") = Some(authorization);
        self.send(&url, &headers).await
    }

    async fn send(&self, url: &Url, headers: &HeaderMap) -> Result<Response, RegistryError> {
        let mut request = self.http.get(url.clone()).headers(headers.clone());
        let authorization = self.authorization.lock().expect("never poisoned").clone();
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.send().await.map_err(|error| network(url, &error))
    }

    /// The body of a blob from `offset` on, and how many of its first bytes must be dropped, because not every server
    /// can start in the middle.
    pub async fn blob(&self, digest: &Digest, offset: u64) -> Result<(Response, u64), RegistryError> {
        let url = self.endpoint.url("blobs", &digest.to_string());
        let mut headers = HeaderMap::new();
        if offset > 0 {
            let range = HeaderValue::from_str(&format!("bytes={offset}-"));
            headers.insert(RANGE, range.expect("digits are a valid header"));
        }
        let response = self.get(url, headers).await?;
        match response.status() {
            StatusCode::OK => Ok((response, offset)),
            StatusCode::PARTIAL_CONTENT if range_begins_at(&response, offset) => Ok((response, 0)),
            StatusCode::PARTIAL_CONTENT => {
                Err(RegistryError::Answer { url: response.url().to_string(), reason: "it sent another range".into() })
            }
            _ => Err(self.error(response).await),
        }
    }

    /// The error that an unsuccessful answer stands for.
    pub async fn error(&self, response: Response) -> RegistryError {
        let (status, url) = (response.status(), response.url().clone());
        let body = read(response, ERROR_BYTES_MAX).await.unwrap_or_default();
        let message = registry_message(&body);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Denied {
                host: self.endpoint.host.clone(),
                path: self.endpoint.path.clone(),
                reason: if message.is_empty() { status.to_string() } else { message },
            },
            _ => RegistryError::Status { url: shown(&url), status: status.as_u16(), message },
        }
    }
}

/// `Accept` with these media types.
pub fn accept(media_types: &[&str]) -> HeaderMap {
    let value = HeaderValue::from_str(&media_types.join(", ")).expect("media types are valid headers");
    HeaderMap::from_iter([(ACCEPT, value)])
}

/// Reads a body of at most `max` bytes and one more, which tells the caller that it was too long.
pub async fn read(mut response: Response, max: u64) -> Result<Vec<u8>, RegistryError> {
    let mut body = Vec::new();
    let url = response.url().clone();
    while let Some(chunk) = response.chunk().await.map_err(|error| network(&url, &error))? {
        body.extend_from_slice(&chunk);
        if body.len() as u64 > max {
            body.truncate(usize::try_from(max).unwrap_or(usize::MAX).saturating_add(1));
            break;
        }
    }
    Ok(body)
}

pub fn network(url: &Url, error: &reqwest::Error) -> RegistryError {
    if !error.is_connect() {
        return RegistryError::Network { url: shown(url), reason: innermost(error) };
    }
    let reason = match causes(error).any(|cause| cause.to_string() == "dns error") {
        true => "its name does not resolve; check the name and the network".into(),
        false => innermost(error),
    };
    // A redirect may have led to another server.
    RegistryError::Unreachable { host: authority(error.url().unwrap_or(url)), reason }
}

fn authority(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// The cause that says most: reqwest's own text only repeats the URL.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| cause.source())
}

/// Without the query, in which storage back ends sign their URLs.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

fn http_client(endpoint: &Endpoint, config: &Config) -> Result<reqwest::Client, RegistryError> {
    let failed =
        |error: reqwest::Error| RegistryError::Client { host: endpoint.host.clone(), reason: innermost(&error) };
    // Someone else in the process may have installed a provider; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("stockade/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(Duration::from_secs(config.stall_timeout_s.max(1)))
        .referer(false)
        .redirect(redirect_policy(endpoint.is_plain()));
    if endpoint.is_loopback() {
        builder = builder.no_proxy();
    }
    if let Some(path) = &endpoint.ca {
        builder = builder.tls_certs_merge(certificates(path)?);
    } else if endpoint.is_loopback() && endpoint.is_plain() {
        // Reading the system's certificates takes as long as the rest of a pull that finds nothing new.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(failed)
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate>, RegistryError> {
    let failed = |reason: String| RegistryError::Certificates { path: path.into(), reason };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| failed(innermost(&error)))?;
    if certificates.is_empty() { Err(failed("it has none in PEM form".into())) } else { Ok(certificates) }
}

/// Follows redirects, but never from https to http.
fn redirect_policy(plain: bool) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > REDIRECTS_MAX {
            attempt.error("too many redirects")
        } else if !plain && attempt.url().scheme() != "https" {
            attempt.error("redirected from https to an address without it")
        } else {
            attempt.follow()
        }
    })
}

fn range_begins_at(response: &Response, offset: u64) -> bool {
    let range = response.headers().get("content-range").and_then(|value| value.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
    start == Some(offset)
}

/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>, made fit for a terminal.
fn registry_message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else { return String::new() };
    let texts =
        answer.errors.iter().take(3).map(|entry| if entry.message.is_empty() { &entry.code } else { &entry.message });
    let joined = texts.map(String::as_str).collect::<Vec<_>>().join("; ");
    joined.chars().filter(|char| !char.is_control()).take(300).collect()
}
