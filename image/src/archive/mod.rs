//! Archives and layouts of images, read without unpacking them. Nothing here knows the store.

mod docker;
mod index;
mod oci;
mod source;

pub use docker::DockerImage;
pub use oci::{LayoutError, NAME_ANNOTATION, OciImage, TAG_ANNOTATION, blob, blob_path, images};
pub use source::{Files, Kind, LoadSource};
