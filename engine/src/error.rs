//! Errors that several operations share.

use std::io;
use std::path::{Path, PathBuf};

/// Reading or writing the engine's own files failed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The host refused.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// The host's answer.
        source: io::Error,
    },
    /// A class cannot release what a dead supervisor's container holds.
    #[error("cannot clean up container {id}: {source}")]
    Class {
        /// The container.
        id: String,
        /// Its answer.
        source: Box<stockade_sandbox::Error>,
    },
    /// The image store cannot lease or release an image.
    #[error("cannot lease image: {0}")]
    Lease(String),
    /// A file of ours does not parse.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        reason: String,
    },
}

impl StateError {
    /// For `map_err`: wraps a host error with what was tried on which path.
    pub(crate) fn io<E: Into<io::Error>>(verb: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |source| Self::Io { verb, path: path.to_owned(), source: source.into() }
    }
}

/// A container was named that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Neither a name nor the beginning of an id.
    #[error("No such container: {0}")]
    NotFound(String),
    /// The beginning of several ids.
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// The state is unreadable.
    #[error(transparent)]
    State(#[from] StateError),
}
