//! Where an image's bytes come from.

use alloc::{boxed::Box, vec::Vec};

/// Random access to an image's bytes: a file, a mapping, a block device.
pub trait Source {
    /// Fills `buffer` with the bytes from `offset` on, or fails.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError>;
}

/// Why bytes of an image could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The image ends before the bytes asked for.
    #[error("the image ends before byte {0}")]
    End(u64),
    /// The medium failed.
    #[error("reading the image failed")]
    Medium(#[source] Box<dyn core::error::Error + Send + Sync>),
}

impl Source for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let end = offset.saturating_add(u64::try_from(buffer.len()).unwrap_or(u64::MAX));
        let start = usize::try_from(offset).ok();
        let bytes = start.and_then(|start| self.get(start..)?.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(SourceError::End(end))?);
        Ok(())
    }
}

impl Source for Vec<u8> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.as_slice().read_at(offset, buffer)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        (**self).read_at(offset, buffer)
    }
}
