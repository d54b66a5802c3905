//! mount(2) and its like, and devices.

use super::program;
use crate::Errno;
use crate::args;
use crate::testing::Program;
use crate::vfs::Path;

const BIND: u32 = 0x1000;
const RECURSIVE: u32 = 0x4000;
const REMOUNT: u32 = 0x20;
const READ_ONLY: u32 = 1;

fn mount(program: &Program, source: &str, target: &str, name: &str, flags: u32) -> Result<u64, Errno> {
    program.call("mount", args![source, target, name, flags, 0])
}

fn directories(program: &Program, paths: &[&str]) {
    for path in paths {
        program.call("mkdir", args![*path, 0o755]).unwrap();
    }
}

#[test]
fn mounts_cover_and_uncover() {
    let program = program();
    directories(&program, &["/m", "/m/below", "/other"]);
    assert_eq!(mount(&program, "none", "/m", "tmpfs", 0), Ok(0));
    assert_eq!(program.names("/m"), [".", ".."]);
    program.make_file("/m/file", "x");
    assert_eq!(program.call("rmdir", args!["/m"]), Err(Errno::EBUSY));
    assert_eq!(program.call("rename", args!["/m", "/n"]), Err(Errno::EBUSY));
    assert_eq!(program.call("link", args!["/m/file", "/file"]), Err(Errno::EXDEV));
    assert_eq!(mount(&program, "/m", "/other", "", BIND), Ok(0));
    assert_eq!(program.file_text("/other/file").unwrap(), "x");
    assert_eq!(mount(&program, "", "/other", "", BIND | REMOUNT | READ_ONLY), Ok(0));
    assert_eq!(program.open("/other/file", 1, 0), Err(Errno::EROFS));
    assert_eq!(program.open("/m/file", 1, 0), Ok(0));
    assert_eq!(program.call("umount2", args!["/m", 0]), Err(Errno::EBUSY));
    assert_eq!(program.call("close", args![0]), Ok(0));
    assert_eq!(program.call("umount2", args!["/m", 0]), Ok(0));
    assert_eq!(program.names("/m"), [".", "..", "below"]);
    assert_eq!(program.call("umount2", args!["/m", 0]), Err(Errno::EINVAL));
    assert_eq!(program.call("umount2", args!["/other", 2]), Ok(0));
    assert_eq!(mount(&program, "none", "/m", "nofs", 0), Err(Errno::ENODEV));
}

#[test]
fn a_tree_that_is_shown_in_itself_does_not_grow_without_end() {
    let program = program();
    directories(&program, &["/a"]);
    mount(&program, "none", "/a", "tmpfs", 0).unwrap();
    directories(&program, &["/a/b"]);
    let results: alloc::vec::Vec<_> = (0..20).map(|_| mount(&program, "/a", "/a/b", "", BIND | RECURSIVE)).collect();
    assert_eq!(results[..10], [Ok(0); 10]);
    assert_eq!(results[19], Err(Errno::ENOSPC));
}

#[test]
fn a_stack_of_mounts_is_as_high_as_the_limit_and_falls_as_one() {
    let program = program();
    directories(&program, &["/a"]);
    let namespace = program.task.fs().namespace().clone();
    let mut top = namespace.root();
    while let Ok(mount) = namespace.bind(&top, &top) {
        top = Path::root_of(&mount);
    }
    assert_eq!(namespace.bind(&top, &top).err(), Some(Errno::ENOSPC));
    assert_eq!(mount(&program, "none", "/a", "tmpfs", 0), Err(Errno::ENOSPC));
}

#[test]
fn dots_cross_mounts() {
    let program = program();
    directories(&program, &["/a", "/a/b", "/copy"]);
    mount(&program, "none", "/a/b", "tmpfs", 0).unwrap();
    directories(&program, &["/a/b/c"]);
    program.call("chdir", args!["/a/b/c/../.."]).unwrap();
    let room = program.room(16);
    assert_eq!(program.call("getcwd", args![room, 16]), Ok(3));
    assert_eq!(mount(&program, "/a", "/copy", "", BIND | RECURSIVE), Ok(0));
    assert_eq!(program.names("/copy/b"), [".", "..", "c"]);
    assert_eq!(program.call("umount2", args!["/copy", 0]), Err(Errno::EBUSY));
    assert_eq!(program.call("umount2", args!["/copy", 2]), Ok(0));
    assert_eq!(program.names("/copy"), [".", ".."]);
}

#[test]
fn a_new_root_takes_the_place_of_the_old() {
    let program = program();
    directories(&program, &["/new"]);
    mount(&program, "none", "/new", "tmpfs", 0).unwrap();
    directories(&program, &["/new/old"]);
    program.make_file("/new/inside", "x");
    assert_eq!(program.call("pivot_root", args!["/new", "/"]), Err(Errno::EBUSY));
    assert_eq!(program.call("pivot_root", args!["/new", "/new/old"]), Ok(0));
    assert_eq!(program.names("/"), [".", "..", "inside", "old"]);
    assert_eq!(program.names("/old"), [".", "..", "new"]);
    assert_eq!(program.call("umount2", args!["/old", 2]), Ok(0));
    assert_eq!(program.names("/old"), [".", ".."]);
    program.call("chroot", args!["/old"]).unwrap();
    assert_eq!(program.names("/"), [".", ".."]);
    assert_eq!(program.open("/../inside", 0, 0), Err(Errno::ENOENT));
}

#[test]
fn devices_do_what_they_are_for() {
    let program = program();
    directories(&program, &["/dev"]);
    mount(&program, "none", "/dev", "devtmpfs", 0).unwrap();
    let null = program.open("/dev/null", 2, 0).unwrap();
    assert_eq!(program.write(null, "gone"), Ok(4));
    assert_eq!(program.read(null, 4).unwrap(), "");
    let zero = program.open("/dev/zero", 2, 0).unwrap();
    assert_eq!(program.read(zero, 3).unwrap(), "\0\0\0");
    assert_eq!(program.call("lseek", args![zero, 5, 0]), Ok(0));
    let full = program.open("/dev/full", 2, 0).unwrap();
    assert_eq!(program.write(full, "x"), Err(Errno::ENOSPC));
    let random = program.open("/dev/urandom", 0, 0).unwrap();
    let room = program.room(16);
    assert_eq!(program.call("read", args![random, room, 16]), Ok(16));
    assert_ne!(program.bytes(room, 16), [0; 16]);
    program.call("mknod", args!["/dev/none", 0o20_666, 0xff01]).unwrap();
    assert_eq!(program.open("/dev/none", 0, 0), Err(Errno::ENXIO));
}

#[test]
fn what_is_mapped_and_not_touched_needs_no_room() {
    let program = program();
    directories(&program, &["/m"]);
    assert_eq!(program.call("mount", args!["none", "/m", "tmpfs", 0, "size=16k"]), Ok(0));
    let sparse = program.open("/m/sparse", 0o102, 0o600).unwrap();
    assert_eq!(program.call("ftruncate", args![sparse, 1 << 20]), Ok(0));
    let file = program.task.files().get(i32::try_from(sparse).unwrap()).unwrap();
    let pieces = file.object().map(0, 1 << 20, crate::platform::Sharing::Shared).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.len).sum::<u64>(), 1 << 20);
    let other = program.open("/m/other", 0o102, 0o600).unwrap();
    assert_eq!(program.call("fallocate", args![other, 0, 0, 16 << 10]), Ok(0));
    assert_eq!(program.call("fallocate", args![other, 0, 0, 20 << 10]), Err(Errno::ENOSPC));
    assert_eq!(program.call("unlink", args!["/m/sparse"]), Ok(0));
    drop((file, pieces));
    assert_eq!(program.call("close", args![sparse]), Ok(0));
    assert_eq!(program.call("fallocate", args![other, 0, 0, 20 << 10]), Err(Errno::ENOSPC));
}
