//! Ordinary layers, and the odd but legal.

use std::{collections::BTreeMap, path::Path};

use crate::{
    oracle::{Facts, Tree, checked, fsck, try_convert},
    tar::{Header, Tar, pax_records},
};

fn at<'a>(tree: &'a Tree, path: &str) -> &'a Facts {
    tree.get(Path::new(path)).unwrap_or_else(|| panic!("{path} is missing: {:?}", tree.keys()))
}

fn hash(bytes: &[u8]) -> Option<[u8; 32]> {
    use sha2::Digest;
    Some(sha2::Sha256::digest(bytes).into())
}

#[test]
fn files_links_devices() {
    let tar = Tar::default()
        .dir("./")
        .dir("./etc/")
        .file("./etc/passwd", b"root:x:0:0\n")
        .symlink("./etc/alias", "passwd")
        .hard_link("./etc/again", "./etc/passwd")
        .header(Header::new(b'3', "dev/null").device(1, 3).mode(0o666))
        .header(Header::new(b'4', "dev/big").device(259, 70_000))
        .header(Header::new(b'6', "/dev/fifo"))
        .with_data(Header::new(b'0', "usr/bin/su").mode(0o4755).owner(1000, 2000).mtime(1_700_000_000), &[7; 9000])
        .end();
    let (blob, tree) = checked(&tar);
    assert_eq!(tree.len(), 12);
    assert_eq!(at(&tree, "etc/passwd").nlink, 2);
    assert_eq!(at(&tree, "etc/passwd").ino, at(&tree, "etc/again").ino);
    assert_eq!(at(&tree, "dev/big").device, Some((259, 70_000)));
    let su = at(&tree, "usr/bin/su");
    assert_eq!((su.mode, su.uid, su.gid, su.mtime), (0o104_755, 1000, 2000, (1_700_000_000, 0)));
    assert_eq!((at(&tree, "usr").mode, at(&tree, "usr").mtime), (0o040_755, (0, 0)), "an implied directory");
    assert_eq!((blob.converted.entries, blob.converted.tar_bytes), (12, tar.len() as u64));
}

#[test]
fn the_diff_id_covers_the_stream_to_its_end() {
    let check = |tar: &[u8]| {
        let hash: String = hash(tar).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(checked(tar).0.converted.diff_id, format!("sha256:{hash}"));
    };
    check(&Tar::default().file("a", b"x").end());
    check(&[Tar::default().file("a", b"x").end(), b"trailing bytes".repeat(100_000)].concat());
    check(&Tar::default().dir("no end at all").cut());
    check(&Tar::default().file("ends within its padding", b"x").cut()[..512 + 1]);
    check(&[]);
}

#[test]
fn times_names_and_numbers_of_pax() {
    let long = "d/".repeat(80) + &"n".repeat(251);
    let tar = Tar::default()
        .with_data(Header::new(b'g', "global"), &pax_records(&[("mtime", b"5.5"), ("path", b"not for all")]))
        .pax(&[("path", long.as_bytes()), ("mtime", b"-1.25"), ("uid", b"4294967294"), ("gid", b"70000")])
        .file("short", b"pax")
        .pax(&[("linkpath", "t".repeat(4000).as_bytes()), ("hdrcharset", b"BINARY"), ("comment", b"a=b")])
        .symlink("link", "x")
        .pax(&[("path", b"replaced by the next"), ("uid", b"7")])
        .pax(&[("path", b"bytes \xff\xfe")])
        .file("x", b"")
        .with_data(Header::new(b'L', "././@LongLink"), &[long.as_bytes(), b".gnu\0"].concat()[80..])
        .with_data(Header::new(b'K', "././@LongLink"), &[long.as_bytes(), b"\0"].concat())
        .header(Header::new(b'1', "short"))
        .with_data(Header::new(b'0', "tail").field(345, b"prefix"), b"ustar prefix")
        .with_data(
            Header::new(b'0', "base256").field(108, &[0x80, 0, 0, 0, 0x12, 0x34, 0x56, 0x78]).field(136, &[0xff; 12]),
            b"",
        )
        .end();
    let (_, tree) = checked(&tar);
    let file = at(&tree, &long);
    assert_eq!((file.mtime, file.uid, file.gid), ((-2, 750_000_000), u32::MAX - 1, 70_000));
    assert_eq!(file.nlink, 1 + 1);
    assert_eq!(at(&tree, "link").target.as_deref(), Some("t".repeat(4000).as_bytes()));
    assert_eq!(at(&tree, "link").mtime, (5, 500_000_000), "the global header holds");
    let bytes = tree.iter().find(|(path, _)| path.as_os_str().as_encoded_bytes() == b"bytes \xff\xfe").unwrap().1;
    assert_eq!(bytes.uid, 0, "of two pax headers the last holds");
    assert_eq!(at(&tree, "prefix/tail").content, hash(b"ustar prefix"));
    assert_eq!(at(&tree, "base256").uid, 0x1234_5678);
}

#[test]
fn xattrs_reach_the_image() {
    let big = vec![b'v'; 60_000];
    let acl = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x04\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    let tar = Tar::default()
        .pax(&[
            ("SCHILY.xattr.security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            ("SCHILY.xattr.user.a%3Db", b""),
            ("LIBARCHIVE.xattr.user.lib%20archive", b"aGVsbG8"),
            ("SCHILY.xattr.system.posix_acl_access", acl),
        ])
        .file("one", b"1")
        .pax(&[("SCHILY.xattr.user.big", &big), ("SCHILY.xattr.user.shared", b"by two")])
        .file("two", b"2")
        .pax(&[("SCHILY.xattr.user.shared", b"by two"), ("SCHILY.xattr.trusted.t", b"t")])
        .dir("three")
        .end();
    let (_, tree) = checked(&tar);
    let names =
        |path: &str| at(&tree, path).xattrs.keys().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>();
    assert_eq!(names("one"), ["security.capability", "system.posix_acl_access", "user.a=b", "user.lib archive"]);
    assert_eq!(at(&tree, "one").xattrs[b"user.lib archive".as_slice()], b"hello");
    assert_eq!(at(&tree, "two").xattrs[b"user.big".as_slice()], big);
    assert_eq!(names("three"), ["trusted.t", "user.shared"]);
}

/// An image may not tell overlayfs to look elsewhere; what Linux has no namespace for is lost as everywhere.
#[test]
fn overlayfs_xattrs_are_dropped() {
    let tar = Tar::default()
        .pax(&[
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.trusted.overlay.metacopy", b""),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.overlay.redirect", b"/"),
            ("SCHILY.xattr.com.apple.quarantine", b"x"),
            ("SCHILY.xattr.user.kept", b"x"),
        ])
        .dir("etc")
        .end();
    let (blob, tree) = checked(&tar);
    assert_eq!(at(&tree, "etc").xattrs, BTreeMap::from([(b"user.kept".to_vec(), b"x".to_vec())]));
    assert_eq!(blob.converted.dropped_xattrs, 5);
}

#[test]
fn whiteouts_become_overlayfs_ones() {
    let opaque = BTreeMap::from([(b"trusted.overlay.opaque".to_vec(), b"y".to_vec())]);
    let tar = Tar::default()
        .file("a/.wh.gone", b"")
        .file(".wh..wh.plnk/1.2", b"aufs")
        .dir("hidden")
        .file("hidden/.wh..wh..opq", b"")
        .header(Header::new(b'5', "hidden").mode(0o700))
        // What the layer has itself stays, before the whiteout or behind it.
        .file("own", b"1")
        .file(".wh.own", b"")
        .file(".wh.later", b"")
        .file("later", b"2")
        .file(".wh.dir", b"")
        .file("dir/implied", b"")
        .file(".wh.dir2", b"")
        .dir("dir2")
        .dir("dir3")
        .file(".wh.dir3", b"")
        .file(".wh..hidden name", b"content is of no meaning")
        .end();
    let (_, tree) = checked(&tar);
    let whiteout = |path: &str| (at(&tree, path).mode, at(&tree, path).device) == (0o020_000, Some((0, 0)));
    assert!(whiteout("a/gone") && whiteout(".hidden name"));
    for path in ["hidden", "dir", "dir2", "dir3"] {
        assert_eq!(at(&tree, path).xattrs, opaque, "{path}");
    }
    assert_eq!(at(&tree, "hidden").mode, 0o040_700);
    assert_eq!(at(&tree, "own").content, hash(b"1"));
    assert_eq!(at(&tree, "later").content, hash(b"2"));
    assert!(!tree.keys().any(|path| path.to_string_lossy().contains(".wh.")), "{:?}", tree.keys());
}

#[test]
fn the_last_of_equal_names_wins() {
    let tar = Tar::default()
        .file("file", b"old")
        .file("file", b"new")
        .dir("dir")
        .file("dir/kept", b"")
        .header(Header::new(b'5', "dir").mode(0o711))
        .dir("to-file")
        .file("to-file/lost", b"")
        .file("to-file", b"")
        .file("to-dir", b"")
        .dir("to-dir")
        .file("to-dir/x", b"")
        .file("linked", b"still here")
        .hard_link("link", "linked")
        .symlink("linked", "link")
        .end();
    let (_, tree) = checked(&tar);
    assert_eq!(at(&tree, "file").content, hash(b"new"));
    assert_eq!(at(&tree, "dir").mode, 0o040_711);
    assert!(tree.contains_key(Path::new("dir/kept")) && !tree.contains_key(Path::new("to-file/lost")));
    assert_eq!((at(&tree, "to-file").mode, at(&tree, "to-dir").mode), (0o100_644, 0o040_755));
    assert_eq!((at(&tree, "link").content, at(&tree, "link").nlink), (hash(b"still here"), 1));
}

#[test]
fn sparse_files_of_every_dialect() {
    let mut expected = vec![0; 100_000];
    expected[8192..8192 + 512].fill(b'a');
    expected[99_488..].fill(b'b');
    let data = [[b'a'; 512], [b'b'; 512]].concat();
    let map = [b"2\n8192\n512\n99488\n512\n".to_vec(), vec![0; 512 - 21]].concat();
    let number = |value: u64| format!("{value:011o}\0");
    let old = [number(8192), number(512), number(99_488), number(512)].concat();
    let tar = Tar::default()
        .with_data(Header::new(b'S', "old").field(386, old.as_bytes()).field(483, number(100_000).as_bytes()), &data)
        .pax(&[
            ("GNU.sparse.size", b"100000"),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.offset", b"8192"),
            ("GNU.sparse.numbytes", b"512"),
            ("GNU.sparse.offset", b"99488"),
            ("GNU.sparse.numbytes", b"512"),
        ])
        .file("pax 0.0", &data)
        .pax(&[
            ("GNU.sparse.size", b"100000"),
            ("GNU.sparse.map", b"8192,512,99488,512"),
            ("GNU.sparse.name", b"pax 0.1"),
        ])
        .file("other name", &data)
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.realsize", b"100000"),
            ("GNU.sparse.name", b"pax 1.0"),
        ])
        .file("GNUSparseFile.1/x", &[map, data.clone()].concat())
        .end();
    let (blob, tree) = checked(&tar);
    for path in ["old", "pax 0.0", "pax 0.1", "pax 1.0"] {
        assert_eq!((at(&tree, path).size, at(&tree, path).content), (100_000, hash(&expected)), "{path}");
    }
    assert!(blob.converted.blob_bytes < 60_000, "{}", blob.converted.blob_bytes);
}

/// The extended map of an old GNU sparse file, and a size beyond 4 GiB, which needs larger chunks.
#[test]
fn a_sparse_file_beyond_4_gib() {
    let size = 6_u64 << 30;
    let number = |value: u64| [&[0x80, 0, 0, 0][..], &value.to_be_bytes()].concat();
    let entry = |index: u64| [number(index << 30), number(512)].concat();
    let head = [entry(0), entry(1), entry(2), entry(3)].concat();
    let mut more = [entry(4), entry(5)].concat();
    more.resize(512, 0);
    let data: Vec<u8> = (0..6_u8).flat_map(|index| [index + 1; 512]).collect();
    let header = Header::new(b'S', "big").size(data.len() as u64);
    let header = header.field(386, &head).field(482, &[1]).field(483, &number(size));
    let blob = try_convert(&Tar::default().header(header).raw(&more).raw(&data).end(), &Default::default()).unwrap();
    fsck(&blob.file, &[]);
    let image = stockade_erofs::Image::open(stockade_image::layer::FileSource(blob.file)).unwrap();
    let entry = image.lookup(&image.root().unwrap(), b"big").unwrap().unwrap();
    let file = image.inode(entry.nid).unwrap();
    assert_eq!(file.size(), size);
    for index in 0..6_u8 {
        let (mut bytes, start) = ([9; 1024], u64::from(index) << 30);
        assert_eq!(image.read(&file, start, &mut bytes).unwrap(), 1024);
        assert_eq!((bytes[..512].iter().all(|&byte| byte == index + 1), &bytes[512..]), (true, &[0; 512][..]));
    }
}

#[test]
fn a_directory_of_100_000_entries() {
    let tar = (0..100_000).fold(Tar::default(), |tar, index| tar.symlink(&format!("many/entry-{index}"), "t"));
    let (_, tree) = checked(&tar.end());
    assert_eq!(tree.len(), 100_002);
    assert_eq!(at(&tree, "many/entry-99999").target.as_deref(), Some(b"t".as_slice()));
}

/// Names around `.` and `..` in the order of bytes, names and tails of every length.
#[test]
fn directories_of_every_shape() {
    let mut tar = Tar::default();
    for count in 0..60 {
        tar = tar.dir(&format!("{count}"));
        for (index, length) in (0..count).zip((1..=255).cycle().step_by(7)) {
            let path = format!("{count}/{}", format!("{index}{}", "n".repeat(length)).split_at(length).0);
            tar = tar.pax(&[("path", path.as_bytes())]).file("x", b"");
        }
    }
    for name in ["!", "+", "-", "...", ".a", "..a", "/", " ", "\u{7f}"] {
        tar = tar.dir(name);
    }
    for length in (1..4095).step_by(97) {
        tar = tar.pax(&[("linkpath", "l".repeat(length).as_bytes())]).symlink(&format!("link{length}"), "");
    }
    checked(&tar.end());
}
