//! Where metrics go.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The body of `PUT /metrics`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct MetricsConfig {
    /// A file or a named pipe that takes a JSON object per line.
    pub metrics_path: PathBuf,
}
