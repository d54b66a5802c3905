//! What a pull, a load or an import tells its caller while it works. No terminal code here.

use std::time::Duration;

use crate::{Digest, Reference};

/// Receives events from several threads at once; returns quickly.
pub trait Progress: Sync {
    /// Something happened.
    fn report(&self, event: &Event<'_>);
}

/// A step of a pull.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// The name led to this manifest or index.
    Resolved {
        /// The name asked for.
        name: &'a Reference,
        /// What it names now.
        digest: Digest,
    },
    /// The image's layers, bottom first; all further layer events name one of these by its digest.
    Layers(&'a [LayerSize]),
    /// One layer moved on.
    Layer {
        /// The digest of the layer as it is downloaded.
        digest: Digest,
        /// What it does now.
        phase: Phase<'a>,
    },
}

/// A layer before it is fetched.
#[derive(Debug, Clone, Copy)]
pub struct LayerSize {
    /// The digest of the layer as it is downloaded.
    pub digest: Digest,
    /// Bytes to download.
    pub bytes: u64,
}

/// The phases of a layer.
#[derive(Debug, Clone)]
pub enum Phase<'a> {
    /// Another pull works on this layer; this one waits for its result.
    Waiting,
    /// Bytes arrive and are converted as they do.
    Downloading {
        /// Bytes so far, those of an earlier, cut download included.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The connection broke; the download goes on from where it stopped.
    Retrying {
        /// Counted from 1.
        attempt: u32,
        /// The pause before it.
        delay: Duration,
        /// What went wrong.
        reason: &'a str,
    },
    /// All bytes are here and the conversion has not finished yet.
    Converting,
    /// The store has the layer already.
    Exists,
    /// The layer is in the store.
    Done,
}

/// Reports nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn report(&self, _: &Event<'_>) {}
}
