//! The tar stream: buffered, counted, hashed as it is read.

use std::{
    io::{self, Read},
    sync::Arc,
};

use super::{ConvertError, TarError, hash::Hasher, to_u64};

const CHUNK_BYTES: u64 = 1 << 20;
pub(super) const BLOCK_BYTES: usize = 512;

/// Every byte of the stream goes through here.
pub(super) struct Stream<R> {
    inner: R,
    hasher: Hasher,
    chunk: Arc<Vec<u8>>,
    /// How much of the chunk is consumed.
    consumed: usize,
    /// Bytes consumed.
    offset: u64,
    bytes_max: u64,
}

impl<R: Read> Stream<R> {
    pub(super) fn new(inner: R, bytes_max: u64) -> io::Result<Self> {
        Ok(Self { inner, hasher: Hasher::start()?, chunk: Arc::default(), consumed: 0, offset: 0, bytes_max })
    }

    /// Bytes consumed so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn malformed(&self, source: TarError) -> ConvertError {
        ConvertError::Tar { offset: self.offset, source }
    }

    /// The next header block; `None` at the end of the stream.
    pub(super) fn block(&mut self) -> Result<Option<[u8; BLOCK_BYTES]>, ConvertError> {
        if self.fill()?.is_empty() {
            return Ok(None);
        }
        let mut block = [0; BLOCK_BYTES];
        let mut filled = 0;
        self.take(to_u64(BLOCK_BYTES), |bytes| {
            block[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
            Ok(())
        })?;
        Ok(Some(block))
    }

    /// Hands the next `count` bytes to `sink`, in pieces.
    pub(super) fn take(
        &mut self,
        mut count: u64,
        mut sink: impl FnMut(&[u8]) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        while count > 0 {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                return Err(ConvertError::Truncated { offset: self.offset });
            }
            let now = bytes.len().min(usize::try_from(count).unwrap_or(usize::MAX));
            sink(&bytes[..now])?;
            self.consume(now);
            count -= to_u64(now);
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, count: u64) -> Result<(), ConvertError> {
        self.take(count, |_| Ok(()))
    }

    /// Skips `count` bytes, fewer at the end of the stream.
    pub(super) fn skip_padding(&mut self, mut count: u64) -> Result<(), ConvertError> {
        while count > 0 {
            let now = self.fill()?.len().min(usize::try_from(count).unwrap_or(usize::MAX));
            if now == 0 {
                break;
            }
            self.consume(now);
            count -= to_u64(now);
        }
        Ok(())
    }

    /// The next `count` bytes at once; the caller bounds `count`.
    pub(super) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, ConvertError> {
        let mut all = Vec::new();
        self.take(count, |bytes| {
            all.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(all)
    }

    /// Reads to the end of the stream; returns its SHA-256 and length.
    pub(super) fn finish(mut self) -> Result<([u8; 32], u64), ConvertError> {
        loop {
            match self.fill()?.len() {
                0 => return Ok((self.hasher.finish(), self.offset)),
                bytes => self.consume(bytes),
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.consumed += bytes;
        self.offset += to_u64(bytes);
    }

    /// What is buffered; empty only at the end of the stream.
    fn fill(&mut self) -> Result<&[u8], ConvertError> {
        if self.consumed == self.chunk.len() {
            let mut buffer = self.hasher.buffer();
            let read = self.inner.by_ref().take(CHUNK_BYTES).read_to_end(&mut buffer);
            read.map_err(|source| ConvertError::Read { offset: self.offset, source })?;
            if self.offset + to_u64(buffer.len()) > self.bytes_max {
                return Err(ConvertError::Limit { limit: "unpacked_bytes_max", max: self.bytes_max });
            }
            self.chunk = self.hasher.update(buffer);
            self.consumed = 0;
        }
        Ok(&self.chunk[self.consumed..])
    }
}
