//! The layout of a store's directory, and the two ways to write to it: a locked temporary file that is renamed, and a
//! small record replaced atomically.
//!
//! ```text
//! lock              shared: take part; exclusive: commit an image, collect garbage. Held for milliseconds (longer for
//!                   the first lease after a boot), never across I/O with a peer.
//! blobs/sha256/HEX  manifests, configurations and layers as downloaded
//! layers/HEX.vN.*   by diff id and converter version: the EROFS blob, and its record
//! images/HEX.json   by configuration digest: which manifests and layers
//! references/*.json one name each, by the hash of the name
//! leases/*.json     one holder each
//! partial/HEX       a layer on its way, flock-held by whoever downloads it; outlives a kill and is resumed
//! tmp/              files being written and the holds of pulls under way, each flock-held: one that is not held is
//!                   dead
//! ```
//!
//! Lock order: `lock`, then a file in `partial/` or `tmp/` without waiting. A download waits for `partial/HEX` while it
//! holds nothing else.
//!
//! Durability: a store is a cache of what registries have, so by default nothing waits for the disk (measured here:
//! flushing takes longer than pulling). What a power cut can do is made harmless instead: a damaged record counts as
//! absent, a resumed download is hashed from its first byte, and a layer's record names the boot it was written in; in
//! any later boot the layer is compared with its digest before its first use. `flush = true` in the configuration
//! flushes each file before it gets its name, and then nothing is compared.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::IoError;
use crate::layer::CONVERTER_VERSION;
use crate::{Digest, Reference};

/// The extension of a pull's hold.
pub const HOLD: &str = "hold";
/// No record of ours is longer; a longer file is damage.
const RECORD_BYTES_MAX: u64 = 16 << 20;

/// The directory of a store.
#[derive(Debug, Clone)]
pub struct Disk {
    dir: PathBuf,
    flush: Flush,
}

/// Whether files reach the disk before they get their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    Lazy,
    BeforeNaming,
}

/// The store's lock, given back on drop.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

const LAST_PART: &str = "tmp";

impl Disk {
    /// Makes what is missing of the layout.
    pub fn open(dir: &Path, flush: Flush) -> Result<Self, IoError> {
        let disk = Self { dir: std::path::absolute(dir).map_err(IoError::at("resolve", dir))?, flush };
        // They are made in order: whoever finds the last finds all.
        if disk.part(LAST_PART).is_dir() {
            return Ok(disk);
        }
        for part in ["", "blobs/sha256", "layers", "images", "references", "leases", "partial", LAST_PART] {
            let path = disk.dir.join(part);
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(IoError::at("create directory", &path))?;
        }
        Ok(disk)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn part(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.dir.join("blobs/sha256").join(digest.hex())
    }

    pub fn layer_blob(&self, diff_id: &Digest) -> PathBuf {
        self.dir.join("layers").join(format!("{}.erofs", layer_key(diff_id)))
    }

    pub fn layer_record(&self, diff_id: &Digest) -> PathBuf {
        self.dir.join("layers").join(format!("{}.json", layer_key(diff_id)))
    }

    pub fn image_record(&self, id: &Digest) -> PathBuf {
        self.dir.join("images").join(format!("{}.json", id.hex()))
    }

    pub fn reference(&self, name: &Reference) -> PathBuf {
        let hash = Digest::of(name.to_string().as_bytes());
        self.dir.join("references").join(format!("{}.json", hash.hex()))
    }

    /// `holder` must have been checked.
    pub fn lease(&self, holder: &str) -> PathBuf {
        self.dir.join("leases").join(format!("{holder}.json"))
    }

    pub fn partial(&self, digest: &Digest) -> PathBuf {
        self.dir.join("partial").join(digest.hex())
    }

    /// Taken by who reads several records that belong together, or adds what a collector must see.
    pub fn lock_shared(&self) -> Result<StoreLock, IoError> {
        self.lock(FlockOperation::LockShared)
    }

    /// Taken by who commits an image or collects garbage.
    pub fn lock_exclusive(&self) -> Result<StoreLock, IoError> {
        self.lock(FlockOperation::LockExclusive)
    }

    fn lock(&self, operation: FlockOperation) -> Result<StoreLock, IoError> {
        let path = self.dir.join("lock");
        let file = open_rw(&path).map_err(IoError::at("open", &path))?;
        retry_interrupted(|| flock(&file, operation)).map_err(IoError::at("lock", &path))?;
        Ok(StoreLock { _file: file })
    }

    /// A new file in `tmp/`, removed on drop unless persisted.
    pub fn temp_file(&self, suffix: &str) -> Result<LockedFile, IoError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let now = jiff::Timestamp::now().as_nanosecond();
            let path = self.dir.join("tmp").join(format!("{}-{count}-{now}{suffix}", std::process::id()));
            if let Some(mut file) = LockedFile::try_acquire(&path)? {
                file.remove_on_drop = true;
                return Ok(file);
            }
        }
    }

    /// Replaces a record.
    pub fn write_record<T: Serialize>(&self, path: &Path, record: &T) -> Result<(), IoError> {
        let json = serde_json::to_vec(record).map_err(IoError::at("encode", path))?;
        self.write_file(path, &json)
    }

    /// Replaces a small file.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), IoError> {
        let temp = self.temp_file("")?;
        let mut file = temp.file();
        file.write_all(bytes).map_err(IoError::at("write", temp.path()))?;
        self.persist(temp, path)
    }

    /// Gives a file its final name.
    pub fn persist(&self, mut temp: LockedFile, to: &Path) -> Result<(), IoError> {
        if self.flush == Flush::BeforeNaming {
            temp.file.sync_data().map_err(IoError::at("flush", &temp.path))?;
        }
        fs::rename(&temp.path, to).map_err(IoError::at("rename to", to))?;
        temp.remove_on_drop = false;
        Ok(())
    }

    /// What a new layer record says about its boot: nothing if its blob is on the disk.
    pub fn boot(&self) -> Option<String> {
        (self.flush == Flush::Lazy).then(boot_id)
    }
}

/// Changes with every boot. See `random(4)`.
pub fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    // Without procfs every layer is compared whenever it is used.
    id.map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// What a layer is filed under: a converter with other output has another version, and then layers are converted again.
pub fn layer_key(diff_id: &Digest) -> String {
    format!("{}.v{CONVERTER_VERSION}", diff_id.hex())
}

/// Reads a record; `None` where there is none or it is damaged, which a crash of the machine can bring about.
pub fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, IoError> {
    let Some(bytes) = read_bounded(path, RECORD_BYTES_MAX)? else { return Ok(None) };
    match serde_json::from_slice(&bytes) {
        Ok(record) => Ok(Some(record)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "ignoring a damaged record");
            Ok(None)
        }
    }
}

/// All readable records of a directory with their paths.
pub fn read_records<T: DeserializeOwned>(dir: &Path) -> Result<Vec<(PathBuf, T)>, IoError> {
    let mut records = Vec::new();
    for path in entries(dir)? {
        records.extend(read_record(&path)?.map(|record| (path, record)));
    }
    Ok(records)
}

/// The paths in a directory, sorted.
pub fn entries(dir: &Path) -> Result<Vec<PathBuf>, IoError> {
    let read = || fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = read().map_err(IoError::at("list", dir))?;
    paths.sort();
    Ok(paths)
}

/// Reads a whole file; `None` if it is not there. A longer one than `max` is cut, which no digest or parser survives.
pub fn read_bounded(path: &Path, max: u64) -> Result<Option<Vec<u8>>, IoError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(IoError::at("open", path))?,
    };
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).map_err(IoError::at("read", path))?;
    Ok(Some(bytes))
}

/// Removes a file; returns the bytes it held, zero if it was not there.
pub fn remove(path: &Path) -> Result<u64, IoError> {
    let bytes = fs::symlink_metadata(path).map_or(0, |meta| meta.blocks() * 512);
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        other => other.map(|()| bytes).map_err(IoError::at("remove", path)),
    }
}

/// A file with an exclusive flock, which tells everyone that its owner lives.
#[derive(Debug)]
pub struct LockedFile {
    file: File,
    path: PathBuf,
    remove_on_drop: bool,
}

impl LockedFile {
    /// Opens or makes `path` and locks it; `None` if someone else has the lock.
    ///
    /// The file may be unlinked or renamed by its last owner between open and lock; then the lock is on a file without
    /// that name, and this tries again.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>, IoError> {
        loop {
            let file = open_rw(path).map_err(IoError::at("open", path))?;
            match retry_interrupted(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                other => other.map_err(IoError::at("lock", path))?,
            }
            if is_named(&file, path).map_err(IoError::at("inspect", path))? {
                return Ok(Some(Self { file, path: path.into(), remove_on_drop: false }));
            }
        }
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn len(&self) -> Result<u64, IoError> {
        Ok(self.file.metadata().map_err(IoError::at("inspect", &self.path))?.len())
    }

    /// Removes the file and gives the lock back.
    pub fn discard(mut self) {
        self.remove_on_drop();
    }

    /// Removes the file when the lock is given back.
    pub fn remove_on_drop(&mut self) {
        self.remove_on_drop = true;
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        if self.remove_on_drop {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open_rw(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn retry_interrupted(mut call: impl FnMut() -> rustix::io::Result<()>) -> io::Result<()> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}
