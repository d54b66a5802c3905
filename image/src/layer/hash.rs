//! SHA-256 beside the conversion: on a thread of its own, as it would take about as long as all the rest.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use sha2::{Digest, Sha256};

/// Chunks that wait for the thread.
const QUEUED: usize = 2;
/// Those that wait, the one being hashed, the one being read, and one that is surely done with.
const BUFFERS: usize = QUEUED + 3;

type Chunk = Arc<Vec<u8>>;

/// Hashes the chunks it is given, in order.
pub(super) struct Hasher {
    chunks: Option<SyncSender<Chunk>>,
    thread: Option<JoinHandle<[u8; 32]>>,
    /// Chunks given, the oldest first, to be used again.
    given: VecDeque<Chunk>,
}

impl Hasher {
    pub(super) fn start() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUED);
        let thread = thread::Builder::new().name("layer-hash".into()).spawn(move || hash(&receiver))?;
        Ok(Self { chunks: Some(sender), thread: Some(thread), given: VecDeque::with_capacity(BUFFERS) })
    }

    /// An empty buffer: an old chunk's, once the thread is done with it.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        let oldest = if self.given.len() < BUFFERS { None } else { self.given.pop_front() };
        let mut buffer = oldest.and_then(|chunk| Arc::try_unwrap(chunk).ok()).unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Hashes a chunk; the caller reads it meanwhile.
    pub(super) fn update(&mut self, chunk: Vec<u8>) -> Chunk {
        let chunk = Arc::new(chunk);
        if let Some(chunks) = &self.chunks {
            // The thread only ends when the sender is dropped; a panic of it shows in finish().
            let _ = chunks.send(Arc::clone(&chunk));
        }
        self.given.push_back(Arc::clone(&chunk));
        chunk
    }

    /// The hash of all chunks.
    pub(super) fn finish(mut self) -> [u8; 32] {
        match self.stop() {
            Some(Ok(digest)) => digest,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => unreachable!("finish() consumes the hasher"),
        }
    }

    fn stop(&mut self) -> Option<thread::Result<[u8; 32]>> {
        self.chunks = None;
        self.thread.take().map(JoinHandle::join)
    }
}

/// No thread outlives the conversion: its caller may fork.
impl Drop for Hasher {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

fn hash(chunks: &Receiver<Chunk>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    chunks.iter().for_each(|chunk| hasher.update(chunk.as_slice()));
    hasher.finalize().into()
}
