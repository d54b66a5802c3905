//! Images by mkfs.erofs, read by our reader.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
};

use stockade_erofs::{Image, OpenError};
use stockade_image::layer::FileSource;

use crate::oracle::agreed;

fn mkfs(options: &[&str], directory: &Path) -> File {
    let image = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("mkfs.erofs")
        .args(options)
        .arg(image.path())
        .arg(directory)
        .output()
        .expect("mkfs.erofs is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    image.into_file()
}

/// Files around the sizes where inline tails, blocks and chunks change over, with own and shared xattrs.
fn tree() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    for size in [0, 1, 100, 4000, 4095, 4096, 4097, 8192, 70_000] {
        let path = scratch.path().join(format!("file{size}"));
        fs::write(&path, vec![b'x'; size]).unwrap();
        for (name, value) in [("user.shared", "the same".to_owned()), ("user.own", format!("{size}"))] {
            rustix::fs::lsetxattr(&path, name, value.as_bytes(), rustix::fs::XattrFlags::empty()).unwrap();
        }
    }
    let sparse = File::create(scratch.path().join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    sparse.write_all_at(b"data", 300_000).unwrap();
    fs::create_dir(scratch.path().join("many")).unwrap();
    (0..700).for_each(|index| fs::write(scratch.path().join(format!("many/name{index}")), b"").unwrap());
    std::os::unix::fs::symlink("target", scratch.path().join("link")).unwrap();
    scratch
}

#[test]
fn uncompressed_images_are_read() {
    let tree = tree();
    let check = |options: &[&str]| drop(agreed(&mkfs(options, tree.path())));
    check(&[]);
    check(&["-T0"]);
    check(&["-T0", "-Eforce-inode-compact"]);
    check(&["-Eforce-inode-extended", "-x1"]);
    check(&["-Enoinline_data"]);
    check(&["--chunksize=4096"]);
    check(&["--chunksize=65536", "-Eforce-chunk-indexes"]);
    agreed(&mkfs(&[], Path::new("/etc")));
}

#[test]
fn a_compressed_image_is_a_clear_error() {
    let image = mkfs(&["-zlz4"], tree().path());
    match Image::open(FileSource(image)) {
        Err(OpenError::Compressed) => {}
        // Images that need no feature bit for it are only found out inode by inode.
        other => assert!(format!("{:?}", walk(other.unwrap())).contains("Compressed")),
    }
}

fn walk(image: Image<FileSource>) -> Vec<stockade_erofs::ReadError> {
    let root = image.root().unwrap();
    let entries = image.entries(&root).unwrap().map(Result::unwrap);
    entries.filter_map(|entry| image.inode(entry.nid).err()).collect()
}
