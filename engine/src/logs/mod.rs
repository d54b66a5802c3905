//! What a container wrote, kept in Docker's json-file format.

mod reader;
mod writer;

use serde::{Deserialize, Serialize};

use crate::options::LogDriver;
use crate::{Engine, LookupError, StateError};
pub(crate) use writer::LogWriter;

/// Which stream a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Descriptor 1, or the terminal.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// One entry: a line with its newline, or a piece of 16 KiB of a longer one without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The text.
    #[serde(rename = "log")]
    pub text: String,
    /// Where it came from.
    pub stream: LogStream,
    /// RFC 3339 with nanoseconds, UTC.
    pub time: String,
}

/// Which lines `logs` shows.
#[derive(Clone, Debug, Default)]
pub struct LogsOptions {
    /// `--follow`: until the container ends.
    pub follow: bool,
    /// `--tail`: only the last lines.
    pub tail: Option<usize>,
    /// `--since`: nanoseconds since the epoch.
    pub since_ns: Option<i128>,
    /// `--until`: nanoseconds since the epoch.
    pub until_ns: Option<i128>,
}

/// Why `logs` failed.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The container keeps no log.
    #[error("configured logging driver does not support reading")]
    NotKept,
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The sink refused a line.
    #[error("cannot write logs")]
    Sink(#[source] std::io::Error),
}

impl Engine {
    /// Gives every chosen line to `sink`, oldest first.
    pub fn logs(
        &self,
        name: &str,
        options: &LogsOptions,
        sink: &mut dyn FnMut(&LogLine) -> std::io::Result<()>,
    ) -> Result<(), LogsError> {
        let container = self.find(name)?;
        if container.record()?.options.log.driver == LogDriver::None {
            return Err(LogsError::NotKept);
        }
        reader::show(self, &container, options, sink)
    }
}
