//! File data: where it lies, and reading it.

use alloc::{vec, vec::Vec};

use super::{Image, Inode, ReadError, Source};
use crate::format::{CHUNK_BITS_MASK, CHUNK_INDEXES, CHUNK_NULL, FileKind, Layout};

/// Longest symbolic link that Linux follows (`PATH_MAX`), without its NUL.
const SYMLINK_BYTES_MAX: u64 = 4095;

/// A run of a file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it lies in the image; `None` for a hole.
    pub offset: Option<u64>,
    /// Its length, never beyond the end of the file.
    pub bytes: u64,
}

impl<S: Source> Image<S> {
    /// The run of data that begins at `position`; empty at and behind the end of the file. Not checked against the
    /// length of the source.
    pub fn extent(&self, inode: &Inode, position: u64) -> Result<Extent, ReadError> {
        let rest = inode.size().saturating_sub(position);
        if rest == 0 {
            return Ok(Extent { offset: None, bytes: 0 });
        }
        match inode.record.layout {
            Layout::FlatPlain => self.flat(inode, position, rest),
            Layout::FlatInline => self.inline(inode, position, rest),
            Layout::ChunkBased => self.chunk(inode, position, rest),
            Layout::Compressed => Err(ReadError::Compressed { nid: inode.nid }),
        }
    }

    /// Copies data from `position` on; returns how much, less than asked only at the end of the file.
    pub fn read(&self, inode: &Inode, position: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut done = 0;
        while done < buffer.len() {
            let rest = &mut buffer[done..];
            let extent = self.extent(inode, position.saturating_add(done as u64))?;
            let bytes = usize::try_from(extent.bytes).unwrap_or(usize::MAX).min(rest.len());
            if bytes == 0 {
                break;
            }
            match extent.offset {
                Some(offset) => self.fill(inode.nid, offset, &mut rest[..bytes])?,
                None => rest[..bytes].fill(0),
            }
            done += bytes;
        }
        Ok(done)
    }

    /// The target of a symbolic link.
    pub fn read_link(&self, inode: &Inode) -> Result<Vec<u8>, ReadError> {
        let nid = inode.nid;
        if inode.kind() != FileKind::Symlink {
            return Err(ReadError::NotSymlink { nid });
        }
        let size = Some(inode.size()).filter(|&size| size <= SYMLINK_BYTES_MAX).and_then(|size| size.try_into().ok());
        let mut target = vec![0; size.ok_or(ReadError::Corrupt { nid, what: "its link target is too long" })?];
        self.read(inode, 0, &mut target)?;
        Ok(target)
    }

    fn flat(&self, inode: &Inode, position: u64, bytes: u64) -> Result<Extent, ReadError> {
        let start = self.block_offset(inode.record.data).checked_add(position);
        let corrupt = ReadError::Corrupt { nid: inode.nid, what: "its data lies out of range" };
        Ok(Extent { offset: Some(start.ok_or(corrupt)?), bytes })
    }

    fn inline(&self, inode: &Inode, position: u64, rest: u64) -> Result<Extent, ReadError> {
        let block_bytes = self.block_bytes();
        let tail_start = (inode.size() - 1) / block_bytes * block_bytes;
        if position < tail_start {
            return self.flat(inode, position, tail_start - position);
        }
        let tail = inode.tail_offset();
        if tail % block_bytes + (inode.size() - tail_start) > block_bytes {
            return Err(ReadError::Corrupt { nid: inode.nid, what: "its inline data crosses a block" });
        }
        Ok(Extent { offset: Some(tail + (position - tail_start)), bytes: rest })
    }

    fn chunk(&self, inode: &Inode, position: u64, rest: u64) -> Result<Extent, ReadError> {
        let chunk_bits = u32::from(self.superblock().block_bits) + (inode.record.data & CHUNK_BITS_MASK);
        let within = position & ((1 << chunk_bits) - 1);
        let bytes = rest.min((1 << chunk_bits) - within);
        let offset = self.chunk_block(inode, position >> chunk_bits)?.map(|block| self.block_offset(block) + within);
        Ok(Extent { offset, bytes })
    }

    fn chunk_block(&self, inode: &Inode, index: u64) -> Result<Option<u32>, ReadError> {
        let nid = inode.nid;
        let indexes = inode.record.data & CHUNK_INDEXES != 0;
        let unit = if indexes { 8 } else { 4 };
        let map = inode.tail_offset().next_multiple_of(unit);
        let entry = index.checked_mul(unit).and_then(|within| map.checked_add(within));
        let entry = entry.ok_or(ReadError::Corrupt { nid, what: "its chunk map is out of range" })?;
        let block = if indexes { self.chunk_index(nid, entry)? } else { u32::from_le_bytes(self.array(nid, entry)?) };
        Ok((block != CHUNK_NULL).then_some(block))
    }

    /// An 8-byte index: 16 bits unused here, the device, the block.
    fn chunk_index(&self, nid: u64, entry: u64) -> Result<u32, ReadError> {
        let [_, _, d0, d1, b0, b1, b2, b3] = self.array(nid, entry)?;
        let block = u32::from_le_bytes([b0, b1, b2, b3]);
        match u16::from_le_bytes([d0, d1]) {
            0 => Ok(block),
            _ if block == CHUNK_NULL => Ok(block),
            _ => Err(ReadError::OtherDevice { nid }),
        }
    }
}
