//! Signals about files.

use super::program;
use crate::Errno;
use crate::args;
use crate::signal::{Detail, Signal, SignalSet};

#[test]
fn files_tell_their_owner_by_signals() {
    let program = program();
    let signals = || program.task.waiting_signals();
    let set = program.put(&u64::MAX.to_le_bytes());
    assert_eq!(program.call("rt_sigprocmask", args![0, set, 0, 8]), Ok(0));
    let ends = program.room(8);
    assert_eq!(program.call("pipe2", args![ends, 0]), Ok(0));
    let ends = program.bytes(ends, 8);
    let [read, write] = [u64::from(ends[0]), u64::from(ends[4])];
    assert_eq!(program.call("fcntl", args![read, 8, 1]), Ok(0));
    assert_eq!(program.call("fcntl", args![read, 9, 0]), Ok(1));
    assert_eq!(program.call("fcntl", args![read, 8, 99]), Err(Errno::ESRCH));
    assert_eq!(program.write(write, "x"), Ok(1));
    assert!(signals().is_empty());
    // O_ASYNC, then F_SETSIG with SIGUSR1.
    assert_eq!(program.call("fcntl", args![read, 4, 0o20000]), Ok(0));
    assert_eq!(program.write(write, "x"), Ok(1));
    assert_eq!(signals(), SignalSet::of(&[Signal::IO]));
    assert_eq!(program.call("fcntl", args![read, 10, 10]), Ok(0));
    assert_eq!(program.write(write, "x"), Ok(1));
    let info = program.task.take_signal(SignalSet::of(&[Signal::USR1])).expect("it was sent");
    assert_eq!((info.code, info.detail), (1, Detail::Poll { band: 0x41, fd: i32::from(ends[0]) }));
}

#[test]
fn directories_tell_their_owner_once_or_always() {
    let program = program();
    let set = program.put(&u64::MAX.to_le_bytes());
    assert_eq!(program.call("rt_sigprocmask", args![0, set, 0, 8]), Ok(0));
    program.call("mkdir", args!["/d", 0o755]).unwrap();
    let fd = program.open("/d", 0o200_000, 0).unwrap();
    assert_eq!(program.call("fcntl", args![fd, 10, 10]), Ok(0));
    let told = || program.task.take_signal(SignalSet::of(&[Signal::USR1])).is_some();
    // F_NOTIFY with DN_CREATE, then with DN_DELETE | DN_MULTISHOT.
    assert_eq!(program.call("fcntl", args![fd, 1026, 4]), Ok(0));
    program.make_file("/d/a", "x");
    assert!(told());
    program.make_file("/d/b", "x");
    assert!(!told());
    assert_eq!(program.call("fcntl", args![fd, 1026, 0x8000_0008_u32]), Ok(0));
    for name in ["/d/a", "/d/b"] {
        program.call("unlink", args![name]).unwrap();
        assert!(told());
    }
}
