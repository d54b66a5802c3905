//! Images: references, the registry client, the store on disk, archives, and the conversion of layers to EROFS.
//!
//! Everything here is synchronous from outside; a single-threaded tokio runtime starts inside [`Store::pull`] once the
//! network is needed. Every byte from a registry or an archive is hostile: parsed under limits, checked against its
//! digest, and visible under its final name only after that.

#![forbid(unsafe_code)]

mod archive;
mod change;
mod config;
mod decode;
mod digest;
mod image;
mod input;
pub mod layer;
mod manifest;
mod platform;
mod progress;
mod reference;
mod registry;
mod store;

pub use archive::LoadSource;
pub use change::ConfigChangeError;
pub use config::{Config, Limits, RegistryConfig};
pub use digest::{Digest, DigestError};
pub use image::{ConfigChange, HistoryEntry, Image, Layer};
pub use input::Input;
pub use manifest::ManifestError;
pub use platform::{Platform, PlatformError};
pub use progress::{Event, LayerSize, NoProgress, Phase, Progress};
pub use reference::{Reference, ReferenceError};
pub use registry::{CredentialError, RegistryError};
pub use store::{
    FindError, ImportError, ImportOptions, IoError, LayerError, LeaseError, LoadError, Loaded, OpenError, PruneError,
    PruneScope, Pruned, PullError, PullOptions, RemoveError, RemoveMode, Removed, SaveError, Store,
};
