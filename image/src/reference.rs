//! Image references: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, expanded as Docker does.
//!
//! The grammar is that of github.com/distribution/reference: a first component with a dot or a colon, or `localhost`,
//! is a registry host; a bare name is in `docker.io/library`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Digest;

const DEFAULT_HOST: &str = "docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
/// The longest host and path together, as distribution has it.
const NAME_LEN_MAX: usize = 255;
const TAG_LEN_MAX: usize = 128;

/// A fully expanded image name with a tag, a digest, or both.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    host: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no image reference.
#[derive(Debug, Clone, thiserror::Error)]
#[error("invalid image reference {text:?}: {reason}")]
pub struct ReferenceError {
    text: String,
    reason: &'static str,
}

impl Reference {
    /// Host and port of the registry, for example `docker.io` or `127.0.0.1:5000`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository's path within the registry, for example `library/debian`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag; `latest` where the text had neither tag nor digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of a manifest or an index.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Host and path, without tag and digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// Host and path in the short form that people type: `debian` for `docker.io/library/debian`.
    pub fn familiar_repository(&self) -> String {
        if self.host != DEFAULT_HOST {
            return self.repository();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The short form with tag and digest: `debian:bookworm`.
    pub fn familiar(&self) -> String {
        format!("{}{}", self.familiar_repository(), self.suffix())
    }

    /// The same repository, named by `digest` alone.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    fn suffix(&self) -> String {
        let tag = self.tag.iter().map(|tag| format!(":{tag}"));
        tag.chain(self.digest.iter().map(|digest| format!("@{digest}"))).collect()
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|_| "its digest is not sha256: and 64 digits")?))
            }
            None => (text, None),
        };
        let (name, tag) = split_tag(rest)?;
        let (host, path) = split_host(name);
        let path =
            if host == DEFAULT_HOST && !path.contains('/') { format!("{OFFICIAL}{path}") } else { path.to_owned() };
        check_host(host)?;
        check_path(&path)?;
        if host.len() + 1 + path.len() > NAME_LEN_MAX {
            return Err("the name is longer than 255 bytes");
        }
        let tag = tag.or_else(|| digest.is_none().then_some(DEFAULT_TAG)).map(str::to_owned);
        Ok(Self { host: host.to_owned(), path, tag, digest })
    }
}

/// A colon after the last slash begins a tag; one before it belongs to a port.
fn split_tag(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    let after_slash = text.rfind('/').map_or(0, |slash| slash + 1);
    let Some(colon) = text[after_slash..].find(':') else { return Ok((text, None)) };
    let (name, tag) = (&text[..after_slash + colon], &text[after_slash + colon + 1..]);
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let ok = |byte: u8| word(byte) || byte == b'.' || byte == b'-';
    match tag.as_bytes() {
        [first, rest @ ..] if word(*first) && rest.iter().all(|b| ok(*b)) && tag.len() <= TAG_LEN_MAX => {
            Ok((name, Some(tag)))
        }
        _ => Err("a tag is 1 to 128 letters, digits, '_', '.' and '-', and begins with no '.' or '-'"),
    }
}

fn split_host(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, path)) if is_host(first) => (canonical_host(first), path),
        _ => (DEFAULT_HOST, name),
    }
}

fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn canonical_host(host: &str) -> &str {
    if host == "index.docker.io" { DEFAULT_HOST } else { host }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    const ERROR: &str = "its registry is not HOST or HOST:PORT";
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(ERROR)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| ERROR)?;
            ("v6", after)
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let inner = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        inner && !bytes.is_empty() && bytes[0] != b'-' && bytes[bytes.len() - 1] != b'-'
    };
    let port_ok = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    if name.split('.').all(label) && port_ok { Ok(()) } else { Err(ERROR) }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("the repository must be lower case");
    }
    let good = path.split('/').all(is_component);
    if good { Ok(()) } else { Err("a repository is parts of a-z and 0-9, joined by '/', '.', '_', '__' or '-'") }
}

/// `[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_separator = |run: &[u8]| matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-');
    let bytes = component.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(|byte| alphanumeric(*byte)))
        && bytes
            .chunk_by(|a, b| alphanumeric(*a) == alphanumeric(*b))
            .all(|run| alphanumeric(run[0]) || is_separator(run))
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text).map_err(|reason| ReferenceError { text: text.chars().take(300).collect(), reason })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.host, self.path, self.suffix())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, full: &str, familiar: &str) {
        let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reference.to_string(), full);
        assert_eq!(reference.familiar(), familiar);
        assert_eq!(full.parse::<Reference>().unwrap(), reference);
        assert_eq!(familiar.parse::<Reference>().unwrap(), reference);
    }

    #[test]
    fn expands_as_docker_does() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        check("debian", "docker.io/library/debian:latest", "debian:latest");
        check("debian:bookworm", "docker.io/library/debian:bookworm", "debian:bookworm");
        check("library/debian", "docker.io/library/debian:latest", "debian:latest");
        check("grafana/loki:2", "docker.io/grafana/loki:2", "grafana/loki:2");
        check("index.docker.io/library/x", "docker.io/library/x:latest", "x:latest");
        check("localhost/x", "localhost/x:latest", "localhost/x:latest");
        check("localhost:5000/a/b:t", "localhost:5000/a/b:t", "localhost:5000/a/b:t");
        check("127.0.0.1:5000/debian:1", "127.0.0.1:5000/debian:1", "127.0.0.1:5000/debian:1");
        check("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest");
        check("quay.io/a/b__c-d.e", "quay.io/a/b__c-d.e:latest", "quay.io/a/b__c-d.e:latest");
        check(&format!("x@{digest}"), &format!("docker.io/library/x@{digest}"), &format!("x@{digest}"));
        check(&format!("x:1@{digest}"), &format!("docker.io/library/x:1@{digest}"), &format!("x:1@{digest}"));
    }

    #[test]
    fn refuses_what_is_no_name() {
        let long = "a".repeat(250);
        for bad in [
            "",
            ":",
            "/",
            "a/",
            "/a",
            "a//b",
            "Debian",
            "a:",
            "a:-x",
            "a:.x",
            "a b",
            "a@sha256:../../x",
            "a@b",
            "../a",
            "a/../b",
            "a_-b",
            "a___b",
            "-a",
            "a-",
            "host.io:99999/a",
            "host.io:/a",
            "-h.io/a",
            "a:b:c",
            "[::1/x",
            "a\nb",
            "é",
            &long,
            "a/b:\u{202e}",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
    }
}
