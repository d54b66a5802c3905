//! A caller's end of a container's streams: the caller's descriptors 0, 1 and 2 joined to a process.

use std::str::FromStr;

use crate::options::InvalidOption;
use crate::{Engine, LookupError, StateError};

/// Why `attach` failed.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It does not run.
    #[error("You cannot attach to a stopped container, start it first")]
    NotRunning,
    /// It is frozen.
    #[error("You cannot attach to a paused container, unpause it first")]
    Paused,
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A session broke.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A descriptor of ours failed.
    #[error("cannot {verb}: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The host's answer.
        source: std::io::Error,
    },
    /// The supervisor died.
    #[error("the container's supervisor ended")]
    SupervisorLost,
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What to join.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// Whether our standard input goes to the container.
    pub stdin: bool,
}

/// What a session does with signals that the caller receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalProxy {
    /// Sends them on to the container (`--sig-proxy`, Docker's default).
    Forward,
    /// Lets them end the caller.
    Off,
}

/// The key sequence that leaves a container running (`--detach-keys`); `ctrl-p,ctrl-q` by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![0x10, 0x11])
    }
}

impl DetachKeys {
    /// The bytes to recognise.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for DetachKeys {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(key_byte).collect::<Option<_>>().map(Self).ok_or_else(|| {
            InvalidOption(format!("invalid detach keys {text:?}: use letters and ctrl-LETTER with commas between"))
        })
    }
}

/// `a`, or `ctrl-` with one of `a-z @ [ \ ] ^ _`.
fn key_byte(key: &str) -> Option<u8> {
    match (key.strip_prefix("ctrl-").map(str::as_bytes), key.as_bytes()) {
        (Some(&[letter @ b'a'..=b'z']), _) => Some(letter - b'a' + 1),
        (Some(b"@"), _) => Some(0),
        (Some(&[symbol @ b'['..=b'_']), _) => Some(symbol - b'@'),
        (None, &[byte]) => Some(byte),
        _ => None,
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The process ended with this code (128 + n for signal n).
    Exited(i32),
    /// The caller typed the detach keys; the process runs on.
    Detached,
}

/// Streams joined to a container's init or to an exec'd process.
pub struct Session {}

impl Session {
    /// Moves bytes, window sizes and signals until the process ends or the caller detaches. Puts a terminal on
    /// standard input in raw mode meanwhile, when the process has one too.
    pub fn run(self, keys: &DetachKeys, proxy: SignalProxy) -> Result<Outcome, SessionError> {
        let _ = (keys, proxy);
        Err(crate::lifecycle::unfinished().into())
    }
}

impl Engine {
    /// Joins a running container's streams.
    pub fn attach(&self, name: &str, options: &AttachOptions) -> Result<Session, AttachError> {
        let _ = (name, options);
        Err(crate::lifecycle::unfinished().into())
    }
}
