//! A bundle's config.json, and the process to run from it.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use serde::de::DeserializeOwned;
use stockade_sandbox::{Error, Result};

/// A bundle that `create` was given.
#[derive(Debug)]
pub struct Bundle {
    /// Its absolute directory.
    pub dir: PathBuf,
    /// Its config.json.
    pub spec: Spec,
}

impl Bundle {
    /// Reads the bundle.
    pub fn load(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize().map_err(|e| Error::os(format!("chdir {}", dir.display()), e))?;
        let spec = load_spec(&dir)?;
        Ok(Self { dir, spec })
    }
}

/// Reads the config.json of a bundle directory.
pub fn load_spec(dir: &Path) -> Result<Spec> {
    let path = dir.join("config.json");
    let spec: Spec = match read_json(&path) {
        Err(Error::Os { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Err(Error::Other(format!("JSON specification file {} not found", path.display())));
        }
        other => other?,
    };
    check_process(spec.process().as_ref().ok_or_else(|| invalid("process property must not be empty"))?)?;
    Ok(spec)
}

/// What every process needs (runc's `validateProcessSpec`).
pub fn check_process(process: &Process) -> Result<()> {
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        return Err(invalid("process args cannot be empty"));
    }
    if process.cwd().as_os_str().is_empty() {
        return Err(invalid("cwd property must not be empty"));
    }
    if !process.cwd().is_absolute() {
        return Err(invalid("cwd must be an absolute path"));
    }
    Ok(())
}

/// Reads a JSON file; the error names it.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(|e| Error::os(format!("open {}", path.display()), e))?;
    serde_json::from_slice(&bytes).map_err(|e| invalid(&format!("{}: {e}", path.display())))
}

/// How many descriptors systemd passed to this very process (sd_listen_fds(3)).
pub fn listen_fds() -> u32 {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return 0;
    }
    number("LISTEN_FDS").unwrap_or(0)
}

/// Tells the process of the descriptors that it inherits from systemd; it is pid 1 in its namespace.
pub fn announce_listen_fds(process: &mut Process, count: u32) {
    if count > 0 {
        let env = process.env_mut().get_or_insert_default();
        env.extend([format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()]);
    }
}

fn invalid(what: &str) -> Error {
    Error::InvalidConfig(what.to_owned())
}
