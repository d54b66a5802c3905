//! Opening an image.

use alloc::vec;

use super::{Inode, OpenError, ReadError, Source};
use crate::format::{
    Compat, FileKind, Incompat, NID_BYTES, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, Superblock, XATTR_ID_BYTES,
    superblock_checksum,
};

/// An open image.
#[derive(Debug)]
pub struct Image<S> {
    source: S,
    superblock: Superblock,
}

impl<S: Source> Image<S> {
    /// Checks the superblock, its checksum and the root directory's inode.
    pub fn open(source: S) -> Result<Self, OpenError> {
        let mut record = [0; SUPERBLOCK_BYTES];
        source.read_at(SUPERBLOCK_OFFSET, &mut record)?;
        let superblock = Superblock::decode(&record)?;
        check_support(&superblock)?;
        check_checksum(&source, &superblock)?;
        let image = Self { source, superblock };
        let root = image.root().map_err(OpenError::Root)?;
        if root.kind() == FileKind::Directory { Ok(image) } else { Err(OpenError::RootType) }
    }

    /// The superblock.
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// The root directory.
    pub fn root(&self) -> Result<Inode, ReadError> {
        self.inode(self.superblock.root_nid.into())
    }

    pub(super) fn block_bytes(&self) -> u64 {
        1 << self.superblock.block_bits
    }

    /// Where a block lies; a block number has 32 bits and a block at most 16, so this cannot overflow.
    pub(super) fn block_offset(&self, block: u32) -> u64 {
        u64::from(block) << self.superblock.block_bits
    }

    pub(super) fn inode_offset(&self, nid: u64) -> Result<u64, ReadError> {
        let within = nid.checked_mul(NID_BYTES);
        within
            .and_then(|within| within.checked_add(self.block_offset(self.superblock.meta_block)))
            // Leaves room for the sums of what follows an inode.
            .filter(|&offset| i64::try_from(offset).is_ok())
            .ok_or(ReadError::Corrupt { nid, what: "its number is out of range" })
    }

    /// Where a shared xattr lies.
    pub(super) fn xattr_offset(&self, id: u32) -> u64 {
        self.block_offset(self.superblock.xattr_block) + u64::from(id) * XATTR_ID_BYTES as u64
    }

    /// Reads bytes on behalf of inode `nid`.
    pub(super) fn fill(&self, nid: u64, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.source.read_at(offset, buffer).map_err(|source| ReadError::Source { nid, source })
    }

    pub(super) fn array<const N: usize>(&self, nid: u64, offset: u64) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.fill(nid, offset, &mut bytes)?;
        Ok(bytes)
    }
}

fn check_support(superblock: &Superblock) -> Result<(), OpenError> {
    let compressed = Incompat::COMPRESSION | Incompat::ZTAILPACKING | Incompat::FRAGMENTS;
    let unknown = superblock.incompat.difference(Incompat::ZERO_PADDING | Incompat::CHUNKED_FILE);
    if superblock.incompat.intersects(compressed) {
        return Err(OpenError::Compressed);
    }
    if !unknown.is_empty() {
        return Err(OpenError::Features(unknown.bits()));
    }
    if !(9..=16).contains(&superblock.block_bits) {
        return Err(OpenError::BlockSize(superblock.block_bits));
    }
    match superblock.dir_block_bits {
        0 => Ok(()),
        bits => Err(OpenError::DirectoryBlockSize(bits)),
    }
}

fn check_checksum<S: Source>(source: &S, superblock: &Superblock) -> Result<(), OpenError> {
    if !superblock.compat.contains(Compat::SB_CHKSUM) {
        return Ok(());
    }
    let block = 1_usize << superblock.block_bits;
    let mut rest = vec![0; if block > 1024 { block - 1024 } else { block }];
    source.read_at(SUPERBLOCK_OFFSET, &mut rest)?;
    let (found, computed) = (superblock.checksum, superblock_checksum(&rest));
    if found == computed { Ok(()) } else { Err(OpenError::Checksum { found, computed }) }
}
