//! Why a cgroup operation failed.

use std::io;
use std::path::PathBuf;

use stockade_sandbox::{Error, IsolationClass};

/// Why a cgroup operation failed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A limit was asked for that no mounted controller can set.
    #[error("cannot set {limit}: cgroup controller {0:?} is not mounted on this host", limit = controller_limit(.0))]
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
    #[error("container's cgroup {path:?} is not empty: {pids} process(es) found")]
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

fn controller_limit(controller: &str) -> &str {
    match controller {
        "memory" => "memory limits",
        "cpu" => "CPU limits",
        "cpuset" => "CPU placement",
        "pids" => "the limit of processes",
        "blkio" | "io" => "block I/O limits",
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
