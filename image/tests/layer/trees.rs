//! Ordinary layers, and the odd but legal.

use crate::{
    oracle::checked,
    tar::{Header, Tar},
};

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
        .header(Header::new(b'6', "dev/fifo"))
        .with_data(Header::new(b'0', "usr/bin/su").mode(0o4755).owner(1000, 2000).mtime(1_700_000_000), &[7; 9000])
        .end();
    let (_, tree) = checked(&tar);
    assert_eq!(tree.len(), 12);
}
