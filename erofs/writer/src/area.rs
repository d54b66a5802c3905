//! The output as a growing run of blocks.

use std::io::{Seek, SeekFrom, Write};

use stockade_erofs::format::{BLOCK_BITS, BLOCK_BYTES};

use crate::{WriteError, to_u64};

const BUFFER_BYTES: usize = 1 << 20;
/// Fewer zeros than this are cheaper to write than to seek over.
const HOLE_BYTES: u64 = 1 << 16;
const BLOCK: u64 = BLOCK_BYTES as u64;
static ZEROS: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];

/// Buffers what is appended; long runs of zeros become holes of the output.
#[derive(Debug)]
pub(crate) struct Area<W> {
    out: W,
    buffer: Vec<u8>,
    /// Where the buffer's first byte goes.
    flushed: u64,
}

impl<W: Write + Seek> Area<W> {
    /// Begins behind the superblock's block.
    pub(crate) fn new(mut out: W) -> Result<Self, WriteError> {
        out.seek(SeekFrom::Start(BLOCK))?;
        Ok(Self { out, buffer: Vec::with_capacity(BUFFER_BYTES), flushed: BLOCK })
    }

    pub(crate) fn position(&self) -> u64 {
        self.flushed + to_u64(self.buffer.len())
    }

    /// The block that begins here; the position must be aligned.
    pub(crate) fn block(&self) -> Result<u32, WriteError> {
        debug_assert_eq!(self.position() % BLOCK, 0, "blocks begin aligned");
        u32::try_from(self.position() >> BLOCK_BITS).map_err(|_| WriteError::TooManyBlocks)
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        while bytes.len() > BUFFER_BYTES - self.buffer.len() {
            let (now, later) = bytes.split_at(BUFFER_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(now);
            self.flush()?;
            bytes = later;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn zeros(&mut self, mut count: u64) -> Result<(), WriteError> {
        if count >= HOLE_BYTES {
            self.flush()?;
            self.flushed = self.flushed.checked_add(count).ok_or(WriteError::TooManyBlocks)?;
            self.out.seek(SeekFrom::Start(self.flushed))?;
            return Ok(());
        }
        while count > 0 {
            let now = count.min(BLOCK);
            self.write(&ZEROS[..usize::try_from(now).unwrap_or(ZEROS.len())])?;
            count -= now;
        }
        Ok(())
    }

    /// Zeros up to the next block.
    pub(crate) fn align(&mut self) -> Result<(), WriteError> {
        self.zeros(self.position().next_multiple_of(BLOCK) - self.position())
    }

    /// Writes what is buffered, then `head` at `offset`, and gives the output back.
    pub(crate) fn finish(mut self, offset: u64, head: &[u8]) -> Result<W, WriteError> {
        self.flush()?;
        self.out.seek(SeekFrom::Start(offset))?;
        self.out.write_all(head)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.out.write_all(&self.buffer)?;
        self.flushed += to_u64(self.buffer.len());
        self.buffer.clear();
        Ok(())
    }
}
