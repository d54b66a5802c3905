//! Credentials from Docker's configuration file and its helpers.
//!
//! <https://github.com/docker/docker-credential-helpers>: `docker-credential-NAME get` takes the registry on stdin and
//! prints JSON. Order as in Docker: `credHelpers`, then `credsStore`, then `auths`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// What `docker login` files for Docker Hub.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The user name that a helper gives beside an identity token.
const TOKEN_USER: &str = "<token>";

/// Proof of who pulls.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Password {
        user: String,
        password: String,
    },
    /// An OAuth 2 refresh token.
    IdentityToken(String),
}

/// Why credentials could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Docker's configuration file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no JSON or an entry is broken.
    #[error("{} is not valid: {reason}; repair it or run `docker login` again", path.display())]
    Invalid {
        /// Docker's configuration file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The helper is missing or failed.
    #[error("credential helper docker-credential-{helper} failed for {registry}: {reason}")]
    Helper {
        /// The name after `docker-credential-`.
        helper: String,
        /// Whose credentials were asked for.
        registry: String,
        /// What it said.
        reason: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// The credential for a registry, if there is one in the file that `$DOCKER_CONFIG` or `$HOME` leads to.
pub fn find(host: &str) -> Result<Option<Credential>, CredentialError> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
    dir.map_or(Ok(None), |dir| find_in(&dir.join("config.json"), host))
}

fn find_in(path: &Path, host: &str) -> Result<Option<Credential>, CredentialError> {
    let Some(config) = read(path)? else { return Ok(None) };
    let key = if host == "docker.io" { DOCKER_HUB_KEY } else { host };
    let helper = config.cred_helpers.get(host).or_else(|| config.cred_helpers.get(key)).or(config.creds_store.as_ref());
    if let Some(helper) = helper
        && let Some(credential) = ask_helper(helper, key)?
    {
        return Ok(Some(credential));
    }
    let auth = config.auths.iter().find(|(name, _)| bare_host(name) == bare_host(key)).map(|(_, auth)| auth);
    auth.map_or(Ok(None), |auth| auth.credential(path, host))
}

fn read(path: &Path) -> Result<Option<DockerConfig>, CredentialError> {
    let failed = |source| CredentialError::Read { path: path.into(), source };
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(failed)?;
    let invalid = |error: serde_json::Error| CredentialError::Invalid { path: path.into(), reason: error.to_string() };
    serde_json::from_slice(&text).map(Some).map_err(invalid)
}

/// Entries come with and without a scheme and a path.
fn bare_host(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

impl Auth {
    fn credential(&self, path: &Path, host: &str) -> Result<Option<Credential>, CredentialError> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(token)));
        }
        if let (Some(user), Some(password)) = (filled(&self.username), filled(&self.password)) {
            return Ok(Some(Credential::Password { user, password }));
        }
        let Some(auth) = filled(&self.auth) else { return Ok(None) };
        let invalid = || CredentialError::Invalid {
            path: path.into(),
            reason: format!("the auth entry of {host} is not base64 of USER:PASSWORD"),
        };
        let bytes = STANDARD.decode(auth).map_err(|_| invalid())?;
        let text = String::from_utf8(bytes).map_err(|_| invalid())?;
        let (user, password) = text.split_once(':').ok_or_else(invalid)?;
        Ok(Some(Credential::Password { user: user.into(), password: password.trim_end_matches('\0').into() }))
    }
}

fn ask_helper(helper: &str, registry: &str) -> Result<Option<Credential>, CredentialError> {
    let failed = |reason: String| CredentialError::Helper { helper: helper.into(), registry: registry.into(), reason };
    if helper.contains('/') {
        return Err(failed("its name contains a slash".into()));
    }
    let (success, answer) = run_helper(helper, registry).map_err(|error| failed(error.to_string()))?;
    if !success {
        let text = String::from_utf8_lossy(&answer).trim().to_owned();
        return if text.contains("credentials not found") { Ok(None) } else { Err(failed(text)) };
    }
    let answer: HelperAnswer = serde_json::from_slice(&answer).map_err(|error| failed(error.to_string()))?;
    Ok(Some(match answer.username.as_str() {
        TOKEN_USER => Credential::IdentityToken(answer.secret),
        _ => Credential::Password { user: answer.username, password: answer.secret },
    }))
}

fn run_helper(helper: &str, registry: &str) -> io::Result<(bool, Vec<u8>)> {
    let mut command = Command::new(format!("docker-credential-{helper}"));
    let mut child = command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that answers without reading is none of our business.
        let _ = writeln!(stdin, "{registry}");
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(FILE_BYTES_MAX).read_to_end(&mut answer)?;
    }
    Ok((child.wait()?.success(), answer))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &str, host: &str) -> Result<Option<Credential>, CredentialError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, config).unwrap();
        find_in(&path, host)
    }

    fn password(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Password { user: user.into(), password: password.into() })
    }

    #[test]
    fn auths_are_found_by_host() {
        let config = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"10.0.0.1:5000":{"username":"a","password":"b"},
            "t.example":{"identitytoken":"tok"},"bad.example":{"auth":"!"}}}"#;
        assert_eq!(check(config, "docker.io").unwrap(), password("u", "p"));
        assert_eq!(check(config, "10.0.0.1:5000").unwrap(), password("a", "b"));
        assert_eq!(check(config, "t.example").unwrap(), Some(Credential::IdentityToken("tok".into())));
        assert_eq!(check(config, "10.0.0.1:5001").unwrap(), None);
        assert!(check(config, "bad.example").unwrap_err().to_string().contains("bad.example"));
        assert!(check("{", "x").is_err());
    }

    #[test]
    fn a_missing_helper_and_a_path_are_errors() {
        let error = check(r#"{"credsStore":"stockade-missing"}"#, "x").unwrap_err().to_string();
        assert!(error.contains("docker-credential-stockade-missing"), "{error}");
        assert!(check(r#"{"credHelpers":{"x":"../../bin/sh"}}"#, "x").is_err());
    }
}
