//! `manifest.json` of `docker save`, in the old form (a directory for each layer) and the new one (an OCI layout beside
//! it).

use serde::{Deserialize, Serialize};

/// One image of the archive.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerImage {
    /// The configuration's file.
    pub config: String,
    /// `null` for an image without a name.
    pub repo_tags: Option<Vec<String>>,
    /// The layers' files, bottom first.
    pub layers: Vec<String>,
}
