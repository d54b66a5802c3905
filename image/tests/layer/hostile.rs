//! Hostile layers: a clear error each, and nothing of them outside the blob.

use std::error::Error;

use stockade_image::layer::Limits;

use crate::{
    oracle::try_convert,
    tar::{Header, Tar, pax_records},
};

/// Converts under `limits` and compares the error with its causes.
#[track_caller]
fn check_limited(tar: &[u8], limits: &Limits, expected: &str) {
    let error = try_convert(tar, limits).map(|blob| blob.converted).expect_err("the layer was accepted");
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(text.contains(expected), "{text:?} lacks {expected:?}");
}

#[track_caller]
fn check(tar: Tar, expected: &str) {
    check_limited(&tar.end(), &Limits::default(), expected);
}

#[test]
fn path_traversal() {
    for path in ["../etc/passwd", "a/../../etc/passwd", "..", "a/..", "/../x", "./.././x"] {
        check(Tar::default().file(path, b"x"), "its path contains '..'");
        check(Tar::default().pax(&[("path", path.as_bytes())]).file("x", b"x"), "its path contains '..'");
    }
    check(Tar::default().pax(&[("path", b"a\0b")]).file("x", b"x"), "its path contains a NUL byte");
}

#[test]
fn links_out_of_the_layer() {
    for target in ["/", "/etc", "..", "../../..", "etc"] {
        let tar = Tar::default().dir("etc").symlink("link", target).file("link/passwd", b"x");
        check(tar, "its path goes through the symbolic link \"link\"");
        let tar = Tar::default().symlink("link", target).file("link/.wh.passwd", b"x");
        check(tar, "its path goes through the symbolic link \"link\"");
        let tar = Tar::default().symlink("link", target).hard_link("x", "link/passwd");
        check(tar, "its path goes through the symbolic link \"link\"");
    }
    check(Tar::default().file("f", b"").file("f/x", b""), "goes through \"f\", which is not a directory");
    check(Tar::default().hard_link("x", "../../etc/passwd"), "its path contains '..'");
    check(Tar::default().hard_link("x", "/etc/passwd"), "target \"/etc/passwd\" is not an earlier entry");
    check(Tar::default().file(".wh.a", b"").hard_link("x", "a"), "target \"a\" is not an earlier entry");
    check(Tar::default().dir("d").hard_link("x", "d"), "target \"d\" is a directory");
    check(Tar::default().hard_link("x", "/"), "target \"/\" is a directory");
    check(Tar::default().symlink("x", ""), "1 to 4095 bytes");
}

#[test]
fn whiteout_of_the_root() {
    for path in [".wh.", "/.wh.", "./.wh..", ".wh..wh..opq", "/.wh..wh..opq"] {
        check(Tar::default().file(path, b""), "white out the root");
    }
    for path in ["a/.wh.", "a/.wh..", "a/.wh...", ".wh..."] {
        check(Tar::default().file(path, b""), "a whiteout must name a file");
    }
    check(Tar::default().file(".wh.a/b", b""), "goes through the whiteout \".wh.a\"");
    check(Tar::default().file(".", b""), "the root can only be a directory");
    check(Tar::default().symlink("/", "/etc"), "the root can only be a directory");
}

#[test]
fn bombs() {
    let limits = Limits {
        entries_max: 10,
        unpacked_bytes_max: 100_000,
        file_bytes_max: 20_000,
        path_bytes_max: 100,
        path_depth_max: 5,
        xattr_bytes_max: 1000,
        metadata_bytes_max: 20_000,
    };
    let check = |tar: Tar, expected| check_limited(&tar.end(), &limits, expected);
    check((0..11).fold(Tar::default(), |tar, index| tar.dir(&index.to_string())), "entries_max = 10");
    check((0..11).fold(Tar::default(), |tar, _| tar.dir("same")), "entries_max = 10");
    check((0..3).fold(Tar::default(), |tar, i| tar.dir(&format!("{i}/b/c/d/e"))), "entries_max = 10");
    check(Tar::default().dir("1/2/3/4/5/6"), "path_depth_max = 5");
    check(Tar::default().pax(&[("path", &[b'a'; 101])]).dir("x"), "path_bytes_max = 100");
    check(Tar::default().file("x", &[0; 20_001]), "file_bytes_max = 20000");
    check((0..6).fold(Tar::default(), |tar, _| tar.file("x", &[0; 19_000])), "unpacked_bytes_max = 100000");
    check(Tar::default().dir("x").raw(&[0; 200_000]), "unpacked_bytes_max = 100000");
    check(Tar::default().pax(&[("SCHILY.xattr.user.x", &[b'x'; 1000])]).dir("x"), "xattr_bytes_max = 1000");
    let big = |tar: Tar| tar.pax(&[("SCHILY.xattr.user.x", &[b'x'; 900])]).dir("x");
    let limits = Limits { metadata_bytes_max: 5_000, ..limits.clone() };
    check_limited(&(0..9).fold(Tar::default(), |tar, _| big(tar)).end(), &limits, "metadata_bytes_max = 5000");
    // Holes count: they cost a map.
    let sparse: [(&str, &[u8]); 2] = [("GNU.sparse.size", b"9000000000000000000"), ("GNU.sparse.map", b"0,0")];
    check_limited(&Tar::default().pax(&sparse).file("x", b"").end(), &Limits::default(), "file_bytes_max");
}

#[test]
fn damaged_tars() {
    let whole = Tar::default().file("x", &[1; 2000]).end();
    for length in [100, 512, 1000, 2047, 2511] {
        check_limited(&whole[..length], &Limits::default(), "cut short");
    }
    // Within the last padding is no loss: `umoci insert` ends there.
    for length in [2512, 2559, 2560] {
        try_convert(&whole[..length], &Limits::default()).unwrap();
    }
    check(Tar::default().raw(&[1; 512]), "checksum is wrong");
    check(Tar::default().raw(b"\x1f\x8b").raw(&[0; 510]), "checksum is wrong");
    check(Tar::default().raw(&[0; 512]).dir("x"), "a zero block is followed by data");
    check(Tar::default().header(Header::new(b'0', "x").field(124, b"zzzzzzzzzzz")), "the size of a header");
    check(Tar::default().header(Header::new(b'0', "x").field(124, &[0xff; 12])), "the size of a header");
    check(Tar::default().header(Header::new(b'0', "x").field(108, &[0xff; 8])), "the uid of a header");
    check(Tar::default().header(Header::new(b'M', "x")), "unsupported type 'M'");
    check(Tar::default().header(Header::new(b'3', "x").device(1, 1 << 20)), "device number 1:1048576");
    check(Tar::default().with_data(Header::new(b'x', ""), b"9 a=b\n"), "pax record is malformed");
    check(Tar::default().header(Header::new(b'x', "").size(2 << 20)), "larger than 1 MiB");
    check(Tar::default().pax(&[("size", b"-1")]).file("x", b""), "the pax record size is malformed");
    check(Tar::default().pax(&[("uid", b"4294967295")]).file("x", b""), "the pax record uid is malformed");
    check(Tar::default().pax(&[("mtime", b"soon")]).file("x", b""), "the pax record mtime is malformed");
    let name = [b'n'; 256];
    check(Tar::default().pax(&[("path", &name)]).dir("x"), "longer than 255 bytes");
}

#[test]
fn contradictory_sparse_maps() {
    let check_map = |size: &str, map: &str| {
        let records = pax_records(&[("GNU.sparse.size", size.as_bytes()), ("GNU.sparse.map", map.as_bytes())]);
        let tar = Tar::default().with_data(Header::new(b'x', ""), &records).file("x", &[1; 10]);
        check(tar, "map is malformed");
    };
    check_map("100", "0,11");
    check_map("100", "0,5");
    check_map("100", "95,10");
    check_map("100", "50,5,0,5");
    check_map("100", "50,5,52,5");
    check_map("100", "0,10,20");
    check_map("100", "18446744073709551615,10");
    check_map("", "0,10");
    let records: [(&str, &[u8]); 2] = [("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")];
    check(Tar::default().pax(&records).file("x", b""), "map is malformed");
    let records: [(&str, &[u8]); 2] = [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")];
    check(Tar::default().pax(&records).file("x", &[b'9'; 512]), "map is malformed");
    check(Tar::default().pax(&records).file("x", b"1\n"), "map is malformed");
}
