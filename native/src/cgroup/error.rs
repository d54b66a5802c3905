//! Why a cgroup operation failed.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use stockade_sandbox::{Error, IsolationClass};

/// Why a cgroup operation failed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A limit was asked for that no mounted controller can set.
    #[error("cannot set {what}: cgroup controller {0:?} is not mounted on this host", what = limit_of(.0))]
    NoController(&'static str),
    /// The spec's path would leave the hierarchy.
    #[error("cgroupsPath {0:?} contains `..`: name a path without it")]
    Traversal(PathBuf),
    /// A value that the kernel could not take.
    #[error("invalid {field}: {reason}")]
    Invalid {
        /// The spec's field.
        field: &'static str,
        /// Why, and what is allowed.
        reason: String,
    },
    /// The cgroup exists and is in use.
    #[error("container's cgroup {path} is not empty: {pids} process(es) found", path = path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// How many processes it holds.
        pids: usize,
    },
    /// The class cannot do this on this host.
    #[error("{what}: {why}")]
    Unsupported {
        /// What was asked.
        what: String,
        /// Why not, and the remedy.
        why: String,
    },
    /// Processes went on appearing, or the kernel would not stop them.
    #[error("unable to freeze {path}: still {state} after {tries} tries", path = path.display())]
    Unfrozen {
        /// The directory.
        path: PathBuf,
        /// The kernel's last word.
        state: String,
        /// How often it was asked.
        tries: u32,
    },
    /// A file operation failed.
    #[error("{verb} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// On which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl CgroupError {
    pub(crate) fn file(verb: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::File { verb, path: path.to_owned(), source: source.into() }
    }

    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }

    /// Whether the kernel answered with this error.
    pub(crate) fn is(&self, errno: Errno) -> bool {
        matches!(self, Self::File { source, .. } if source.raw_os_error() == Some(errno.raw_os_error()))
    }

    /// Whether the file or its cgroup does not exist (any more).
    pub(crate) fn is_gone(&self) -> bool {
        self.is(Errno::NOENT) || self.is(Errno::NODEV)
    }
}

fn limit_of(controller: &str) -> &str {
    match controller {
        "memory" => "memory limits",
        "cpu" => "CPU limits",
        "cpuset" => "CPU placement",
        "pids" => "the limit of processes",
        "blkio" => "block I/O limits",
        "hugetlb" => "huge page limits",
        "net_cls" => "the network class",
        "net_prio" => "network priorities",
        "devices" => "device rules",
        other => other,
    }
}

impl From<CgroupError> for Error {
    fn from(error: CgroupError) -> Self {
        match error {
            CgroupError::File { verb, path, source } => Self::os(format!("{verb} {}", path.display()), source),
            CgroupError::Unsupported { what, why } => Self::Unsupported { class: IsolationClass::Native, what, why },
            CgroupError::Invalid { .. } | CgroupError::Traversal(_) => Self::InvalidConfig(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}
