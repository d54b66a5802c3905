//! Whole-file reads and atomic writes.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StateError;

/// Whether a write must survive a crash of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// fsync(2) before the rename.
    Durable,
    /// Atomic for other processes; a host crash may lose it, as it ends the container anyway.
    Volatile,
}

/// Replaces a file in one step: readers see the old content or the new.
pub(crate) fn write_atomic(path: &Path, content: &[u8], durability: Durability) -> Result<(), StateError> {
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        match durability {
            Durability::Durable => file.sync_all().and_then(|()| fs::rename(&temporary, path)),
            Durability::Volatile => put_in_place(&temporary, path),
        }
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        StateError::io("write", path)(error)
    })
}

/// Puts a file where another one may be. They are exchanged: what replaces a file by rename(2) goes to the disk at once
/// on ext4 (ext4(5), auto_da_alloc), and whoever removes it soon waits for that.
fn put_in_place(temporary: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, temporary, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => fs::remove_file(temporary),
        // The first one, or a file system that cannot exchange.
        Err(_) => fs::rename(temporary, path),
    }
}

/// Replaces a file by a JSON document.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T, durability: Durability) -> Result<(), StateError> {
    let text = serde_json::to_vec(value)
        .map_err(|error| StateError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
    write_atomic(path, &text, durability)
}

/// Reads a JSON document; `None` when there is no file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(StateError::io("read", path)(error)),
    };
    let value = serde_json::from_slice(&text);
    value.map(Some).map_err(|error| StateError::Damaged { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_leaves_nothing_beside_it() {
        for durability in [Durability::Durable, Durability::Volatile] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("state.json");
            for text in ["first and longer", "second", "third"] {
                write_atomic(&path, text.as_bytes(), durability).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
                assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{text}");
            }
        }
    }
}
