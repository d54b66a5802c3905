//! Images by the writer, whole and damaged, read by the reader.

use std::io::Cursor;

use stockade_erofs::{
    Image, OpenError, ReadError, SourceError,
    format::{FileKind, superblock_checksum},
};
use stockade_erofs_writer::{
    Device, InsertError, Metadata, Node, NodeId, SymlinkTarget, WriteError, Writer, XattrError, Xattrs,
};

/// A small image of everything.
fn sample() -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut out).unwrap();
    let mut content = writer.content(5000);
    content.write(&[7; 5000]).unwrap();
    let file = Node::File(content.finish().unwrap());
    let mut content = writer.sparse_content(20_000);
    content.hole(9000).unwrap();
    content.write(b"data").unwrap();
    content.hole(20_000 - 9004).unwrap();
    let sparse = Node::File(content.finish().unwrap());
    let tree = writer.tree_mut();
    let mut metadata = Metadata { permissions: 0o644, ..Metadata::default() };
    metadata.xattrs.set(b"user.shared", b"value").unwrap();
    let dir = tree.insert(NodeId::ROOT, b"dir", metadata.clone(), Node::Directory).unwrap();
    let file = tree.insert(dir, b"file", metadata.clone(), file).unwrap();
    tree.link(NodeId::ROOT, b"link", file).unwrap();
    tree.insert(dir, b"sparse", metadata.clone(), sparse).unwrap();
    tree.insert(dir, b"symlink", Metadata::default(), Node::Symlink(SymlinkTarget::new(b"file").unwrap())).unwrap();
    tree.insert(dir, b"null", Metadata::default(), Node::Character(Device::new(1, 3).unwrap())).unwrap();
    writer.finish([1; 16]).unwrap();
    out.into_inner()
}

/// Walks at most so many inodes, as a damaged tree may have cycles; returns how many could not be read to their end.
fn walk(bytes: &[u8]) -> Result<usize, OpenError> {
    const INODES_MAX: usize = 50;
    let image = Image::open(bytes)?;
    let (mut pending, mut failures) = (vec![image.superblock().root_nid.into()], 0);
    for _ in 0..INODES_MAX {
        let Some(nid) = pending.pop() else { break };
        match visit(&image, nid) {
            Ok(children) => pending.extend(children),
            Err(_) => failures += 1,
        }
    }
    Ok(failures)
}

fn visit(image: &Image<&[u8]>, nid: u64) -> Result<Vec<u64>, ReadError> {
    let inode = image.inode(nid)?;
    image.xattrs(&inode)?.try_for_each(|xattr| xattr.map(drop))?;
    match inode.kind() {
        FileKind::Directory => {
            let entries: Result<Vec<_>, _> = image.entries(&inode)?.collect();
            let named = entries?.into_iter().filter(|entry| !matches!(entry.name.as_slice(), b"." | b".."));
            Ok(named.map(|entry| entry.nid).collect())
        }
        FileKind::Symlink => image.read_link(&inode).map(|_| Vec::new()),
        _ => image.read(&inode, inode.size().saturating_sub(6000), &mut [0; 6000]).map(|_| Vec::new()),
    }
}

fn with_checksum(mut image: Vec<u8>) -> Vec<u8> {
    let checksum = superblock_checksum(&image[1024..4096]);
    image[1028..1032].copy_from_slice(&checksum.to_le_bytes());
    image
}

#[test]
fn a_whole_image_is_read() {
    let bytes = sample();
    assert_eq!(walk(&bytes).unwrap(), 0);
    let image = Image::open(bytes.as_slice()).unwrap();
    let root = image.root().unwrap();
    let dir = image.inode(image.lookup(&root, b"dir").unwrap().unwrap().nid).unwrap();
    let sparse = image.inode(image.lookup(&dir, b"sparse").unwrap().unwrap().nid).unwrap();
    let mut tail = [1; 8];
    assert_eq!(image.read(&sparse, 8998, &mut tail).unwrap(), 8);
    assert_eq!(&tail, b"\0\0data\0\0");
    assert_eq!(image.read(&sparse, 19_999, &mut tail).unwrap(), 1);
    assert_eq!(image.extent(&sparse, 0).unwrap().offset, None);
    let file = image.inode(image.lookup(&root, b"link").unwrap().unwrap().nid).unwrap();
    assert_eq!((file.nlink(), image.extent(&file, 0).unwrap().offset), (2, Some(4096)));
    assert_eq!(image.lookup(&root, b"nothing").unwrap(), None);
    assert_eq!(image.xattr(&file, b"user.shared").unwrap().unwrap(), b"value");
}

#[test]
fn equal_calls_give_equal_bytes() {
    assert_eq!(sample(), sample());
}

#[test]
fn no_damaged_byte_makes_the_reader_panic() {
    let image = sample();
    let metadata = image.len() - 8192;
    for at in (1024..1152).chain(metadata..image.len()) {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = image.clone();
            damaged[at] = value;
            let _ = walk(&with_checksum(damaged));
        }
    }
    for length in (0..image.len()).step_by(61) {
        let _ = walk(&image[..length]);
    }
}

#[test]
fn damage_is_told() {
    let image = sample();
    let mut damaged = image.clone();
    damaged[2000] ^= 1;
    assert!(matches!(walk(&damaged), Err(OpenError::Checksum { .. })));
    assert!(matches!(walk(&image[..1100]), Err(OpenError::Source(SourceError::End(_)))));
    assert!(matches!(walk(&vec![0; 8192]), Err(OpenError::Superblock(_))));
    let check = |at: usize, value: u8, expected: fn(OpenError) -> bool| {
        let mut damaged = image.clone();
        damaged[1024 + at] = value;
        assert!(expected(walk(&with_checksum(damaged)).unwrap_err()), "byte {at}");
    };
    check(80, 2, |error| matches!(error, OpenError::Compressed));
    check(81, 1, |error| matches!(error, OpenError::Features(_)));
    check(12, 17, |error| matches!(error, OpenError::BlockSize(17)));
    check(90, 1, |error| matches!(error, OpenError::DirectoryBlockSize(1)));
    check(14, 0, |error| matches!(error, OpenError::Root(_) | OpenError::RootType));
}

#[test]
fn the_tree_takes_only_what_linux_can_hold() {
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    let tree = writer.tree_mut();
    for name in ["", ".", "..", "a/b", "a\0b", &"n".repeat(256)] {
        let inserted = tree.insert(NodeId::ROOT, name.as_bytes(), Metadata::default(), Node::Fifo);
        assert_eq!(inserted, Err(InsertError::Name), "{name:?}");
    }
    let fifo = tree.insert(NodeId::ROOT, b"fifo", Metadata::default(), Node::Fifo).unwrap();
    assert_eq!(tree.link(fifo, b"x", fifo), Err(InsertError::NotDirectory));
    assert_eq!(tree.link(NodeId::ROOT, b"x", NodeId::ROOT), Err(InsertError::DirectoryLink));
    assert_eq!((Device::new(1 << 12, 0), Device::new(0, 1 << 20)), (None, None));
    assert_eq!((SymlinkTarget::new(b""), SymlinkTarget::new(&[b'x'; 4096])), (None, None));
}

#[test]
fn xattrs_that_do_not_fit_are_refused() {
    let mut xattrs = Xattrs::default();
    assert_eq!(xattrs.set(b"com.apple.x", b""), Err(XattrError::Prefix));
    assert_eq!(xattrs.set(b"user.", b""), Err(XattrError::Prefix));
    assert_eq!(xattrs.set(b"system.posix_acl_access2", b""), Err(XattrError::Prefix));
    assert_eq!(xattrs.set(format!("user.{}", "n".repeat(251)).as_bytes(), b""), Err(XattrError::Name));
    assert_eq!(xattrs.set(b"user.x", &[0; 65_536]), Err(XattrError::Value));
    (0..3).for_each(|index| xattrs.set(format!("user.{index}").as_bytes(), &[0; 65_535]).unwrap());
    xattrs.set(b"user.0", &[1; 65_535]).expect("it replaces a value");
    assert_eq!(xattrs.set(b"user.4", &[0; 65_535]), Err(XattrError::Total));
}

#[test]
fn a_file_of_another_length_is_an_error() {
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    let mut content = writer.content(3);
    assert!(matches!(content.write(b"four"), Err(WriteError::ContentLength { expected: 3, found: 4 })));
    assert!(matches!(content.finish(), Err(WriteError::ContentLength { expected: 3, found: 0 })));
}
