//! An overlay of two layers, from a program's side.

use alloc::sync::Arc;

use crate::Errno;
use crate::args;
use crate::fs::{Overlay, Tmpfs, TmpfsOptions};
use crate::testing::{Program, World};
use crate::vfs::{Filesystem, FsContext, MountFlags, MountNamespace};

fn tmpfs(world: &World) -> Arc<dyn Filesystem> {
    let options = TmpfsOptions { permissions: 0o755, ..TmpfsOptions::default() };
    Tmpfs::new(world.kernel.shared_machine(), options).unwrap()
}

fn enter(world: &World, program: &Program, filesystem: Arc<dyn Filesystem>) {
    let superblock = world.kernel.vfs().superblock(filesystem);
    program.task.set_fs(FsContext::new(MountNamespace::new(&superblock, MountFlags::empty(), b"overlay")));
}

/// Layers: below `/both/low`, `/a` with a second name `/b`, `/gone`; above `/both/top`, a whiteout of `/gone`, and an
/// opaque `/opaque` over one that has a file.
fn overlay() -> (World, Program) {
    let world = World::new();
    let program = Program::first(&world);
    let (low, top) = (tmpfs(&world), tmpfs(&world));
    enter(&world, &program, low.clone());
    for directory in ["/both", "/opaque"] {
        program.call("mkdir", args![directory, 0o755]).unwrap();
    }
    program.make_file("/both/low", "low");
    program.make_file("/opaque/hidden", "hidden");
    program.make_file("/a", "lower a");
    program.call("link", args!["/a", "/b"]).unwrap();
    program.make_file("/gone", "gone");
    enter(&world, &program, top.clone());
    program.call("mkdir", args!["/both", 0o700]).unwrap();
    program.make_file("/both/top", "top");
    program.call("mknod", args!["/gone", 0o20_000, 0]).unwrap();
    program.call("mkdir", args!["/opaque", 0o755]).unwrap();
    program.call("setxattr", args!["/opaque", "trusted.overlay.opaque", "y", 1, 0]).unwrap();
    let overlay = Overlay::new(&[top, low], tmpfs(&world)).unwrap();
    enter(&world, &program, overlay);
    (world, program)
}

#[test]
fn layers_are_merged() {
    let (_world, program) = overlay();
    assert_eq!(program.names("/"), [".", "..", "a", "b", "both", "opaque"]);
    assert_eq!(program.names("/both"), [".", "..", "low", "top"]);
    assert_eq!(program.names("/opaque"), [".", ".."]);
    assert_eq!(program.file_text("/both/low").unwrap(), "low");
    assert_eq!(program.open("/gone", 0, 0), Err(Errno::ENOENT));
    assert_eq!(program.open("/opaque/hidden", 0, 0), Err(Errno::ENOENT));
    assert_eq!(program.stat("/both").unwrap().0, 0o40_700);
}

#[test]
fn files_are_copied_before_they_change() {
    let (_world, program) = overlay();
    let before = program.open("/a", 0, 0).unwrap();
    let number = program.ino("/a");
    let fd = program.open("/a", 0o2002, 0).unwrap();
    program.write(fd, "+").unwrap();
    assert_eq!(program.read(before, 100).unwrap(), "lower a+");
    assert_eq!(program.file_text("/b").unwrap(), "lower a+");
    assert_eq!((program.ino("/a"), program.ino("/b")), (number, number));
    assert_eq!(program.call("truncate", args!["/both/low", 1]), Ok(0));
    assert_eq!(program.file_text("/both/low").unwrap(), "l");
    assert_eq!(program.call("chmod", args!["/both", 0o711]), Ok(0));
    assert_eq!(program.names("/both"), [".", "..", "low", "top"]);
    let room = program.room(64);
    assert_eq!(program.call("listxattr", args!["/a", room, 64]), Ok(0));
}

#[test]
fn what_is_removed_stays_away() {
    let (_world, program) = overlay();
    let open = program.open("/both/low", 0, 0).unwrap();
    assert_eq!(program.call("rmdir", args!["/both"]), Err(Errno::ENOTEMPTY));
    assert_eq!(program.call("unlink", args!["/both/low"]), Ok(0));
    assert_eq!(program.names("/both"), [".", "..", "top"]);
    assert_eq!(program.read(open, 10).unwrap(), "low");
    assert_eq!(program.call("fchmod", args![open, 0o600]), Ok(0));
    assert_eq!(program.names("/both"), [".", "..", "top"]);
    assert_eq!(program.call("unlink", args!["/both/top"]), Ok(0));
    assert_eq!(program.call("rmdir", args!["/both"]), Ok(0));
    assert_eq!(program.call("mkdir", args!["/both", 0o755]), Ok(0));
    assert_eq!(program.names("/both"), [".", ".."]);
    program.make_file("/both/low", "new");
    assert_eq!(program.file_text("/both/low").unwrap(), "new");
    program.make_file("/gone", "back");
    assert_eq!(program.file_text("/gone").unwrap(), "back");
}

#[test]
fn renames_cross_layers() {
    let (_world, program) = overlay();
    assert_eq!(program.call("rename", args!["/a", "/both/a"]), Ok(0));
    assert_eq!(program.names("/"), [".", "..", "b", "both", "opaque"]);
    assert_eq!(program.file_text("/both/a").unwrap(), "lower a");
    assert_eq!(program.call("rename", args!["/both", "/other"]), Err(Errno::EXDEV));
    assert_eq!(program.call("mkdir", args!["/new", 0o755]), Ok(0));
    program.make_file("/new/x", "x");
    assert_eq!(program.call("rename", args!["/both/low", "/both/top"]), Ok(0));
    assert_eq!(program.names("/both"), [".", "..", "a", "top"]);
    for name in ["/both/a", "/both/top"] {
        program.call("unlink", args![name]).unwrap();
    }
    assert_eq!(program.call("rename", args!["/new", "/both"]), Ok(0));
    assert_eq!(program.names("/both"), [".", "..", "x"]);
    let swap = |from: &str, to: &str| program.call("renameat2", args![-100, from, -100, to, 2]);
    assert_eq!(swap("/b", "/both/x"), Ok(0));
    assert_eq!(program.file_text("/b").unwrap(), "x");
    assert_eq!(program.file_text("/both/x").unwrap(), "lower a");
}
