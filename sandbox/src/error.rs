//! What a verb answers when it cannot do what was asked.
//!
//! The texts of the first variants are runc's: containerd, Docker and Podman match on them.

use std::io;

/// The answer of a failed verb. `Display` is one line; the cause chain is in `source()`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No container of this id in the state directory.
    #[error("container does not exist")]
    NotFound,
    /// `create` of an id that is taken.
    #[error("container with given ID already exists")]
    AlreadyExists,
    /// The container has no running init.
    #[error("container not running")]
    NotRunning,
    /// `start` of a container that is not `created`.
    #[error("cannot start a container that has {0}")]
    CannotStart(&'static str),
    /// `delete` without force of a running container.
    #[error("cannot delete container {id} that is not stopped: {status}")]
    NotStopped {
        /// The container.
        id: String,
        /// Its status now.
        status: super::Status,
    },
    /// `exec`, `pause` and the like of a paused container.
    #[error("cannot {verb} a paused container")]
    Paused {
        /// What was asked.
        verb: &'static str,
    },
    /// `resume` of a container that is not paused.
    #[error("container not paused")]
    NotPaused,
    /// The program to run is absent from the container (exit status 127 for people).
    #[error("exec: {0:?}: executable file not found in $PATH")]
    ExecutableNotFound(String),
    /// The program to run was named by a path that does not exist (exit status 127 for people).
    #[error("exec: {0:?}: stat {0}: no such file or directory")]
    NoSuchProgram(String),
    /// The program exists and cannot be executed (exit status 126 for people).
    #[error("exec: {program:?}: {reason}")]
    NotExecutable {
        /// The program as asked for.
        program: String,
        /// The kernel's reason, for example `permission denied`.
        reason: String,
    },
    /// The bundle's config.json, or a field of it, cannot be honoured.
    #[error("invalid config: {0}")]
    InvalidConfig(String),
    /// The class cannot do this; names what is missing.
    #[error("isolation class {class} cannot {what}: {why}")]
    Unsupported {
        /// The class that was asked.
        class: super::IsolationClass,
        /// The verb or option.
        what: String,
        /// Why, and what to do instead.
        why: String,
    },
    /// A host operation failed; `what` says which, on what.
    #[error("{what}: {source}")]
    Os {
        /// The operation and its object, for example `mount proc at /proc`.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Anything else, already worded for the user.
    #[error("{0}")]
    Other(String),
}

/// A verb's answer.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps a host error with the operation it came from.
    pub fn os(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Os { what: what.into(), source: source.into() }
    }
}
