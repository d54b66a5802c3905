//! Any bytes as an image: the reader may refuse them, but neither panics nor loops nor allocates without bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_erofs::{
    Image, Inode, ReadError,
    format::{SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, Superblock, superblock_checksum},
};

/// A hostile tree may be a graph with cycles: the walk ends after so many inodes.
const INODES_MAX: usize = 64;
const READ_BYTES: usize = 10_000;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    seal(&mut bytes);
    let Ok(image) = Image::open(bytes.as_slice()) else { return };
    let mut pending: Vec<u64> = image.root().map(|root| root.nid()).into_iter().collect();
    let mut seen = 0;
    while let Some(nid) = pending.pop() {
        seen += 1;
        let found = image.inode(nid).and_then(|inode| visit(&image, &inode));
        if seen < INODES_MAX {
            pending.extend(found.unwrap_or_default());
        }
    }
});

/// Makes the checksum right, which a fuzzer could not.
fn seal(bytes: &mut [u8]) {
    let at = usize::try_from(SUPERBLOCK_OFFSET).unwrap();
    let Some(record) = bytes.get(at..).and_then(|rest| rest.first_chunk::<SUPERBLOCK_BYTES>()) else { return };
    let Ok(superblock) = Superblock::decode(record) else { return };
    let block = 1_usize.checked_shl(superblock.block_bits.into()).unwrap_or_default();
    let rest = if block > 1024 { block - 1024 } else { block };
    let Some(rest) = bytes.get(at..).and_then(|bytes| bytes.get(..rest)) else { return };
    let checksum = superblock_checksum(rest);
    bytes[at + 4..at + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// Asks an inode everything; returns the inodes of a directory's names.
fn visit(image: &Image<&[u8]>, inode: &Inode) -> Result<Vec<u64>, ReadError> {
    let mut buffer = [0; READ_BYTES];
    for position in [0, inode.size() / 2, inode.size().saturating_sub(1), u64::MAX] {
        let _ = image.read(inode, position, &mut buffer);
    }
    let _ = image.read_link(inode);
    let _ = image.xattr(inode, b"user.x");
    image.xattrs(inode)?.for_each(|xattr| drop(xattr));
    let mut nids = Vec::new();
    for entry in image.entries(inode)?.take(1000) {
        let entry = entry?;
        let _ = image.lookup(inode, &entry.name);
        nids.push(entry.nid);
    }
    Ok(nids)
}
