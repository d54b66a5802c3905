//! A directory of the host as a tar stream.
//!
//! Files are opened relative to their directory's descriptor and never through a symbolic link, so that a directory
//! which changes meanwhile cannot lead out of itself. Names are sorted: the same tree gives the same tar.

mod entry;
mod header;
mod pipe;
mod walk;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

pub(super) use pipe::pipe;

/// Why a directory could not be archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The tar could not be written.
    #[error("cannot write the tar")]
    Output(#[source] io::Error),
    /// A file could not be read.
    #[error("cannot read {path:?}")]
    Input {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// A file shrank, or became another.
    #[error("{0:?} changed while it was read")]
    Changed(PathBuf),
    /// A file name that means a whiteout in a layer.
    #[error("{0:?} cannot be in a layer: names that begin with '.wh.' mean deletions there")]
    WhiteoutName(PathBuf),
}

/// Writes a tar of `directory` and everything below it to `out`: pax, with nanoseconds, xattrs, hard links and holes.
/// Sockets are left out, as by every tar.
pub fn archive_directory(directory: &Path, out: impl Write) -> Result<(), ArchiveError> {
    walk::walk(directory, io::BufWriter::with_capacity(1 << 18, out))
}
