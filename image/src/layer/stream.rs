//! The tar stream: buffered, counted, hashed as it is read.

use std::io::{ErrorKind, Read};

use sha2::{Digest, Sha256};

use super::{ConvertError, TarError, to_u64};

const BUFFER_BYTES: usize = 1 << 20;
pub(super) const BLOCK_BYTES: usize = 512;

/// Every byte of the stream goes through here.
pub(super) struct Stream<R> {
    inner: R,
    hasher: Sha256,
    buffer: Box<[u8]>,
    /// What of the buffer is not consumed yet.
    unread: std::ops::Range<usize>,
    /// Bytes consumed.
    offset: u64,
    bytes_max: u64,
}

impl<R: Read> Stream<R> {
    pub(super) fn new(inner: R, bytes_max: u64) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { inner, hasher: Sha256::new(), buffer, unread: 0..0, offset: 0, bytes_max }
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
        while count > 0 && !self.fill()?.is_empty() {
            let now = self.unread.len().min(usize::try_from(count).unwrap_or(usize::MAX));
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
                0 => return Ok((self.hasher.finalize().into(), self.offset)),
                bytes => self.consume(bytes),
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.unread.start += bytes;
        self.offset += to_u64(bytes);
    }

    /// What is buffered; empty only at the end of the stream.
    fn fill(&mut self) -> Result<&[u8], ConvertError> {
        if self.unread.is_empty() {
            let bytes = self.refill()?;
            self.unread = 0..bytes;
            self.hasher.update(&self.buffer[..bytes]);
            if self.offset + to_u64(bytes) > self.bytes_max {
                return Err(ConvertError::Limit { limit: "unpacked_bytes_max", max: self.bytes_max });
            }
        }
        Ok(&self.buffer[self.unread.clone()])
    }

    fn refill(&mut self) -> Result<usize, ConvertError> {
        let mut filled = 0;
        while filled < self.buffer.len() {
            match self.inner.read(&mut self.buffer[filled..]) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(ConvertError::Read { offset: self.offset + to_u64(filled), source }),
            }
        }
        Ok(filled)
    }
}
