//! One layer on its way into the store: bytes are counted, hashed and kept as they come, and a thread converts them at
//! the same time.
//!
//! Nothing gets its final name before every check has passed. Dropping an [`Ingest`] stops its thread and removes what
//! the thread wrote; the bytes as downloaded stay in `partial/` for the next attempt unless they are known to be wrong.

use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::thread::JoinHandle;

use bytes::{Buf, Bytes};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::disk::{Disk, LockedFile};
use super::error::{IoError, LayerError};
use super::record::{LayerLink, LayerRecord};
use crate::decode;
use crate::layer::{self, Converted};
use crate::{Config, Digest};

/// Chunks between the download and the conversion; bounds memory, as chunks have at most a few hundred KiB.
const CHUNKS_MAX: usize = 64;
const READ_BYTES: usize = 256 << 10;
/// How much more is received after the conversion failed, to tell bytes that are wrong from bytes that are not what the
/// digest says.
const DOUBTFUL_BYTES_MAX: u64 = 64 << 20;

/// What is known of a layer before it is here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected {
    /// Digest of the layer as downloaded.
    pub digest: Option<Digest>,
    /// Its length.
    pub bytes: Option<u64>,
    /// Digest of its tar stream.
    pub diff_id: Option<Digest>,
}

/// A layer being received.
pub struct Ingest {
    disk: Disk,
    received: LockedFile,
    expected: Expected,
    bytes_max: u64,
    hasher: Sha256,
    done: u64,
    replayed: u64,
    converter: Option<Converter>,
    failed: Option<LayerError>,
}

/// A layer that passed every check and has no final name yet.
pub struct Verified {
    disk: Disk,
    received: LockedFile,
    converted: Option<(LockedFile, LayerRecord)>,
    pub link: LayerLink,
}

/// Whether a layer is converted or only fetched, because its blob is here already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    Convert,
    Skip,
}

impl Ingest {
    /// Starts with an empty or partly filled file for the bytes as they come.
    pub fn begin(
        disk: &Disk,
        config: &Config,
        received: LockedFile,
        expected: Expected,
        conversion: Conversion,
    ) -> Result<Self, LayerError> {
        let converter = match conversion {
            Conversion::Convert => Some(Converter::start(disk, config)?),
            Conversion::Skip => None,
        };
        let bytes_max = expected.bytes.unwrap_or(config.limits.layer_bytes_max);
        if received.len()? > bytes_max {
            received.file().set_len(0).map_err(IoError::at("truncate", received.path()))?;
        }
        Ok(Self {
            disk: disk.clone(),
            received,
            expected,
            bytes_max,
            hasher: Sha256::new(),
            done: 0,
            replayed: 0,
            converter,
            failed: None,
        })
    }

    /// Bytes accepted so far.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Bytes that an earlier attempt left behind.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Whether the bytes so far have the digest that they should have in the end.
    pub fn is_right(&self) -> bool {
        let digest = Digest::finish(self.hasher.clone());
        self.expected.digest.is_none_or(|expected| expected == digest)
    }

    /// Gives the file back, empty.
    pub fn restart(self) -> Result<LockedFile, IoError> {
        self.received.file().set_len(0).map_err(IoError::at("truncate", self.received.path()))?;
        self.received.file().rewind().map_err(IoError::at("rewind", self.received.path()))?;
        Ok(self.received)
    }

    /// The next bytes that an earlier attempt left behind; `None` when all of them were taken.
    pub fn replay(&mut self) -> Result<Option<Bytes>, LayerError> {
        let mut chunk = Vec::with_capacity(READ_BYTES);
        let read = self.received.file().take(READ_BYTES as u64).read_to_end(&mut chunk);
        read.map_err(IoError::at("read", self.received.path()))?;
        self.hasher.update(&chunk);
        self.done += chunk.len() as u64;
        self.replayed = self.done;
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }

    /// Counts, hashes and keeps new bytes. Hand them to [`Ingest::forward`] or [`Ingest::forward_blocking`] next.
    pub fn accept(&mut self, chunk: &Bytes) -> Result<(), LayerError> {
        self.done += chunk.len() as u64;
        if self.done > self.bytes_max {
            let layer = self.name();
            self.reject();
            return Err(LayerError::TooLong { layer, expected: self.bytes_max });
        }
        self.hasher.update(chunk);
        let mut file = self.received.file();
        file.write_all(chunk).map_err(IoError::at("write", self.received.path()))?;
        Ok(())
    }

    /// Gives bytes to the conversion, waiting while it is behind. A conversion that has failed tells why.
    pub async fn forward(&mut self, chunk: Bytes) -> Result<(), LayerError> {
        let Some(converter) = &self.converter else { return Ok(()) };
        if converter.sender.as_ref().expect("open until verify").send(chunk).await.is_ok() {
            return Ok(());
        }
        self.conversion_failed()
    }

    /// As [`Ingest::forward`], outside an async runtime.
    pub fn forward_blocking(&mut self, chunk: Bytes) -> Result<(), LayerError> {
        let Some(converter) = &self.converter else { return Ok(()) };
        if converter.sender.as_ref().expect("open until verify").blocking_send(chunk).is_ok() {
            return Ok(());
        }
        self.conversion_failed()
    }

    /// Takes everything that `source` has, outside an async runtime, and reports how far it is.
    pub fn absorb(&mut self, mut source: impl Read, report: impl Fn(u64)) -> Result<(), LayerError> {
        loop {
            let mut chunk = Vec::with_capacity(READ_BYTES);
            source.by_ref().take(READ_BYTES as u64).read_to_end(&mut chunk).map_err(LayerError::Source)?;
            if chunk.is_empty() {
                return Ok(());
            }
            let chunk = Bytes::from(chunk);
            self.accept(&chunk)?;
            self.forward_blocking(chunk)?;
            report(self.done);
        }
    }

    /// Compares everything with what was expected, once all bytes are here and the conversion has ended.
    pub fn verify(mut self) -> Result<Verified, LayerError> {
        let checked = self.check();
        if checked.is_err() {
            self.reject();
        }
        let (digest, converted) = checked?;
        let diff_id = converted.as_ref().map(|(_, record)| record.diff_id).or(self.expected.diff_id);
        let link = LayerLink { diff_id: diff_id.expect("known or converted"), digest, bytes: self.done };
        Ok(Verified { disk: self.disk, received: self.received, converted, link })
    }

    fn check(&mut self) -> Result<(Digest, Option<(LockedFile, LayerRecord)>), LayerError> {
        let digest = self.check_received()?;
        self.failed.take().map_or(Ok(()), Err)?;
        let done = self.converter.take().map(Converter::finish).transpose().map_err(|error| error.of(&self.name()))?;
        Ok((digest, done.map(|done| self.check_converted(done)).transpose()?))
    }

    fn check_received(&mut self) -> Result<Digest, LayerError> {
        let found = Digest::finish(std::mem::take(&mut self.hasher));
        match self.expected {
            Expected { bytes: Some(expected), .. } if expected != self.done => {
                Err(LayerError::Short { layer: self.name(), expected, found: self.done })
            }
            Expected { digest: Some(expected), .. } if expected != found => Err(LayerError::Digest { expected, found }),
            _ => Ok(found),
        }
    }

    fn check_converted(&self, done: Done) -> Result<(LockedFile, LayerRecord), LayerError> {
        let diff_id = done.converted.diff_id.parse().map_err(|_| LayerError::ConverterGone)?;
        if let Some(expected) = self.expected.diff_id.filter(|expected| *expected != diff_id) {
            return Err(LayerError::DiffId { layer: self.name(), expected, found: diff_id });
        }
        let record = LayerRecord {
            diff_id,
            blob_digest: done.blob_digest,
            blob_bytes: done.blob_bytes,
            entries: done.converted.entries,
            boot: self.disk.boot(),
        };
        Ok((done.blob, record))
    }

    /// Keeps the error until the digest is known, unless that takes long.
    fn conversion_failed(&mut self) -> Result<(), LayerError> {
        let error = match self.converter.take().map(Converter::finish) {
            Some(Err(error)) => error.of(&self.name()),
            _ => LayerError::ConverterGone,
        };
        if self.bytes_max.saturating_sub(self.done) > DOUBTFUL_BYTES_MAX {
            self.reject();
            return Err(error);
        }
        self.failed = Some(error);
        Ok(())
    }

    /// The bytes are wrong: no later attempt may build on them.
    fn reject(&mut self) {
        self.received.remove_on_drop();
    }

    fn name(&self) -> String {
        let digest = self.expected.digest.or(self.expected.diff_id);
        digest.map_or_else(|| "of the import".into(), |digest| digest.to_string())
    }
}

impl Verified {
    /// Gives the blobs their final names. The caller protects them by a hold.
    pub fn commit(self, config: &Config) -> Result<LayerLink, IoError> {
        if let Some((blob, record)) = self.converted {
            self.disk.persist(blob, &self.disk.layer_blob(&self.link.diff_id))?;
            self.disk.write_record(&self.disk.layer_record(&self.link.diff_id), &record)?;
        }
        if config.keep_compressed {
            self.disk.persist(self.received, &self.disk.blob(&self.link.digest))?;
        } else {
            self.received.discard();
        }
        Ok(self.link)
    }
}

/// The thread that decompresses and converts.
struct Converter {
    sender: Option<mpsc::Sender<Bytes>>,
    thread: Option<JoinHandle<Result<Done, LayerError>>>,
}

struct Done {
    blob: LockedFile,
    blob_digest: Digest,
    blob_bytes: u64,
    converted: Converted,
}

impl Converter {
    fn start(disk: &Disk, config: &Config) -> Result<Self, IoError> {
        let blob = disk.temp_file("")?;
        let limits = config.limits.layer.clone();
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        let work = move || convert(ChannelReader { receiver, chunk: Bytes::new() }, blob, &limits);
        let thread = std::thread::Builder::new().name("layer".into()).spawn(work);
        let thread = thread.map_err(IoError::at("start a thread for", disk.dir()))?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    fn finish(mut self) -> Result<Done, LayerError> {
        self.sender = None;
        let thread = self.thread.take().expect("taken only here and on drop");
        thread.join().unwrap_or(Err(LayerError::ConverterGone))
    }
}

impl Drop for Converter {
    fn drop(&mut self) {
        self.sender = None;
        // Its temporary file must be gone when the pull returns.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn convert(compressed: ChannelReader, blob: LockedFile, limits: &layer::Limits) -> Result<Done, LayerError> {
    let tar = decode::decoder(compressed).map_err(|source| LayerError::Decode { layer: String::new(), source })?;
    let converted = layer::convert(tar, blob.file(), limits);
    let converted = converted.map_err(|source| LayerError::Convert { layer: String::new(), source })?;
    let blob_bytes = blob.len()?;
    let blob_digest = hash(&blob)?;
    Ok(Done { blob, blob_digest, blob_bytes, converted })
}

fn hash(blob: &LockedFile) -> Result<Digest, IoError> {
    let mut file = blob.file();
    file.seek(SeekFrom::Start(0)).map_err(IoError::at("rewind", blob.path()))?;
    hash_reader(file).map_err(IoError::at("read", blob.path()))
}

/// The digest of everything that `source` has.
pub fn hash_reader(mut source: impl Read) -> io::Result<Digest> {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; READ_BYTES]);
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(Digest::finish(hasher)),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The receiving end of the channel as a reader without copies.
struct ChannelReader {
    receiver: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl BufRead for ChannelReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => break,
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, count: usize) {
        self.chunk.advance(count);
    }
}

impl Read for ChannelReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
