//! Leases on images: a container's layers stay in the store as long as the container exists.

use stockade_image::{Config, Store};

use crate::state::Record;
use crate::{ContainerImage, Engine, StateError};

impl Engine {
    /// Keeps the image of a new container. One without layers has nothing to keep.
    pub(crate) fn lease(&self, record: &Record) -> Result<(), StateError> {
        if record.image.layers.is_empty() {
            return Ok(());
        }
        let store = self.store()?;
        let image = store.find(&record.image.id).map_err(|error| StateError::Lease(error.to_string()))?;
        store.lease(&image, &record.id).map_err(|error| StateError::Lease(error.to_string()))
    }

    /// Lets a removed container's image go.
    pub(crate) fn release_lease(&self, id: &str) -> Result<(), StateError> {
        // Without a store nothing is leased.
        if !self.directories.images().is_dir() {
            return Ok(());
        }
        self.store()?.release(id).map_err(|error| StateError::Lease(error.to_string()))
    }

    /// The store; how images are fetched does not matter here.
    fn store(&self) -> Result<Store, StateError> {
        Store::open(&self.directories.images(), Config::default()).map_err(|error| StateError::Lease(error.to_string()))
    }
}

impl ContainerImage {
    /// An image of the store under the name that it was asked for by.
    pub fn from_store(image: &stockade_image::Image, name: &str) -> Self {
        let layers = image.layers.iter().map(|layer| layer.blob.clone()).collect();
        Self::new(&image.id.to_string(), name, &image.config, layers)
    }
}
