//! The verbs that only look.

mod filter;
mod inspect;
mod list;
mod own_top;
mod stats;
mod top;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stockade_sandbox::Stats;

use crate::{Engine, LookupError, StateError};
pub use filter::ListFilter;
pub use own_top::table as own_process_table;

/// Where a container is in its life, in Docker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, and never started (or its start failed).
    Created,
    /// Runs.
    Running,
    /// Frozen.
    Paused,
    /// Ended.
    Exited,
    /// Its removal failed half way; `rm -f` goes on with it.
    Removing,
}

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It must run for this.
    #[error("Container {0} is not running")]
    NotRunning(String),
    /// The class refused.
    #[error(transparent)]
    Class(#[from] stockade_sandbox::Error),
    /// `ps` does not run, or does not answer as it should.
    #[error("cannot list processes: {0}")]
    Ps(String),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// One line of `ps`.
#[derive(Clone, Debug, Serialize)]
pub struct ContainerSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without Docker's leading slash.
    pub name: String,
    /// The image as it was asked for.
    pub image: String,
    /// `sha256:…`.
    pub image_id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, empty before the first start.
    pub started_at: String,
    /// RFC 3339, empty while it runs.
    pub finished_at: String,
    /// Where it is in its life.
    pub status: Status,
    /// Of its last run.
    pub exit_code: i32,
    /// `--label` and the image's.
    pub labels: BTreeMap<String, String>,
    /// Its class.
    pub isolation: String,
    /// Sources of its mounts.
    pub mounts: Vec<String>,
    /// `none`, `host` or `container:ID`.
    pub network: String,
}

/// What `inspect` answers: Docker's document.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Inspect(pub serde_json::Value);

/// What `top` answers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProcessTable {
    /// Column heads.
    pub titles: Vec<String>,
    /// One row per process.
    pub processes: Vec<Vec<String>>,
}

/// Bytes and packets of one network interface.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NetworkStats {
    /// For example `eth0`.
    pub interface: String,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
}

/// One sample for `stats`. Two samples give rates: CPU per cent is the growth of `stats.cpu.total_ns` over that of
/// `read_ns`.
#[derive(Clone, Debug, Serialize)]
pub struct StatsSample {
    /// The container.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Monotonic time of the sample in nanoseconds.
    pub read_ns: u64,
    /// CPUs online on the host.
    pub cpus_online: u32,
    /// The memory limit, or the host's memory when there is none.
    pub memory_limit_bytes: u64,
    /// What the class counts.
    pub stats: Stats,
    /// Its interfaces, the loopback left out.
    pub networks: Vec<NetworkStats>,
}

impl Engine {
    /// The full id of a container by name, id, or the beginning of its id.
    pub fn resolve(&self, name: &str) -> Result<String, LookupError> {
        Ok(self.find(name)?.id)
    }
}
