//! What overlayfs makes of converted layers, mounted over each other as a container's root is.

use std::{fs, path::Path};

use crate::{
    oracle::{checked, detached, mount, root},
    tar::Tar,
};

/// Mounts layers, the lowest first, and compares the files below the root.
fn check(layers: &[Tar], expected: &[&str]) {
    let blobs: Vec<_> = layers.iter().map(|tar| checked(&tar.clone().end()).0).collect();
    let mounts: Vec<_> = blobs.iter().map(|blob| mount(&blob.file)).collect();
    let paths: Vec<_> = mounts.iter().rev().map(|mount| root(mount).display().to_string()).collect();
    let overlay = detached("overlay", &paths.iter().map(|path| ("lowerdir+", path.as_str())).collect::<Vec<_>>());
    let mut found = Vec::new();
    list(&root(&overlay), "", &mut found);
    found.sort();
    assert_eq!(found, expected);
}

fn list(root: &Path, below: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(below)).unwrap().map(Result::unwrap) {
        let path = format!("{below}{}", entry.file_name().display());
        if entry.file_type().unwrap().is_dir() {
            list(root, &format!("{path}/"), found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn whiteouts_hide_what_lies_below() {
    let base =
        Tar::default().file("kept", b"").file("gone", b"").file("dir/a", b"").file("dir/b", b"").file("all/c", b"");
    check(&[base.clone(), Tar::default().file(".wh.gone", b"")], &["all/c", "dir/a", "dir/b", "kept"]);
    check(&[base.clone(), Tar::default().file("dir/.wh.a", b"")], &["all/c", "dir/b", "gone", "kept"]);
    check(&[base.clone(), Tar::default().file("all/.wh..wh..opq", b"")], &["dir/a", "dir/b", "gone", "kept"]);
    let replaced = Tar::default().file(".wh.dir", b"").file("dir/new", b"");
    check(&[base.clone(), replaced], &["all/c", "dir/new", "gone", "kept"]);
    let again = Tar::default().file("gone", b"");
    check(&[base, Tar::default().file(".wh.gone", b""), again], &["all/c", "dir/a", "dir/b", "gone", "kept"]);
}

/// Metadata of overlayfs in an image must not reach it: here a directory that claims to be another one below.
#[test]
fn redirects_do_not_work() {
    let base = Tar::default().file("secret/key", b"");
    let redirect: [(&str, &[u8]); 1] = [("SCHILY.xattr.trusted.overlay.redirect", b"/secret")];
    let hostile = Tar::default().pax(&redirect).dir("public").file("public/own", b"");
    check(&[base, hostile], &["public/own", "secret/key"]);
}
