//! File system calls, from a program's side.

mod aio;
mod mounts;
mod moving;
mod telling;
mod waiting;

use crate::Errno;
use crate::args;
use crate::testing::{Program, World};

const CREATE: u32 = 0o100;
const EXCLUSIVE: u32 = 0o200;
const WRITE: u32 = 1;
const READ_WRITE: u32 = 2;
const APPEND: u32 = 0o2000;
const NO_FOLLOW: u32 = 0o400_000;
const DIRECTORY: u32 = 0o200_000;

fn program() -> Program {
    Program::first(&World::new())
}

#[test]
fn what_is_written_is_read() {
    let program = program();
    program.make_file("/a", "hello");
    assert_eq!(program.file_text("/a").unwrap(), "hello");
    let fd = program.open("/a", READ_WRITE | APPEND, 0).unwrap();
    assert_eq!(program.write(fd, " world"), Ok(6));
    assert_eq!(program.call("lseek", args![fd, 6, 0]), Ok(6));
    assert_eq!(program.read(fd, 100).unwrap(), "world");
    assert_eq!(program.read(fd, 100).unwrap(), "");
    assert_eq!(program.call("ftruncate", args![fd, 3]), Ok(0));
    assert_eq!(program.file_text("/a").unwrap(), "hel");
    assert_eq!(program.call("ftruncate", args![fd, 5]), Ok(0));
    assert_eq!(program.file_text("/a").unwrap(), "hel\0\0");
}

#[test]
fn open_flags_decide_what_is_made_and_refused() {
    let program = program();
    assert_eq!(program.open("/a", 0, 0), Err(Errno::ENOENT));
    assert_eq!(program.open("/a", CREATE | WRITE, 0o666), Ok(0));
    assert_eq!(program.stat("/a").unwrap().0, 0o100_644);
    assert_eq!(program.open("/a", CREATE | EXCLUSIVE, 0o666), Err(Errno::EEXIST));
    assert_eq!(program.open("/a/", 0, 0), Err(Errno::ENOTDIR));
    assert_eq!(program.open("/b/", CREATE, 0o666), Err(Errno::EISDIR));
    assert_eq!(program.open("/a/b", 0, 0), Err(Errno::ENOTDIR));
    assert_eq!(program.open("/a", DIRECTORY, 0), Err(Errno::ENOTDIR));
    assert_eq!(program.open("/", WRITE, 0), Err(Errno::EISDIR));
    assert_eq!(program.open("", 0, 0), Err(Errno::ENOENT));
    assert_eq!(program.read(0, 1), Err(Errno::EBADF));
    assert_eq!(program.open(&"x".repeat(256), CREATE, 0), Err(Errno::ENAMETOOLONG));
}

#[test]
fn links_are_followed_and_loops_are_not() {
    let program = program();
    program.make_file("/a", "text");
    let link = |target: &str, name: &str| program.call("symlink", args![target, name]).unwrap();
    link("a", "/to-a");
    link("loop", "/loop");
    link("new", "/dangling");
    link("/", "/root");
    assert_eq!(program.file_text("/to-a").unwrap(), "text");
    assert_eq!(program.file_text("/root/root/root/to-a").unwrap(), "text");
    assert_eq!(program.open("/loop", 0, 0), Err(Errno::ELOOP));
    assert_eq!(program.open("/to-a", NO_FOLLOW, 0), Err(Errno::ELOOP));
    assert_eq!(program.open("/dangling", CREATE | EXCLUSIVE, 0o600), Err(Errno::EEXIST));
    assert_eq!(program.open("/dangling", CREATE | WRITE, 0o600), Ok(0));
    assert_eq!(program.names("/"), [".", "..", "a", "dangling", "loop", "new", "root", "to-a"]);
    let room = program.room(64);
    assert_eq!(program.call("readlink", args!["/to-a", room, 64]), Ok(1));
    assert_eq!(program.bytes(room, 1), b"a");
    assert_eq!(program.call("readlink", args!["/a", room, 64]), Err(Errno::EINVAL));
}

#[test]
fn directories_come_and_go() {
    let program = program();
    assert_eq!(program.call("mkdir", args!["/d", 0o777]), Ok(0));
    assert_eq!(program.call("mkdir", args!["/d", 0o777]), Err(Errno::EEXIST));
    assert_eq!(program.call("mkdir", args!["/d/e/", 0o777]), Ok(0));
    assert_eq!(program.stat("/d").unwrap(), (0o40_755, 3, 60));
    assert_eq!(program.call("rmdir", args!["/d"]), Err(Errno::ENOTEMPTY));
    assert_eq!(program.call("unlink", args!["/d"]), Err(Errno::EISDIR));
    assert_eq!(program.call("chdir", args!["/d/e"]), Ok(0));
    let room = program.room(64);
    assert_eq!(program.call("getcwd", args![room, 64]), Ok(5));
    assert_eq!(program.bytes(room, 5), b"/d/e\0");
    assert_eq!(program.call("rmdir", args!["../e"]), Ok(0));
    assert_eq!(program.call("getcwd", args![room, 64]), Err(Errno::ENOENT));
    assert_eq!(program.open("f", CREATE, 0o600), Err(Errno::ENOENT));
    assert_eq!(program.call("chdir", args![".."]), Ok(0));
    assert_eq!(program.call("getcwd", args![room, 64]), Ok(3));
    assert_eq!(program.call("rmdir", args!["/d/."]), Err(Errno::EINVAL));
    assert_eq!(program.call("rmdir", args!["/d/.."]), Err(Errno::ENOTEMPTY));
    assert_eq!(program.call("rmdir", args!["/"]), Err(Errno::EBUSY));
}

#[test]
fn renames_replace_swap_and_refuse() {
    let program = program();
    program.make_file("/a", "a");
    program.make_file("/b", "b");
    program.call("mkdir", args!["/d", 0o777]).unwrap();
    program.call("mkdir", args!["/d/e", 0o777]).unwrap();
    let rename = |from: &str, to: &str, flags: u32| program.call("renameat2", args![-100, from, -100, to, flags]);
    assert_eq!(rename("/a", "/b", 1), Err(Errno::EEXIST));
    assert_eq!(rename("/a", "/b", 2), Ok(0));
    assert_eq!(program.file_text("/a").unwrap(), "b");
    assert_eq!(rename("/a", "/d/e/a", 0), Ok(0));
    assert_eq!(rename("/d", "/d/e/d", 0), Err(Errno::EINVAL));
    assert_eq!(rename("/b", "/d", 0), Err(Errno::EISDIR));
    assert_eq!(rename("/d", "/b", 0), Err(Errno::ENOTDIR));
    assert_eq!(rename("/d/e", "/d", 0), Err(Errno::ENOTEMPTY));
    assert_eq!(rename("/none", "/x", 0), Err(Errno::ENOENT));
    assert_eq!(rename("/d/e", "/e", 0), Ok(0));
    assert_eq!(program.file_text("/e/a").unwrap(), "b");
    assert_eq!(program.stat("/d").unwrap().1, 2);
    assert_eq!(rename("/e", "/d", 0), Ok(0));
    assert_eq!(program.names("/"), [".", "..", "b", "d"]);
}

#[test]
fn hard_links_share_an_inode() {
    let program = program();
    program.make_file("/a", "text");
    assert_eq!(program.call("link", args!["/a", "/b"]), Ok(0));
    assert_eq!(program.stat("/b").unwrap(), (0o100_644, 2, 4));
    assert_eq!(program.call("unlink", args!["/a"]), Ok(0));
    assert_eq!(program.stat("/b").unwrap().1, 1);
    assert_eq!(program.call("link", args!["/", "/c"]), Err(Errno::EPERM));
    assert_eq!(program.call("rename", args!["/b", "/b"]), Ok(0));
    let fd = program.open("/", 0o20_200_002, 0o600).unwrap();
    program.write(fd, "temporary").unwrap();
    assert_eq!(program.call("linkat", args![fd, "", -100, "/t", 0x1000]), Ok(0));
    assert_eq!(program.file_text("/t").unwrap(), "temporary");
}

#[test]
fn ordinary_users_are_held_back() {
    let world = World::new();
    let program = Program::first(&world);
    program.make_file("/secret", "x");
    program.call("chmod", args!["/secret", 0o600]).unwrap();
    program.call("mkdir", args!["/sticky", 0]).unwrap();
    program.call("chmod", args!["/sticky", 0o1777]).unwrap();
    program.make_file("/sticky/root", "x");
    program.call("mkdir", args!["/closed", 0o700]).unwrap();
    let mut credentials = crate::task::Credentials::root(crate::task::Capabilities::empty());
    (credentials.uid, credentials.euid, credentials.fsuid, credentials.fsgid) = (1000, 1000, 1000, 1000);
    program.task.set_credentials(credentials);
    assert_eq!(program.open("/secret", 0, 0), Err(Errno::EACCES));
    assert_eq!(program.call("access", args!["/secret", 0]), Ok(0));
    assert_eq!(program.call("access", args!["/secret", 4]), Err(Errno::EACCES));
    assert_eq!(program.open("/closed/x", 0, 0), Err(Errno::EACCES));
    assert_eq!(program.open("/new", CREATE, 0o600), Err(Errno::EACCES));
    assert_eq!(program.call("unlink", args!["/sticky/root"]), Err(Errno::EPERM));
    program.make_file("/sticky/mine", "x");
    assert_eq!(program.call("chown", args!["/sticky/mine", 0, 0]), Err(Errno::EPERM));
    assert_eq!(program.call("chmod", args!["/sticky", 0o777]), Err(Errno::EPERM));
    assert_eq!(program.call("unlink", args!["/sticky/mine"]), Ok(0));
    assert_eq!(program.call("mknod", args!["/sticky/null", 0o20_666, 0x103]), Err(Errno::EPERM));
}

#[test]
fn descriptors_are_the_lowest_and_shared() {
    let program = program();
    program.make_file("/a", "0123456789");
    let fd = program.open("/a", 0, 0).unwrap();
    assert_eq!(program.call("dup", args![fd]), Ok(1));
    assert_eq!(program.call("fcntl", args![fd, 0, 10]), Ok(10));
    assert_eq!(program.read(1, 4).unwrap(), "0123");
    assert_eq!(program.read(10, 4).unwrap(), "4567");
    assert_eq!(program.call("dup2", args![fd, 1]), Ok(1));
    assert_eq!(program.call("dup3", args![fd, fd, 0]), Err(Errno::EINVAL));
    assert_eq!(program.call("dup2", args![fd, fd]), Ok(fd));
    assert_eq!(program.call("close_range", args![1, 100, 0]), Ok(0));
    assert_eq!(program.call("close", args![1]), Err(Errno::EBADF));
    assert_eq!(program.call("fcntl", args![fd, 2, 1]), Ok(0));
    assert_eq!(program.call("fcntl", args![fd, 1]), Ok(1));
    assert_eq!(program.call("fcntl", args![fd, 3]), Ok(0o100_000));
}

#[test]
fn a_pipe_wakes_who_waits_for_it() {
    let world = World::new();
    let (reader, writer) = (Program::first(&world), Program::second(&world));
    let room = reader.room(64);
    reader.call("pipe2", args![room, 0]).unwrap();
    writer.task.set_files(reader.task.files());
    assert_eq!(reader.start("read", args![0, room, 64]), None);
    assert_eq!(writer.write(1, "news"), Ok(4));
    assert_eq!(reader.thread.returned(), Some(Ok(4)));
    assert_eq!(reader.bytes(room, 4), b"news");
    let big = writer.room(0);
    assert_eq!(writer.start("write", args![1, big, 70_000]), None);
    let sink = reader.room(70_000);
    assert_eq!(reader.call("read", args![0, sink, 65_536]), Ok(65_536));
    assert_eq!(writer.thread.returned(), Some(Ok(70_000)));
    assert_eq!(reader.call("close", args![1]), Ok(0));
    assert_eq!(reader.call("read", args![0, sink, 65_536]), Ok(4464));
    assert_eq!(reader.read(0, 10).unwrap(), "");
}

#[test]
fn a_fifo_opens_when_both_ends_come() {
    let world = World::new();
    let (reader, writer) = (Program::first(&world), Program::second(&world));
    writer.task.set_fs(reader.task.fs());
    reader.call("mknod", args!["/fifo", 0o10_600, 0]).unwrap();
    assert_eq!(writer.open("/fifo", WRITE | 0o4000, 0), Err(Errno::ENXIO));
    assert_eq!(reader.start("open", args!["/fifo", 0, 0]), None);
    assert_eq!(writer.open("/fifo", WRITE, 0), Ok(0));
    assert_eq!(writer.write(0, "x"), Ok(1));
    assert_eq!(writer.call("close", args![0]), Ok(0));
    assert_eq!(reader.thread.returned(), Some(Ok(0)));
    assert_eq!(reader.read(0, 8).unwrap(), "x");
    assert_eq!(reader.read(0, 8).unwrap(), "");
    assert_eq!(writer.start("open", args!["/fifo", WRITE, 0]), Some(Ok(0)));
}

#[test]
fn locks_make_others_wait() {
    let world = World::new();
    let (one, two) = (Program::first(&world), Program::second(&world));
    two.task.set_fs(one.task.fs());
    one.make_file("/a", "x");
    assert_eq!(one.open("/a", READ_WRITE, 0), Ok(0));
    assert_eq!(two.open("/a", READ_WRITE, 0), Ok(0));
    assert_eq!(one.call("flock", args![0, 2]), Ok(0));
    assert_eq!(two.call("flock", args![0, 6]), Err(Errno::EAGAIN));
    assert_eq!(two.start("flock", args![0, 2]), None);
    assert_eq!(one.call("close", args![0]), Ok(0));
    assert_eq!(two.thread.returned(), Some(Ok(0)));
    assert_eq!(one.open("/a", READ_WRITE, 0), Ok(0));
    let lock = one.put(&[[1_u8, 0, 0, 0, 0, 0, 0, 0].as_slice(), &[0; 24]].concat());
    let other = two.put(&[[1_u8, 0, 0, 0, 0, 0, 0, 0].as_slice(), &[0; 24]].concat());
    assert_eq!(one.call("fcntl", args![0, 6, lock]), Ok(0));
    assert_eq!(two.call("fcntl", args![0, 6, other]), Err(Errno::EAGAIN));
    assert_eq!(two.call("fcntl", args![0, 5, other]), Ok(0));
    assert_eq!(two.bytes(other + 24, 4), one.task.process().pid().raw().to_le_bytes());
    assert_eq!(two.start("fcntl", args![0, 7, other]), None);
    assert_eq!(one.call("close", args![0]), Ok(0));
    assert_eq!(two.thread.returned(), Some(Ok(0)));
}

#[test]
fn watchers_hear_of_changes() {
    let program = program();
    program.call("mkdir", args!["/d", 0o755]).unwrap();
    let fd = program.call("inotify_init1", args![0o4000]).unwrap();
    assert_eq!(program.call("inotify_add_watch", args![fd, "/d", 0x302]), Ok(1));
    assert_eq!(program.read(fd, 64), Err(Errno::EAGAIN));
    program.make_file("/d/a", "x");
    program.call("unlink", args!["/d/a"]).unwrap();
    let room = program.room(96);
    assert_eq!(program.call("read", args![fd, room, 96]), Ok(96));
    let bytes = program.bytes(room, 96);
    let masks: alloc::vec::Vec<u8> = (0..3).flat_map(|event| bytes[event * 32 + 4..event * 32 + 6].to_vec()).collect();
    assert_eq!(masks, [0, 1, 2, 0, 0, 2]);
    assert_eq!(&bytes[16..18], b"a\0");
}

#[test]
fn sparse_files_know_their_holes() {
    let program = program();
    let fd = program.open("/a", CREATE | READ_WRITE, 0o600).unwrap();
    assert_eq!(program.call("pwrite64", args![fd, "data", 4, 1 << 20]), Ok(4));
    assert_eq!(program.call("lseek", args![fd, 0, 3]), Ok(1 << 20));
    assert_eq!(program.call("lseek", args![fd, 0, 4]), Ok(0));
    assert_eq!(program.call("lseek", args![fd, 1 << 20, 4]), Ok((1 << 20) + 4));
    assert_eq!(program.call("lseek", args![fd, 2 << 20, 3]), Err(Errno::ENXIO));
    assert_eq!(program.call("fallocate", args![fd, 3, 1 << 20, 4096]), Ok(0));
    assert_eq!(program.call("lseek", args![fd, 0, 3]), Err(Errno::ENXIO));
    assert_eq!(program.call("lseek", args![fd, -1_i64, 0]), Err(Errno::EINVAL));
    assert_eq!(program.call("fallocate", args![fd, 0, 0, 1_u64 << 50]), Err(Errno::ENOSPC));
    assert_eq!(program.call("fallocate", args![fd, 0, 0, 8192]), Ok(0));
}

#[test]
fn files_do_not_grow_over_their_limit() {
    let program = program();
    let fd = program.open("/a", CREATE | READ_WRITE, 0o600).unwrap();
    // SIGXFSZ is ignored.
    let action = program.put(&[&1_u64.to_le_bytes()[..], &[0; 24]].concat());
    assert_eq!(program.call("rt_sigaction", args![25, action, 0, 8]), Ok(0));
    let limit = program.put(&[8192_u64.to_le_bytes(); 2].concat());
    assert_eq!(program.call("prlimit64", args![0, 1, limit, 0]), Ok(0));
    assert_eq!(program.call("fallocate", args![fd, 0, 0, 8193]), Err(Errno::EFBIG));
    assert_eq!(program.call("fallocate", args![fd, 1, 0, 8193]), Ok(0));
    assert_eq!(program.call("ftruncate", args![fd, 8193]), Err(Errno::EFBIG));
    assert_eq!(program.call("truncate", args!["/a", 8193]), Err(Errno::EFBIG));
    assert_eq!(program.call("ftruncate", args![fd, 8192]), Ok(0));
}

#[test]
fn attributes_are_kept() {
    let program = program();
    program.make_file("/a", "x");
    assert_eq!(program.call("chown", args!["/a", 5, 6]), Ok(0));
    assert_eq!(program.call("chmod", args!["/a", 0o4755]), Ok(0));
    assert_eq!(program.stat("/a").unwrap().0, 0o104_755);
    assert_eq!(program.call("chown", args!["/a", 7, -1]), Ok(0));
    assert_eq!(program.stat("/a").unwrap().0, 0o100_755);
    assert_eq!(program.call("setxattr", args!["/a", "user.x", "value", 5, 1]), Ok(0));
    assert_eq!(program.call("setxattr", args!["/a", "user.x", "value", 5, 1]), Err(Errno::EEXIST));
    let room = program.room(64);
    assert_eq!(program.call("getxattr", args!["/a", "user.x", room, 64]), Ok(5));
    assert_eq!(program.call("listxattr", args!["/a", room, 3]), Err(Errno::ERANGE));
    assert_eq!(program.call("listxattr", args!["/a", room, 64]), Ok(7));
    assert_eq!(program.call("removexattr", args!["/a", "user.x"]), Ok(0));
    assert_eq!(program.call("getxattr", args!["/a", "user.x", room, 64]), Err(Errno::ENODATA));
    assert_eq!(program.call("getxattr", args!["/a", "system.x", room, 64]), Err(Errno::EOPNOTSUPP));
}

#[test]
fn restrictions_of_openat2_hold() {
    let program = program();
    program.call("mkdir", args!["/d", 0o755]).unwrap();
    program.make_file("/a", "outside");
    program.make_file("/d/a", "inside");
    program.call("symlink", args!["/a", "/d/link"]).unwrap();
    let directory = program.open("/d", DIRECTORY, 0).unwrap();
    let open = |path: &str, resolve: u64| {
        let how = program.put(&[[0; 8], [0; 8], resolve.to_le_bytes()].concat());
        program.call("openat2", args![directory, path, how, 24])
    };
    assert_eq!(open("../a", 8), Err(Errno::EXDEV));
    assert_eq!(open("/a", 8), Err(Errno::EXDEV));
    assert_eq!(open("link", 8), Err(Errno::EXDEV));
    assert_eq!(open("link", 4), Err(Errno::ELOOP));
    let fd = open("link", 0x10).unwrap();
    assert_eq!(program.read(fd, 10).unwrap(), "inside");
    let fd = open("../../a", 0x10).unwrap();
    assert_eq!(program.read(fd, 10).unwrap(), "inside");
    assert_eq!(open("a", 0x40), Err(Errno::EINVAL));
}

#[test]
fn a_pair_of_descriptors_is_given_or_none() {
    let program = program();
    let limit = program.put(&[1_u64.to_le_bytes(); 2].concat());
    assert_eq!(program.call("prlimit64", args![0, 7, limit, 0]), Ok(0));
    let pair = program.room(8);
    assert_eq!(program.call("pipe2", args![pair, 0]), Err(Errno::EMFILE));
    assert_eq!(program.call("socketpair", args![1, 1, 0, pair]), Err(Errno::EMFILE));
    assert!(program.task.files().all().is_empty());
}

#[test]
fn a_program_loses_its_capabilities_when_it_changes() {
    let program = program();
    program.make_file("/p", "text");
    // Version 2, effective: CAP_KILL.
    let value = program.put(&[1, 0, 0, 2, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let give = |len: u64| program.call("setxattr", args!["/p", "security.capability", value, len, 0]);
    let has = || program.call("getxattr", args!["/p", "security.capability", 0, 0]);
    assert_eq!((give(19), give(4), give(0)), (Err(Errno::EINVAL), Err(Errno::EINVAL), Err(Errno::EINVAL)));
    assert_eq!((give(20), has()), (Ok(0), Ok(20)));
    assert_eq!((program.call("chmod", args!["/p", 0o755]), has()), (Ok(0), Ok(20)));
    let fd = program.open("/p", WRITE, 0).unwrap();
    assert_eq!((program.write(fd, "other"), has()), (Ok(5), Err(Errno::ENODATA)));
    assert_eq!((give(20), program.call("ftruncate", args![fd, 2]), has()), (Ok(0), Ok(0), Err(Errno::ENODATA)));
    assert_eq!((give(20), program.call("chown", args!["/p", 5, 6]), has()), (Ok(0), Ok(0), Err(Errno::ENODATA)));
}

#[test]
fn attributes_have_a_limit_in_all() {
    let program = program();
    program.make_file("/f", "");
    let value = program.room(60_000);
    let set = |index: u32| program.call("setxattr", args!["/f", &*alloc::format!("user.{index}"), value, 60_000, 0]);
    let full = (0..1000).find(|index| set(*index).is_err()).expect("there is a limit");
    assert_eq!(set(full), Err(Errno::ENOSPC));
    assert_eq!(set(0), Err(Errno::ENOSPC), "the old value is there until the new one is");
    assert_eq!(program.call("removexattr", args!["/f", "user.1"]), Ok(0));
    assert_eq!(set(full), Ok(0));
    assert_eq!(program.call("unlink", args!["/f"]), Ok(0));
    program.make_file("/f", "");
    assert_eq!(set(0), Ok(0));
}
