//! Files in a store, from a program's side.

use super::*;
use crate::args;
use crate::testing::{FakeStore, PAGE, Program, World};
use crate::vfs::{FsContext, MountFlags, MountNamespace};

const SHARED: i32 = 1;
const READ_WRITE: i32 = 3;

/// A program whose root lies in a store of so many pages, on a host that has so many left.
fn program(pages: u64, host_pages: u64) -> (Program, Arc<Tmpfs>) {
    let world = World::new();
    let program = Program::first(&world);
    let store = FakeStore::on(&world.machine, pages * PAGE, host_pages * PAGE);
    let tmpfs = Tmpfs::stored(world.kernel.shared_machine(), &store, TmpfsOptions::default()).unwrap();
    let superblock = world.kernel.vfs().superblock(tmpfs.clone());
    program.task.set_fs(FsContext::new(MountNamespace::new(&superblock, MountFlags::empty(), b"store")));
    (program, tmpfs)
}

#[test]
fn a_store_has_room_again_for_what_was_removed() {
    let (program, tmpfs) = program(4, 100);
    let page = "x".repeat(4096);
    let fd = program.open("/full", 0o102, 0o644).unwrap();
    for _ in 0..4 {
        assert_eq!(program.write(fd, &page), Ok(PAGE));
    }
    assert_eq!(program.write(fd, &page), Err(Errno::ENOSPC));
    assert_eq!(tmpfs.statfs().map(|all| (all.blocks, all.blocks_free)), Ok((4, 0)));
    program.call("close", args![fd]).unwrap();
    program.call("unlink", args!["/full"]).unwrap();
    program.make_file("/again", &page);
    assert_eq!(program.file_text("/again").as_deref(), Ok(page.as_str()));
}

#[test]
fn no_more_is_free_than_the_host_has() {
    let (program, tmpfs) = program(10, 6);
    assert_eq!(tmpfs.statfs().map(|all| (all.blocks, all.blocks_free, all.blocks_available)), Ok((10, 10, 6)));
    let fd = program.open("/reserved", 0o102, 0o644).unwrap();
    assert_eq!(program.call("fallocate", args![fd, 0, 0, 5 * PAGE]), Ok(0));
    assert_eq!(program.call("fallocate", args![fd, 0, 5 * PAGE, 2 * PAGE]), Err(Errno::ENOSPC));
    assert_eq!(tmpfs.statfs().map(|all| all.blocks_free), Ok(5));
    assert_eq!(program.stat("/reserved").map(|(_, _, size)| size), Ok(5 * PAGE));
}

#[test]
fn no_more_is_mapped_than_a_store_may_hold() {
    let (program, _) = program(4, 100);
    let fd = program.open("/sparse", 0o102, 0o644).unwrap();
    program.call("ftruncate", args![fd, 8 * PAGE]).unwrap();
    let map = |pages: u64| program.call("mmap", args![0, pages * PAGE, READ_WRITE, SHARED, fd, 0]);
    assert_eq!(map(8), Err(Errno::ENOMEM));
    assert!(map(4).is_ok());
}
