//! Snapshots: a paused machine in two files, from which any number of machines go on.
//!
//! The *state* file ([`mod@format`]) has all but memory: processors, clock, I/O APIC, devices and the
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
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use self::format::{FormatError, VERSION, Version};
use self::memory::Content;
use self::pending::Pending;
pub(crate) use self::state::Parts;
pub use self::state::{SavedDevice, State};
use self::tag::Tag;
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
    /// What a diff would go over is not what it is a diff to.
    #[error("{path} is not the memory of this machine's last snapshot, over which a diff could be written")]
    Base {
        /// Which.
        path: PathBuf,
    },
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
    if is_same(&request.snapshot_path, &request.mem_file_path) {
        return Err(CreateError::SameFile);
    }
    let memory_file = Pending::create(&request.mem_file_path).map_err(write_error(&request.mem_file_path))?;
    let state_file = Pending::create(&request.snapshot_path).map_err(write_error(&request.snapshot_path))?;
    let content = match request.snapshot_type {
        SnapshotType::Full => Content::Full,
        SnapshotType::Diff => Content::Changes,
    };
    // Without a log a diff has every page.
    if content == Content::Changes && config.machine().track_dirty_pages {
        let len = memory::len(machine.memory());
        copy_base(machine.base(), len, &request.mem_file_path, memory_file.file())?;
    }
    let tag = machine.save(config, content, state_file.file(), memory_file.file())?;
    let files = [(memory_file, &request.mem_file_path), (state_file, &request.snapshot_path)];
    for (file, path) in &files {
        file.sync().map_err(write_error(path))?;
    }
    for (file, path) in files {
        file.finish().map_err(write_error(path))?;
    }
    machine.saved(tag);
    Ok(())
}

/// Whether two paths lead to the same place of the same directory, where one file would replace the other.
fn is_same(one: &Path, other: &Path) -> bool {
    let directory = |path: &Path| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        parent.metadata().map(|found| (found.dev(), found.ino())).ok()
    };
    one == other
        || one.file_name() == other.file_name() && directory(one).is_some_and(|it| Some(it) == directory(other))
}

/// What a diff is written over: a copy of the memory that is there already, if it has this length. It must be that of
/// the snapshot that the diff is one to.
fn copy_base(wanted: Option<Tag>, len: u64, path: &Path, copy: &File) -> Result<(), CreateError> {
    let base = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(write_error(path))?,
    };
    if base.metadata().map_err(write_error(path))?.len() != len {
        return Ok(());
    }
    match Tag::of_file(&base).map_err(write_error(path))? {
        Some(found) if Some(found) != wanted => Err(CreateError::Base { path: path.into() }),
        _ => memory::copy(&base, copy).map_err(write_error(path)),
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
    let read = || {
        let file = File::open(path)?;
        // The length is a guess that spares many short reads; what is read counts.
        let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len().min(STATE_MAX)).unwrap_or(0));
        file.take(STATE_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| ReadError::Read { path: path.into(), source })
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> CreateError {
    move |source| CreateError::Write { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::DirtyLog;
    use crate::memory::anonymous;

    #[test]
    fn one_file_by_two_paths_is_found() {
        let directory = tempfile::tempdir().expect("directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("sub")).expect("create a directory");
        std::os::unix::fs::symlink("sub", path("link")).expect("make a link");
        let same = |one: &str, other: &str| is_same(&path(one), &path(other));
        assert!(same("m", "m") && same("m", "./m") && same("m", "sub/../m") && same("sub/m", "link/m"));
        assert!(!same("m", "n") && !same("m", "sub/m") && !same("none/m", "other/m"));
        assert!(is_same(Path::new("m"), Path::new("./m")) && !is_same(Path::new("m"), Path::new("../m")));
    }

    #[test]
    fn a_diff_goes_over_its_own_base_alone() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("memory");
        let memory = anonymous(1, DirtyLog::Off).expect("memory");
        let len = memory::len(&memory);
        let copy = |wanted| copy_base(wanted, len, &path, &tempfile::tempfile().expect("file"));
        copy(None).expect("no base: the diff stands alone");
        let tag = Tag::put(&memory).expect("random bytes");
        memory::write(&memory, Content::Full, &File::create(&path).expect("create")).expect("write");
        copy(Some(tag)).expect("its base");
        let other = Tag::put(&memory).expect("random bytes");
        for wanted in [None, Some(other)] {
            assert!(matches!(copy(wanted), Err(CreateError::Base { .. })));
        }
        File::create(&path).and_then(|file| file.set_len(len)).expect("create");
        copy(Some(tag)).expect("an empty file holds no snapshot");
    }
}
