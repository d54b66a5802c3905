//! Any bytes as a layer's tar: they are refused, or give an image that our reader walks to the end without an error.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use stockade_erofs::{
    Image, Inode,
    format::{FileKind, superblock_checksum},
};

#[allow(dead_code, unused_imports)]
#[path = "../../src/layer/mod.rs"]
mod layer;

use layer::{Limits, convert};

fuzz_target!(|bytes: &[u8]| {
    let mut tar = bytes.to_vec();
    seal(&mut tar);
    let limits = Limits { entries_max: 1000, unpacked_bytes_max: 1 << 22, ..Limits::default() };
    let mut blob = Cursor::new(Vec::new());
    let Ok(converted) = convert(tar.as_slice(), &mut blob, &limits) else { return };
    let blob = blob.into_inner();
    assert_eq!(blob.len() as u64, converted.blob_bytes);
    assert_eq!(blob.len() % 4096, 0);
    assert_eq!(superblock_checksum(&blob[1024..4096]).to_le_bytes(), blob[1028..1032]);
    walk(&Image::open(blob).expect("the image opens"));
});

/// Makes the checksum of every block that could be a header right, which a fuzzer could not.
fn seal(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fn walk(image: &Image<Vec<u8>>) {
    let mut pending = vec![image.root().expect("the root is there")];
    while let Some(inode) = pending.pop() {
        visit(image, &inode);
        if inode.kind() == FileKind::Directory {
            pending.extend(children(image, &inode));
        }
    }
}

fn children(image: &Image<Vec<u8>>, directory: &Inode) -> Vec<Inode> {
    let mut children = Vec::new();
    for entry in image.entries(directory).expect("it is a directory") {
        let entry = entry.expect("its blocks are sound");
        let found = image.lookup(directory, &entry.name).expect("its blocks are sound");
        assert_eq!(found.as_ref(), Some(&entry), "each name is found");
        let child = image.inode(entry.nid).expect("each name leads to an inode");
        assert_eq!(child.kind(), entry.kind);
        if !matches!(entry.name.as_slice(), b"." | b"..") {
            children.push(child);
        }
    }
    children
}

fn visit(image: &Image<Vec<u8>>, inode: &Inode) {
    image.xattrs(inode).expect("the xattrs are sound").for_each(|xattr| drop(xattr.expect("each xattr is sound")));
    match inode.kind() {
        FileKind::Symlink => assert!(!image.read_link(inode).expect("the target is sound").is_empty()),
        FileKind::Regular => read_all(image, inode),
        _ => {}
    }
}

fn read_all(image: &Image<Vec<u8>>, inode: &Inode) {
    let (mut buffer, mut position) = (vec![0; 1 << 16], 0);
    loop {
        match image.read(inode, position, &mut buffer).expect("the data is sound") {
            0 => break,
            bytes => position += bytes as u64,
        }
    }
    assert_eq!(position, inode.size());
}
