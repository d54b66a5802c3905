//! Calls that move bytes between files.

use super::{CREATE, READ_WRITE, program};
use crate::Errno;
use crate::args;
use crate::testing::Program;

/// Makes a pipe at these two descriptors.
fn pipe(program: &Program) -> (u64, u64) {
    let room = program.room(8);
    program.call("pipe", args![room]).unwrap();
    let ends = program.bytes(room, 8);
    (ends[0].into(), ends[4].into())
}

#[test]
fn files_are_sent() {
    let program = program();
    program.make_file("/from", "0123456789");
    let from = program.open("/from", 0, 0).unwrap();
    let to = program.open("/to", CREATE | READ_WRITE, 0o600).unwrap();
    assert_eq!(program.call("sendfile", args![to, from, 0, 4]), Ok(4));
    let offset = program.put(&8_u64.to_le_bytes());
    assert_eq!(program.call("sendfile", args![to, from, offset, 100]), Ok(2));
    assert_eq!(program.bytes(offset, 8), 10_u64.to_le_bytes());
    assert_eq!(program.file_text("/to").unwrap(), "012389");
    assert_eq!(program.call("copy_file_range", args![from, 0, to, 0, 100, 0]), Ok(6));
    assert_eq!(program.file_text("/to").unwrap(), "012389456789");
    assert_eq!(program.call("copy_file_range", args![from, 0, from, 0, 10, 0]), Err(Errno::EBADF));
    assert_eq!(program.call("copy_file_range", args![to, offset, to, offset, 10, 0]), Err(Errno::EINVAL));
    assert_eq!(program.call("copy_file_range", args![from, 0, to, 0, 1, 1]), Err(Errno::EINVAL));
}

#[test]
fn a_file_that_is_sent_onto_its_own_end_does_not_keep_the_kernel() {
    let program = program();
    program.make_file("/f", "x");
    let (from, to) = (program.open("/f", 0, 0).unwrap(), program.open("/f", READ_WRITE, 0).unwrap());
    assert_eq!(program.call("lseek", args![to, 1, 0]), Ok(1));
    let sent = program.call("sendfile", args![to, from, 0, 0x7fff_0000]).unwrap();
    assert!(sent < 100_000, "{sent}");
    assert_eq!(program.stat("/f").unwrap().2, sent + 1);
}

#[test]
fn bytes_go_through_pipes() {
    let program = program();
    program.make_file("/from", "0123456789");
    let from = program.open("/from", 0, 0).unwrap();
    let to = program.open("/to", CREATE | READ_WRITE, 0o600).unwrap();
    let (out, into) = pipe(&program);
    let (other_out, other_into) = pipe(&program);
    assert_eq!(program.call("splice", args![from, 0, to, 0, 4, 0]), Err(Errno::EINVAL));
    assert_eq!(program.call("splice", args![from, 0, into, 0, 6, 0]), Ok(6));
    assert_eq!(program.call("tee", args![out, other_into, 4, 0]), Ok(4));
    assert_eq!(program.read(other_out, 10).unwrap(), "0123");
    assert_eq!(program.call("splice", args![out, 0, to, 0, 100, 0]), Ok(6));
    assert_eq!(program.file_text("/to").unwrap(), "012345");
    assert_eq!(program.call("splice", args![out, 0, to, 0, 100, 2]), Err(Errno::EAGAIN));
    let vector = program.put(&[program.put(b"vector").to_le_bytes(), 6_u64.to_le_bytes()].concat());
    assert_eq!(program.call("vmsplice", args![into, vector, 1, 0]), Ok(6));
    assert_eq!(program.read(out, 10).unwrap(), "vector");
    assert_eq!(program.start("splice", args![out, 0, to, 0, 100, 0]), None);
}

#[test]
fn no_way_of_moving_bytes_passes_the_limit_of_a_files_size() {
    let program = program();
    // SIGXFSZ is not to end the test.
    let set = program.put(&u64::MAX.to_le_bytes());
    assert_eq!(program.call("rt_sigprocmask", args![0, set, 0, 8]), Ok(0));
    program.make_file("/from", "0123456789");
    let limit = program.put(&[4_u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat());
    assert_eq!(program.call("prlimit64", args![0, 1, limit, 0]), Ok(0));
    let (out, into) = pipe(&program);
    assert_eq!(program.write(into, "0123456789"), Ok(10));
    for (name, from) in [("sendfile", 0), ("copy_file_range", 1), ("splice", 2)] {
        let from = if from == 2 { out } else { program.open("/from", 0, 0).unwrap() };
        let to = program.open(&alloc::format!("/{name}"), CREATE | READ_WRITE, 0o600).unwrap();
        let again = || match name {
            "sendfile" => program.call(name, args![to, from, 0, 10]),
            _ => program.call(name, args![from, 0, to, 0, 10, 0]),
        };
        assert_eq!((again(), again()), (Ok(4), Err(Errno::EFBIG)), "{name}");
    }
}

#[test]
fn pipes_break_and_grow() {
    let program = program();
    let (out, into) = pipe(&program);
    assert_eq!(program.call("fcntl", args![into, 1032]), Ok(65_536));
    assert_eq!(program.call("fcntl", args![into, 1031, 5000]), Ok(8192));
    assert_eq!(program.write(into, "text"), Ok(4));
    let room = program.room(4);
    assert_eq!(program.call("ioctl", args![out, 0x541b, room]), Ok(0));
    assert_eq!(program.bytes(room, 4), [4, 0, 0, 0]);
    assert_eq!(program.call("lseek", args![out, 0, 0]), Err(Errno::ESPIPE));
    assert_eq!(program.write(out, "x"), Err(Errno::EBADF));
    assert_eq!(program.call("fcntl", args![into, 4, 0o4000]), Ok(0));
    let big = program.room(0);
    assert_eq!(program.call("write", args![into, big, 10_000]), Ok(8188));
    assert_eq!(program.write(into, "x"), Err(Errno::EAGAIN));
}

#[test]
fn memory_files_are_sealed() {
    let program = program();
    let fd = program.call("memfd_create", args!["name", 2]).unwrap();
    assert_eq!(program.write(fd, "text"), Ok(4));
    assert_eq!(program.call("fcntl", args![fd, 1033, 2 | 4]), Ok(0));
    assert_eq!(program.call("ftruncate", args![fd, 1]), Err(Errno::EPERM));
    assert_eq!(program.call("pwrite64", args![fd, "TEXT", 4, 0]), Ok(4));
    assert_eq!(program.call("fcntl", args![fd, 1033, 8 | 1]), Ok(0));
    assert_eq!(program.call("pwrite64", args![fd, "TEXT", 4, 0]), Err(Errno::EPERM));
    assert_eq!(program.call("fcntl", args![fd, 1033, 8]), Err(Errno::EPERM));
    assert_eq!(program.call("fcntl", args![fd, 1034]), Ok(15));
    let plain = program.call("memfd_create", args!["name", 0]).unwrap();
    assert_eq!(program.call("fcntl", args![plain, 1034]), Ok(1));
    assert_eq!(program.call("memfd_create", args!["name", 0x100]), Err(Errno::EINVAL));
}

#[test]
fn a_sealed_program_stays_what_it_is() {
    let program = program();
    let fd = program.call("memfd_create", args!["name", 2 | 0x10]).unwrap();
    assert_eq!(program.call("fcntl", args![fd, 1033, 0x20]), Ok(0));
    assert_eq!(program.call("fcntl", args![fd, 1034]), Ok(0x3e));
    assert_eq!(program.call("fchmod", args![fd, 0o666]), Err(Errno::EPERM));
    assert_eq!(program.call("fchmod", args![fd, 0o711]), Ok(0));
    assert_eq!(program.write(fd, "text"), Err(Errno::EPERM));
    let data = program.call("memfd_create", args!["name", 8]).unwrap();
    assert_eq!(program.call("fcntl", args![data, 1034]), Ok(0x20));
    assert_eq!(program.call("fchmod", args![data, 0o755]), Err(Errno::EPERM));
    assert_eq!(program.write(data, "text"), Ok(4));
}
