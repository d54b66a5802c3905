//! Reads an image from a file.

use std::{fs::File, io, os::unix::fs::FileExt};

use stockade_erofs::{Source, SourceError};

/// A file, or a block device, that holds an EROFS image.
#[derive(Debug)]
pub struct FileSource(pub File);

impl Source for FileSource {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.0.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SourceError::End(offset.saturating_add(super::to_u64(buffer.len()))),
            _ => SourceError::Medium(error.into()),
        })
    }
}
