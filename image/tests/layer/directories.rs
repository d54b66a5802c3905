//! Directories of the host become layers.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, symlink},
    path::Path,
};

use stockade_image::layer::{ConvertError, Limits, archive_directory, convert, convert_directory};

use crate::oracle::{Tree, agreed, assert_same, by_kernel, fsck};

/// What cannot be equal: inode numbers, and the link counts that file systems give directories.
fn comparable(mut tree: Tree) -> Tree {
    for facts in tree.values_mut() {
        facts.ino = 0;
        facts.nlink = if facts.mode & 0o170_000 == 0o040_000 { 0 } else { facts.nlink };
    }
    tree
}

/// Converts a directory and compares the image with it.
fn check(directory: &Path) {
    let blob = tempfile::tempfile().unwrap();
    convert_directory(directory, &blob, &Limits::default()).unwrap_or_else(|error| panic!("{error:?}"));
    assert_same(&comparable(agreed(&blob)), &comparable(by_kernel(directory)));
}

#[test]
fn a_tree_of_the_host() {
    check(Path::new("/usr/share/doc"));
    check(Path::new("/etc"));
}

#[test]
fn odd_files() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    fs::write(path("plain"), b"x").unwrap();
    fs::hard_link(path("plain"), path("second name")).unwrap();
    symlink("a/../b".repeat(400), path("link")).unwrap();
    fs::create_dir_all(path(&"deep/".repeat(60))).unwrap();
    fs::write(path(&format!("{}leaf", "deep/".repeat(60))), b"leaf").unwrap();
    fs::write(path("n\u{e4}me with = and\nnewline"), b"").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path("null"),
        rustix::fs::FileType::CharacterDevice,
        0o600.into(),
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    rustix::fs::lsetxattr(path("plain"), "trusted.a=b%", b"\0value\n", rustix::fs::XattrFlags::empty()).unwrap();
    std::os::unix::fs::chown(path("null"), Some(3_000_000_000), Some(65_536)).unwrap();
    let sparse = File::create(path("sparse")).unwrap();
    sparse.set_len(300 << 20).unwrap();
    sparse.write_all_at(b"data", 1 << 20).unwrap();
    sparse.write_all_at(&[1; 100_000], (300 << 20) - 100_000).unwrap();
    File::create(path("all hole")).unwrap().set_len(123_456).unwrap();
    check(scratch.path());
}

/// What `fsck.erofs --extract` of version 1.5 preserves: no times, xattrs, links, nor setuid (its chown clears it).
fn extracted(tree: Tree) -> Tree {
    let mut tree = comparable(tree);
    tree.retain(|_, facts| facts.mode & 0o170_000 != 0o140_000);
    for facts in tree.values_mut() {
        facts.mode &= 0o170_777;
        (facts.mtime, facts.nlink) = ((0, 0), 0);
        facts.xattrs.clear();
    }
    tree
}

#[test]
fn fsck_extracts_the_same() {
    let blob = tempfile::tempfile().unwrap();
    convert_directory(Path::new("/etc"), &blob, &Limits::default()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("extracted");
    fsck(&blob, &[&format!("--extract={}", target.display()), "--preserve"]);
    let mut tree = extracted(by_kernel(&target));
    // The directory that it is told to make keeps its own mode.
    tree.insert("".into(), extracted(agreed(&blob)).remove(Path::new("")).unwrap());
    assert_same(&tree, &extracted(agreed(&blob)));
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let tar = || {
        let mut tar = Vec::new();
        archive_directory(Path::new("/etc/ssl"), &mut tar).unwrap();
        tar
    };
    let image = || {
        let mut image = std::io::Cursor::new(Vec::new());
        convert(tar().as_slice(), &mut image, &Limits::default()).unwrap();
        image.into_inner()
    };
    assert_eq!(tar(), tar());
    assert_eq!(image(), image());
}

#[test]
fn a_directory_beyond_the_limits_is_refused() {
    let limits = Limits { entries_max: 3, ..Limits::default() };
    let error = convert_directory(Path::new("/etc"), tempfile::tempfile().unwrap(), &limits).unwrap_err();
    assert!(matches!(error, ConvertError::Limit { limit: "entries_max", max: 3 }), "{error:?}");
}
