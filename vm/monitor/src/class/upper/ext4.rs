//! An empty ext4 file system (Documentation/filesystems/ext4), for the guest alone: the host writes it once and never
//! reads it.
//!
//! All that a file system has of its own lies at its front: superblock, group descriptors, bitmaps, tables of inodes,
//! the root directory and the journal. Groups behind it say that nothing of them was ever used (`uninit_bg`), so that a
//! few blocks are written whatever the size is, and all the rest of the file is a hole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 4096;
const GROUP_BLOCKS: u64 = 8 * BLOCK;
const INODE_BYTES: u64 = 256;
const GROUP_INODES: u64 = 8192;
const TABLE_BLOCKS: u64 = GROUP_INODES * INODE_BYTES / BLOCK;
const DESCRIPTOR_BYTES: u64 = 32;
/// 1 to 10 are the file system's own.
const RESERVED_INODES: u64 = 10;
const ROOT: u64 = 2;
const JOURNAL: u64 = 8;
/// 4 MiB, the least that Linux takes, or 16 MiB.
const JOURNAL_BLOCKS: [u64; 2] = [1024, 4096];
/// From this size on the journal is the larger one.
const LARGE: u64 = 1 << 30;
/// Block numbers of 32 bits would reach further; so would a table of groups.
const BLOCKS_MAX: u64 = 1 << 31;

const COMPATIBLE: u32 = HAS_JOURNAL | EXTENDED_ATTRIBUTES | DIRECTORY_INDEX | SPARSE_SUPER_2;
const HAS_JOURNAL: u32 = 0x4;
const EXTENDED_ATTRIBUTES: u32 = 0x8;
const DIRECTORY_INDEX: u32 = 0x20;
/// Copies of the superblock lie in two groups that it names; here in none.
const SPARSE_SUPER_2: u32 = 0x200;
/// File types in directories, extents, bitmaps in other groups than their own.
const INCOMPATIBLE: u32 = 0x2 | 0x40 | 0x200;
/// Sparse copies of the superblock, large and huge files, checksums of groups, many directories, larger inodes.
const READ_ONLY_COMPATIBLE: u32 = 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40;

const INODES_UNUSED: u16 = 1;
const BLOCKS_UNUSED: u16 = 2;
/// Holes read as zeroes: there is nothing left to write for the guest.
const TABLE_IS_ZERO: u16 = 4;

const DIRECTORY: u16 = 0o040_755;
const REGULAR_FILE: u16 = 0o100_600;
const USES_EXTENTS: u32 = 0x8_0000;
const EXTENT_MAGIC: u16 = 0xf30a;
const TYPE_DIRECTORY: u8 = 2;

/// What distinguishes a file system from others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub uuid: [u8; 16],
    /// Seconds since 1970.
    pub made_s: u32,
}

/// Writes one into an empty file, whose length becomes `bytes`, rounded down to whole blocks.
pub(super) fn make(file: &File, bytes: u64, identity: Identity) -> io::Result<()> {
    let layout = Layout::of(bytes).ok_or_else(|| io::Error::other(format!("no file system has {bytes} bytes")))?;
    file.set_len(layout.blocks * BLOCK)?;
    let put = |block: u64, content: &[u8]| file.write_all_at(content, block * BLOCK);
    put(layout.descriptors, &layout.group_descriptors(&identity))?;
    for group in (0..layout.groups).filter(|group| layout.has_bitmap(*group)) {
        put(layout.block_bitmaps + group, &layout.block_bitmap(group))?;
    }
    put(layout.inode_bitmaps, &inode_bitmap())?;
    put(layout.tables, &layout.inodes(&identity))?;
    put(layout.root, &root_directory())?;
    put(layout.journal, &layout.journal_superblock())?;
    file.write_all_at(&layout.superblock(&identity), 1024)
}

/// Where everything lies, in blocks.
#[derive(Debug)]
struct Layout {
    blocks: u64,
    groups: u64,
    descriptors: u64,
    block_bitmaps: u64,
    inode_bitmaps: u64,
    tables: u64,
    root: u64,
    journal: u64,
    journal_blocks: u64,
    /// The first that is free; all before are in use.
    free: u64,
}

impl Layout {
    /// None where the size is too small or too large.
    fn of(bytes: u64) -> Option<Self> {
        let blocks = bytes / BLOCK;
        let groups = blocks.div_ceil(GROUP_BLOCKS);
        let descriptors = 1;
        let block_bitmaps = descriptors + (groups * DESCRIPTOR_BYTES).div_ceil(BLOCK);
        let inode_bitmaps = block_bitmaps + groups;
        let tables = inode_bitmaps + groups;
        let root = tables + groups * TABLE_BLOCKS;
        let journal = root + 1;
        let journal_blocks = JOURNAL_BLOCKS[usize::from(bytes >= LARGE)];
        let free = journal + journal_blocks;
        let layout = Self {
            blocks,
            groups,
            descriptors,
            block_bitmaps,
            inode_bitmaps,
            tables,
            root,
            journal,
            journal_blocks,
            free,
        };
        // The table of inodes of the last group must not be all that it has.
        (blocks <= BLOCKS_MAX && free < blocks).then_some(layout)
    }

    /// Whether a group's bitmap of blocks is written: one of it is in use, or it is the last, as checkers want it.
    fn has_bitmap(&self, group: u64) -> bool {
        self.used_blocks_of(group) > 0 || group + 1 == self.groups
    }

    fn blocks_of(&self, group: u64) -> u64 {
        (self.blocks - group * GROUP_BLOCKS).min(GROUP_BLOCKS)
    }

    fn used_blocks_of(&self, group: u64) -> u64 {
        self.free.saturating_sub(group * GROUP_BLOCKS).min(GROUP_BLOCKS)
    }

    /// A bit for each block; those behind the end count as used.
    fn block_bitmap(&self, group: u64) -> Vec<u8> {
        let (used, all) = (self.used_blocks_of(group), self.blocks_of(group));
        bitmap(|bit| bit < used || bit >= all)
    }

    fn group_descriptors(&self, identity: &Identity) -> Vec<u8> {
        (0..self.groups).flat_map(|group| self.group_descriptor(group, identity)).collect()
    }

    fn group_descriptor(&self, group: u64, identity: &Identity) -> Vec<u8> {
        let is_first = group == 0;
        let used_inodes = if is_first { RESERVED_INODES } else { 0 };
        let unused = if is_first { 0 } else { INODES_UNUSED };
        let untouched = if self.has_bitmap(group) { 0 } else { BLOCKS_UNUSED };
        let mut descriptor = Record::new(DESCRIPTOR_BYTES);
        descriptor.u32(0x0, self.block_bitmaps + group);
        descriptor.u32(0x4, self.inode_bitmaps + group);
        descriptor.u32(0x8, self.tables + group * TABLE_BLOCKS);
        descriptor.u16(0xc, self.blocks_of(group) - self.used_blocks_of(group));
        descriptor.u16(0xe, GROUP_INODES - used_inodes);
        descriptor.u16(0x10, u64::from(is_first));
        descriptor.u16(0x12, u64::from(unused | untouched | TABLE_IS_ZERO));
        descriptor.u16(0x1c, GROUP_INODES - used_inodes);
        let number = u32::try_from(group).unwrap_or(u32::MAX).to_le_bytes();
        let checksum = crc16(&[&identity.uuid[..], &number, &descriptor.0[..0x1e]].concat());
        descriptor.u16(0x1e, u64::from(checksum));
        descriptor.0
    }

    fn superblock(&self, identity: &Identity) -> Vec<u8> {
        let inodes = self.groups * GROUP_INODES;
        let mut block = Record::new(1024);
        block.u32(0x0, inodes);
        block.u32(0x4, self.blocks);
        block.u32(0xc, self.blocks - self.free);
        block.u32(0x10, inodes - RESERVED_INODES);
        // Of blocks and of clusters: 1024 << 2.
        block.u32(0x18, 2);
        block.u32(0x1c, 2);
        block.u32(0x20, GROUP_BLOCKS);
        block.u32(0x24, GROUP_BLOCKS);
        block.u32(0x28, GROUP_INODES);
        block.u32(0x30, identity.made_s.into());
        // No check after so many mounts.
        block.u16(0x36, 0xffff);
        block.u16(0x38, 0xef53);
        // Clean; after an error it is read-only.
        block.u16(0x3a, 1);
        block.u16(0x3c, 2);
        block.u32(0x40, identity.made_s.into());
        block.u32(0x4c, 1);
        block.u32(0x54, RESERVED_INODES + 1);
        block.u16(0x58, INODE_BYTES);
        block.u32(0x5c, COMPATIBLE.into());
        block.u32(0x60, INCOMPATIBLE.into());
        block.u32(0x64, READ_ONLY_COMPATIBLE.into());
        block.bytes(0x68, &identity.uuid);
        block.u32(0xe0, JOURNAL);
        // Seed and version of the hash of names: half MD4.
        block.bytes(0xec, &identity.uuid);
        block.bytes(0xfc, &[1]);
        self.back_up_journal(&mut block);
        // User attributes and access lists.
        block.u32(0x100, 0x4 | 0x8);
        block.u32(0x108, identity.made_s.into());
        // What inodes have beyond their first 128 bytes, at least and by preference.
        block.u16(0x15c, 32);
        block.u16(0x15e, 32);
        // Names are hashed as signed characters.
        block.u32(0x160, 1);
        // Sixteen groups make one large one.
        block.bytes(0x174, &[4]);
        block.0
    }

    /// The journal's inode, for who repairs.
    fn back_up_journal(&self, block: &mut Record) {
        block.bytes(0xfd, &[1]);
        block.bytes(0x10c, &extent(self.journal, self.journal_blocks));
        block.u32(0x10c + 64, self.journal_blocks * BLOCK);
    }

    /// The first block of the first table: root directory and journal.
    fn inodes(&self, identity: &Identity) -> Vec<u8> {
        let mut table = Record::new(BLOCK);
        let mut put = |number: u64, inode: Vec<u8>| table.bytes((number - 1) * INODE_BYTES, &inode);
        put(ROOT, inode(DIRECTORY, 2, (self.root, 1), identity));
        put(JOURNAL, inode(REGULAR_FILE, 1, (self.journal, self.journal_blocks), identity));
        table.0
    }

    /// Empty (Documentation/filesystems/ext4/journal.rst); it is big endian.
    fn journal_superblock(&self) -> Vec<u8> {
        let mut block = Record::new(BLOCK);
        let words = [(0x0, 0xc03b_3998), (0x4, 4), (0xc, BLOCK), (0x10, self.journal_blocks), (0x14, 1), (0x18, 1)];
        for (at, word) in words {
            block.bytes(at, &u32::try_from(word).unwrap_or(u32::MAX).to_be_bytes());
        }
        // One file system uses it.
        block.bytes(0x40, &1_u32.to_be_bytes());
        block.0
    }
}

/// An inode whose data is one extent of whole blocks.
fn inode(mode: u16, links: u64, (start, blocks): (u64, u64), identity: &Identity) -> Vec<u8> {
    let mut inode = Record::new(INODE_BYTES);
    inode.u16(0x0, mode.into());
    inode.u32(0x4, blocks * BLOCK);
    for time in [0x8, 0xc, 0x10, 0x90] {
        inode.u32(time, identity.made_s.into());
    }
    inode.u16(0x1a, links);
    inode.u32(0x1c, blocks * BLOCK / 512);
    inode.u32(0x20, USES_EXTENTS.into());
    inode.bytes(0x28, &extent(start, blocks));
    inode.u16(0x80, 32);
    inode.0
}

/// A tree of one leaf with one extent, as it lies in an inode.
fn extent(start: u64, blocks: u64) -> Vec<u8> {
    let mut tree = Record::new(60);
    tree.u16(0x0, EXTENT_MAGIC.into());
    tree.u16(0x2, 1);
    tree.u16(0x4, 4);
    tree.u16(0x10, blocks);
    tree.u32(0x14, start);
    tree.0
}

fn root_directory() -> Vec<u8> {
    let mut block = Record::new(BLOCK);
    for (at, len, name) in [(0, 12, "."), (12, BLOCK - 12, "..")] {
        block.u32(at, ROOT);
        block.u16(at + 4, len);
        block.bytes(at + 6, &[u8::try_from(name.len()).unwrap_or(0), TYPE_DIRECTORY]);
        block.bytes(at + 8, name.as_bytes());
    }
    block.0
}

/// A bit for each inode of the first group; those behind the end count as used.
fn inode_bitmap() -> Vec<u8> {
    bitmap(|bit| !(RESERVED_INODES..GROUP_INODES).contains(&bit))
}

fn bitmap(is_used: impl Fn(u64) -> bool) -> Vec<u8> {
    let byte = |at: u64| (0..8).filter(|bit| is_used(8 * at + bit)).fold(0, |byte, bit| byte | 1 << bit);
    (0..BLOCK).map(byte).collect()
}

/// lib/crc16.c of Linux, begun with ones.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 })
    })
}

/// A piece of the disk, little endian.
struct Record(Vec<u8>);

impl Record {
    fn new(len: u64) -> Self {
        Self(vec![0; usize::try_from(len).unwrap_or_default()])
    }

    fn bytes(&mut self, at: u64, bytes: &[u8]) {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A value that its field has room for: [`Layout::of`] saw to that.
    fn u32(&mut self, at: u64, value: u64) {
        self.bytes(at, &u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn u16(&mut self, at: u64, value: u64) {
        self.bytes(at, &u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn made(bytes: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        make(file.as_file(), bytes, Identity { uuid: *b"an empty upper..", made_s: 1_700_000_000 }).expect("made");
        file
    }

    /// Debian's own checker finds nothing to say, and little of the file is more than a hole.
    #[test]
    fn a_checker_finds_no_fault() {
        for mib in [64, 127, 128, 129, 1023, 1024, 10 << 10, 1 << 20] {
            let file = made(mib * MIB);
            let checked = Command::new("/sbin/e2fsck").args(["-f", "-n"]).arg(file.path()).output().expect("e2fsck");
            let said = String::from_utf8_lossy(&checked.stdout);
            assert!(checked.status.success() && !said.contains('?'), "{mib} MiB: {said}");
            let kept = file.as_file().metadata().expect("a file").blocks() * 512;
            assert!(kept <= 128 << 10 || mib > 100 << 10, "{mib} MiB: {kept} bytes on the disk");
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let file = tempfile::tempfile().expect("a file");
        let identity = Identity { uuid: [7; 16], made_s: 0 };
        for bytes in [0, MIB, 6 * MIB, u64::MAX] {
            assert!(make(&file, bytes, identity).is_err(), "{bytes}");
        }
    }
}
