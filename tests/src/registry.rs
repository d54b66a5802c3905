//! Debian's docker-registry on a loopback port of its own.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{fixture, wait::holds_within};

/// A running registry, ended on drop.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    dir: TempDir,
    port: u16,
    _store: Option<TempDir>,
}

impl Registry {
    /// Serves the fixture images (`busybox`, `debian`, `debian-layers` and `multi`, each tagged `latest`), read-only.
    #[track_caller]
    pub fn start() -> Self {
        Self::serve(&fixture("registry"), "  maintenance: {readonly: {enabled: true}}\n", "")
    }

    /// Serves an empty store that takes pushes; it is gone with the registry.
    #[track_caller]
    pub fn empty() -> Self {
        let store = tempfile::tempdir().expect("make a directory");
        let mut registry = Self::on(store.path());
        registry._store = Some(store);
        registry
    }

    /// Serves a store that takes pushes; the directory stays.
    #[track_caller]
    pub fn on(store: &Path) -> Self {
        Self::serve(store, "", "")
    }

    /// Serves the fixture images to callers who know the name and the password.
    #[track_caller]
    pub fn with_login(name: &str, password: &str) -> Self {
        let auth = tempfile::NamedTempFile::new().expect("make a file");
        fs::write(auth.path(), htpasswd(name, password)).expect("write the password file");
        let more = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", auth.path().display());
        Self::serve(&fixture("registry"), "  maintenance: {readonly: {enabled: true}}\n", &more)
    }

    #[track_caller]
    fn serve(storage: &Path, storage_options: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("make a directory");
        let config = dir.path().join("config.yml");
        // Port 0 lets the kernel choose; the registry logs what it got.
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n\
             \x20 delete: {{enabled: true}}\n{storage_options}http: {{addr: \"127.0.0.1:0\", secret: fixture}}\n{more}",
            storage.display()
        );
        fs::write(&config, text).expect("write the registry's configuration");
        let log = dir.path().join("log");
        let stderr = fs::File::create(&log).expect("make the registry's log");
        let mut process = Command::new("docker-registry")
            .args(["serve".as_ref(), config.as_os_str()])
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("start docker-registry: run `cargo xtask setup` as root");
        let mut port = None;
        holds_within(Duration::from_secs(20), || {
            port = listening_port(&log);
            port.is_some() || !matches!(process.try_wait(), Ok(None))
        });
        let Some(port) = port else {
            let _ = process.kill();
            let _ = process.wait();
            panic!("docker-registry does not listen:\n{}", fs::read_to_string(&log).unwrap_or_default());
        };
        Self { process, dir, port, _store: None }
    }

    /// Its loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`, as it starts a reference.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A reference to an image here: `127.0.0.1:PORT/NAME`.
    pub fn reference(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    /// The path of its request log.
    pub fn log(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn listening_port(log: &Path) -> Option<u16> {
    let text = fs::read_to_string(log).ok()?;
    let (_, rest) = text.split_once("listening on 127.0.0.1:")?;
    let (digits, _) = rest.split_once(|c: char| !c.is_ascii_digit())?;
    digits.parse().ok()
}

/// The registry takes bcrypt only; busybox and openssl have none, Python's and Perl's crypt(3) of Debian does.
fn htpasswd(name: &str, password: &str) -> String {
    let script = r#"print crypt($ARGV[0], '$2b$04$abcdefghijklmnopqrstuu')"#;
    let output = Command::new("perl").args(["-e", script, password]).output().expect("run perl");
    let hash = String::from_utf8(output.stdout).expect("a hash is ASCII");
    assert!(hash.starts_with("$2b$"), "crypt(3) knows no bcrypt here: {hash:?}");
    format!("{name}:{hash}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_log() {
        let dir = tempfile::tempdir().expect("make a directory");
        let log = dir.path().join("log");
        let check = |text: &str, port| {
            fs::write(&log, text).expect("write a log");
            assert_eq!(listening_port(&log), port);
        };
        check("msg=\"listening on 127.0.0.1:44411\" go", Some(44411));
        check("msg=\"listening on 127.0.0.1:444", None);
        check("", None);
    }
}
