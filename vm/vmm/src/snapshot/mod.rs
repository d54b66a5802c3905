//! Snapshots: a paused machine in two files, from which any number of machines go on.
//!
//! The *state* file ([`mod@format`]) has all but memory: processors, interrupt controllers, clock, devices and the
//! configuration. The *memory* file ([`mod@memory`]) is the guest's memory as it is, page after page, with holes where
//! there is nothing; a machine maps it privately and reads from it what it touches. Disks are not part of it.
//!
//! Both are written aside and renamed when they are complete ([`pending`]), memory first. A tag in either says that
//! they belong together. Nothing that is read from them is trusted: a file that was cut, changed, or made by another
//! version or on another processor is refused with its reason.

pub mod format;
pub mod memory;
pub mod pending;
mod state;
pub mod tag;
#[cfg(any(test, feature = "testing"))]
mod trial;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use self::format::{FormatError, VERSION, Version};
use self::memory::Content;
use self::pending::Pending;
pub(crate) use self::state::Parts;
pub use self::state::{SavedDevice, State};
use crate::config::{CreateSnapshot, SnapshotType, VmConfig};
use crate::machine::{Machine, SaveError};

/// No state file is longer: 255 processors have 10 MiB of it.
const STATE_MAX: u64 = 32 << 20;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The machine cannot be saved.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// One file for both.
    #[error("state and memory of a snapshot cannot be the same file")]
    SameFile,
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot read the snapshot {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no snapshot that can be used.
    #[error("{path} cannot be loaded")]
    Format {
        /// Which.
        path: PathBuf,
        /// Why.
        source: FormatError,
    },
}

/// Saves a paused machine. On failure the files are as they were.
pub fn create(machine: &Machine, config: &VmConfig, request: &CreateSnapshot) -> Result<(), CreateError> {
    if request.snapshot_path == request.mem_file_path {
        return Err(CreateError::SameFile);
    }
    let memory_file = Pending::create(&request.mem_file_path).map_err(write_error(&request.mem_file_path))?;
    let state_file = Pending::create(&request.snapshot_path).map_err(write_error(&request.snapshot_path))?;
    let content = match request.snapshot_type {
        SnapshotType::Full => Content::Full,
        SnapshotType::Diff => {
            base(machine, &request.mem_file_path, memory_file.file()).map_err(write_error(&request.mem_file_path))?
        }
    };
    machine.save(config, content, state_file.file(), memory_file.file())?;
    let files = [(memory_file, &request.mem_file_path), (state_file, &request.snapshot_path)];
    for (file, path) in &files {
        file.sync().map_err(write_error(path))?;
    }
    for (file, path) in files {
        file.finish().map_err(write_error(path))?;
    }
    machine.saved();
    Ok(())
}

/// What a diff is written over: a copy of the memory that is there already, if it is of this machine's size.
fn base(machine: &Machine, path: &Path, copy: &File) -> io::Result<Content> {
    let len = memory::len(machine.memory());
    match File::open(path) {
        Ok(base) if base.metadata()?.len() == len => {
            memory::copy(&base, copy)?;
            Ok(Content::Changes)
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(Content::Changes),
    }
}

/// Reads a state file.
pub fn read(path: &Path) -> Result<State, ReadError> {
    let bytes = read_bytes(path)?;
    State::decode(&bytes).map_err(|source| ReadError::Format { path: path.into(), source })
}

/// The version of a state file's format, which may be another than ours.
pub fn version_of(path: &Path) -> Result<Version, ReadError> {
    let bytes = read_bytes(path)?;
    format::version_of(&bytes).map_err(|source| ReadError::Format { path: path.into(), source })
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(STATE_MAX).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|source| ReadError::Read { path: path.into(), source })
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> CreateError {
    move |source| CreateError::Write { path: path.into(), source }
}
