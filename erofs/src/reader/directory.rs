//! Directories: iteration, and lookup by binary search.

use alloc::{vec, vec::Vec};
use core::cmp::Ordering;

use super::{Image, Inode, ReadError, Source};
use crate::format::{DIRENT_BYTES, Dirent, FileKind, NAME_BYTES_MAX};

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name: 1 to 255 bytes without `/` and NUL.
    pub name: Vec<u8>,
    /// The inode's number.
    pub nid: u64,
    /// The inode's type as the directory announces it.
    pub kind: FileKind,
}

/// Iterates over a directory, `.` and `..` included; ends after the first error.
#[derive(Debug)]
pub struct DirEntries<'a, S> {
    image: &'a Image<S>,
    directory: &'a Inode,
    blocks: core::ops::Range<u64>,
    block: Option<DirBlock>,
    next: usize,
}

impl<S: Source> Image<S> {
    /// The entries of a directory, in bytewise order of their names.
    pub fn entries<'a>(&'a self, directory: &'a Inode) -> Result<DirEntries<'a, S>, ReadError> {
        let blocks = 0..self.dir_blocks(directory)?;
        Ok(DirEntries { image: self, directory, blocks, block: None, next: 0 })
    }

    /// Finds a name in a directory. In an unsorted (hostile) directory it may miss one.
    pub fn lookup(&self, directory: &Inode, name: &[u8]) -> Result<Option<DirEntry>, ReadError> {
        let (mut low, mut high) = (0, self.dir_blocks(directory)?);
        while low < high {
            let middle = low + (high - low) / 2;
            let block = self.dir_block(directory, middle)?;
            match block.compare(name)? {
                Ordering::Less => high = middle,
                Ordering::Greater => low = middle + 1,
                Ordering::Equal => return block.find(name),
            }
        }
        Ok(None)
    }

    fn dir_blocks(&self, directory: &Inode) -> Result<u64, ReadError> {
        match directory.kind() {
            FileKind::Directory => Ok(directory.size().div_ceil(self.block_bytes())),
            _ => Err(ReadError::NotDirectory { nid: directory.nid }),
        }
    }

    fn dir_block(&self, directory: &Inode, index: u64) -> Result<DirBlock, ReadError> {
        let start = index.saturating_mul(self.block_bytes());
        let bytes = directory.size().saturating_sub(start).min(self.block_bytes());
        let mut block = vec![0; usize::try_from(bytes).unwrap_or_default()];
        self.read(directory, start, &mut block)?;
        DirBlock::check(directory.nid, block)
    }
}

impl<S: Source> Iterator for DirEntries<'_, S> {
    type Item = Result<DirEntry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.advance().transpose()?;
        if entry.is_err() {
            self.blocks = 0..0;
            self.block = None;
        }
        Some(entry)
    }
}

impl<S: Source> DirEntries<'_, S> {
    fn advance(&mut self) -> Result<Option<DirEntry>, ReadError> {
        if self.block.as_ref().is_none_or(|block| self.next == block.count) {
            let Some(index) = self.blocks.next() else { return Ok(None) };
            self.block = Some(self.image.dir_block(self.directory, index)?);
            self.next = 0;
        }
        let entry = self.block.as_ref().map(|block| block.entry(self.next)).transpose();
        self.next += 1;
        entry
    }
}

/// A directory block whose number of entries is known to lie within it.
#[derive(Debug)]
struct DirBlock {
    nid: u64,
    bytes: Vec<u8>,
    /// At least one.
    count: usize,
}

impl DirBlock {
    fn check(nid: u64, bytes: Vec<u8>) -> Result<Self, ReadError> {
        let mut block = Self { nid, bytes, count: 1 };
        let names = usize::from(block.dirent(0)?.name_offset);
        if names < DIRENT_BYTES || names % DIRENT_BYTES != 0 || names >= block.bytes.len() {
            return Err(block.corrupt("a directory block's names begin out of range"));
        }
        block.count = names / DIRENT_BYTES;
        Ok(block)
    }

    fn corrupt(&self, what: &'static str) -> ReadError {
        ReadError::Corrupt { nid: self.nid, what }
    }

    fn dirent(&self, index: usize) -> Result<Dirent, ReadError> {
        let record = self.bytes.get(index * DIRENT_BYTES..).and_then(|rest| rest.first_chunk());
        record.map(Dirent::decode).ok_or_else(|| self.corrupt("a directory block is too short"))
    }

    fn name(&self, index: usize) -> Result<&[u8], ReadError> {
        let start = usize::from(self.dirent(index)?.name_offset);
        let name = if index + 1 < self.count {
            self.bytes.get(start..usize::from(self.dirent(index + 1)?.name_offset))
        } else {
            // The last name ends with the block or with a NUL.
            self.bytes.get(start..).and_then(|rest| rest.split(|&byte| byte == 0).next())
        };
        name.filter(|name| valid_name(name)).ok_or_else(|| self.corrupt("a directory entry's name is malformed"))
    }

    fn entry(&self, index: usize) -> Result<DirEntry, ReadError> {
        let Dirent { nid, kind, .. } = self.dirent(index)?;
        Ok(DirEntry { name: self.name(index)?.to_vec(), nid, kind })
    }

    /// Whether `name` lies before, in or behind this block.
    fn compare(&self, name: &[u8]) -> Result<Ordering, ReadError> {
        Ok(if name < self.name(0)? {
            Ordering::Less
        } else if name > self.name(self.count - 1)? {
            Ordering::Greater
        } else {
            Ordering::Equal
        })
    }

    fn find(&self, name: &[u8]) -> Result<Option<DirEntry>, ReadError> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match name.cmp(self.name(middle)?) {
                Ordering::Less => high = middle,
                Ordering::Greater => low = middle + 1,
                Ordering::Equal => return self.entry(middle).map(Some),
            }
        }
        Ok(None)
    }
}

fn valid_name(name: &[u8]) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.iter().any(|&byte| byte == 0 || byte == b'/')
}
