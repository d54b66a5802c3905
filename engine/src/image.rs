//! What a container keeps of its image, so that starting it needs no image store.

use std::path::PathBuf;

use oci_spec::image::{Config, ImageConfiguration};
use serde::{Deserialize, Serialize};

/// An image as a container sees it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ContainerImage {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// The name it was asked for by.
    pub name: String,
    /// The execution parameters.
    pub config: Config,
    /// Its layers' EROFS blobs, lowest first.
    pub layers: Vec<PathBuf>,
}

impl ContainerImage {
    /// Picks what matters from an image.
    pub fn new(id: &str, name: &str, config: &ImageConfiguration, layers: Vec<PathBuf>) -> Self {
        let config = config.config().clone().unwrap_or_default();
        Self { id: id.to_owned(), name: name.to_owned(), config, layers }
    }
}
