//! File data: one run of blocks, or chunks where the file has holes.

use std::io::{Seek, Write};

use stockade_erofs::format::{BLOCK_BITS, BLOCK_BYTES};

use crate::{WriteError, area::Area};

/// A sparse file's map stays below this many chunks: larger files have larger chunks.
const CHUNKS_MAX: u64 = 1 << 16;

/// Where a file's data lies in the image; made by [`ContentWriter::finish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub(crate) size: u64,
    pub(crate) form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Flat {
        block: u32,
    },
    Chunked {
        /// `log2` of the chunk size in blocks.
        bits: u8,
        runs: Vec<Run>,
    },
}

/// Chunks that follow each other both in the file and in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first_chunk: u64,
    pub(crate) chunks: u64,
    pub(crate) block: u32,
}

impl Content {
    /// No data at all.
    pub const EMPTY: Self = Self { size: 0, form: Form::Flat { block: 0 } };

    /// Size of the file, holes included.
    pub fn size_bytes(&self) -> u64 {
        self.size
    }
}

/// Takes one file's data in order. The image is corrupt if it is dropped before [`Self::finish`].
#[derive(Debug)]
pub struct ContentWriter<'a, W> {
    area: &'a mut Area<W>,
    size: u64,
    position: u64,
    chunk_bytes: u64,
    bits: u8,
    runs: Vec<Run>,
    /// End of the chunk in hand; no chunk is in hand when `position` has reached it.
    chunk_end: u64,
}

impl<'a, W: Write + Seek> ContentWriter<'a, W> {
    /// One run of data: the chunk is the whole file.
    pub(crate) fn flat(area: &'a mut Area<W>, size: u64) -> Self {
        Self { area, size, position: 0, chunk_bytes: size.max(1), bits: 0, runs: Vec::new(), chunk_end: 0 }
    }

    pub(crate) fn sparse(area: &'a mut Area<W>, size: u64) -> Self {
        let bits = (0..31).find(|&bits| size >> (BLOCK_BITS + bits) <= CHUNKS_MAX).unwrap_or(31);
        Self { chunk_bytes: u64::from(BLOCK_BYTES) << bits, bits, ..Self::flat(area, size) }
    }

    /// Appends data.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        self.check_room(crate::to_u64(bytes.len()))?;
        while !bytes.is_empty() {
            self.begin_chunk()?;
            let room = usize::try_from(self.chunk_end - self.position).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.area.write(now)?;
            self.position += crate::to_u64(now.len());
            bytes = later;
        }
        Ok(())
    }

    /// Appends a hole; the parts of it that share a chunk with data are stored as zeros.
    pub fn hole(&mut self, bytes: u64) -> Result<(), WriteError> {
        self.check_room(bytes)?;
        let stored = bytes.min(self.chunk_end.saturating_sub(self.position));
        self.area.zeros(stored)?;
        self.position += bytes;
        Ok(())
    }

    /// Ends the file, whose size must have been reached.
    pub fn finish(self) -> Result<Content, WriteError> {
        if self.position != self.size {
            return Err(WriteError::ContentLength { expected: self.size, found: self.position });
        }
        self.area.align()?;
        Ok(Content { size: self.size, form: self.form() })
    }

    fn form(self) -> Form {
        let chunks = self.size.div_ceil(self.chunk_bytes);
        match self.runs[..] {
            [] if self.size == 0 => Form::Flat { block: 0 },
            [Run { first_chunk: 0, chunks: stored, block }] if stored == chunks => Form::Flat { block },
            _ => Form::Chunked { bits: self.bits, runs: self.runs },
        }
    }

    fn check_room(&self, bytes: u64) -> Result<(), WriteError> {
        let found = self.position.saturating_add(bytes);
        if found <= self.size { Ok(()) } else { Err(WriteError::ContentLength { expected: self.size, found }) }
    }

    fn begin_chunk(&mut self) -> Result<(), WriteError> {
        if self.position < self.chunk_end {
            return Ok(());
        }
        self.area.align()?;
        let chunk = self.position / self.chunk_bytes;
        let start = chunk * self.chunk_bytes;
        self.push_run(chunk, self.area.block()?);
        self.area.zeros(self.position - start)?;
        self.chunk_end = self.size.min(start + self.chunk_bytes);
        Ok(())
    }

    fn push_run(&mut self, chunk: u64, block: u32) {
        match self.runs.last_mut() {
            // Chunks that follow each other lie behind each other, as nothing else is written between.
            Some(run) if run.first_chunk + run.chunks == chunk => run.chunks += 1,
            _ => self.runs.push(Run { first_chunk: chunk, chunks: 1, block }),
        }
    }
}
