//! Which servers are asked for a repository, and how: the registry and its mirrors.

use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;

use super::error::RegistryError;
use crate::{Config, Reference, RegistryConfig};

/// Docker Hub's registry is not where its name says.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// One server that may have the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The repository's URL up to `/manifests` and `/blobs`.
    pub repository: Url,
    /// The repository's path as the server knows it, for token scopes.
    pub path: String,
    /// Under which its credentials are filed.
    pub host: String,
    /// Certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
}

/// Mirrors in their order, then the registry itself.
pub fn endpoints(name: &Reference, config: &Config) -> Result<Vec<Endpoint>, RegistryError> {
    let own = config.registries.get(name.host()).cloned().unwrap_or_default();
    let mirrors = own.mirrors.iter().map(|mirror| endpoint(mirror, name, config));
    mirrors.chain([endpoint(name.host(), name, config)]).collect()
}

fn endpoint(server: &str, name: &Reference, config: &Config) -> Result<Endpoint, RegistryError> {
    let invalid = || RegistryError::Server(server.into());
    let (scheme, rest) = match server.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (Some(scheme), rest),
        Some(_) => return Err(invalid()),
        None => (None, server),
    };
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let settings = config.registries.get(host).cloned().unwrap_or_default();
    let scheme = scheme.unwrap_or_else(|| default_scheme(host, &settings));
    let address = if host == DOCKER_HUB.0 { DOCKER_HUB.1 } else { host };
    let prefix = prefix.trim_matches('/');
    let path = if prefix.is_empty() { name.path().to_owned() } else { format!("{prefix}/{}", name.path()) };
    let repository: Url = format!("{scheme}://{address}/v2/{path}").parse().map_err(|_| invalid())?;
    // The URL parser takes the first part of the path for a missing host.
    if host.is_empty() || !repository.username().is_empty() {
        return Err(invalid());
    }
    Ok(Endpoint { repository, path, host: host.into(), ca: settings.ca })
}

fn default_scheme(host: &str, settings: &RegistryConfig) -> &'static str {
    if settings.insecure.unwrap_or_else(|| is_loopback(host)) { "http" } else { "https" }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Endpoint {
    /// Whether the server is on this machine: no proxy leads there, and no public certificate.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether credentials and content cross the network in the clear.
    pub fn is_plain(&self) -> bool {
        self.repository.scheme() == "http"
    }

    /// `.../manifests/TAG-OR-DIGEST` or `.../blobs/DIGEST`.
    pub fn url(&self, kind: &str, item: &str) -> Url {
        let mut url = self.repository.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend([kind, item]);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(name: &str, toml: serde_json::Value) -> Vec<String> {
        let config = Config { registries: serde_json::from_value(toml).unwrap(), ..Config::default() };
        let found = endpoints(&name.parse().unwrap(), &config).unwrap();
        found.iter().map(|endpoint| endpoint.url("manifests", "1").to_string()).collect()
    }

    #[test]
    fn mirrors_come_first_and_loopback_is_plain() {
        let none = serde_json::json!({});
        assert_eq!(urls("debian", none.clone()), ["https://registry-1.docker.io/v2/library/debian/manifests/1"]);
        assert_eq!(urls("127.0.0.1:5000/a/b", none.clone()), ["http://127.0.0.1:5000/v2/a/b/manifests/1"]);
        assert_eq!(urls("[::1]:5000/a", none.clone()), ["http://[::1]:5000/v2/a/manifests/1"]);
        assert_eq!(urls("localhost/a", none), ["http://localhost/v2/a/manifests/1"]);
        let settings = serde_json::json!({
            "docker.io": {"mirrors": ["http://m.example:80/hub/", "n.example"]},
            "n.example": {"insecure": true}, "localhost": {"insecure": false},
        });
        let mirrored = [
            "http://m.example/v2/hub/library/x/manifests/1",
            "http://n.example/v2/library/x/manifests/1",
            "https://registry-1.docker.io/v2/library/x/manifests/1",
        ];
        assert_eq!(urls("x", settings.clone()), mirrored);
        assert_eq!(urls("localhost/x", settings), ["https://localhost/v2/x/manifests/1"]);
    }

    #[test]
    fn a_mirror_is_a_server() {
        for bad in ["ftp://x", "https://", "http://user@x", ""] {
            let mirrors = RegistryConfig { mirrors: vec![bad.into()], ..RegistryConfig::default() };
            let config = Config { registries: [("docker.io".into(), mirrors)].into(), ..Config::default() };
            assert!(endpoints(&"x".parse().unwrap(), &config).is_err(), "{bad}");
        }
    }
}
