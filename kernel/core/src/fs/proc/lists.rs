//! What the kernel has: devices, file systems, terminals' drivers, locks, keys.

use alloc::vec::Vec;

use super::ProcSystem;
use crate::Errno;
use crate::fs::TYPES;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};
use crate::vfs::{Device, InodeKey, Lock, LockKind, LockOwner};

/// /proc/filesystems: those that mount(2) knows, and those that are mounted only by the engine or not at all.
pub(super) fn filesystems(_: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    for name in TYPES.iter().chain(&["sockfs", "pipefs", "anon_inodefs", "devpts", "overlay"]) {
        writeln!(text, "nodev\t{name}");
    }
    writeln!(text, "\terofs");
    text.finish()
}

pub(super) const DEVICES: &str = "Character devices:\n\
                                  \x20 1 mem\n\
                                  \x20 5 /dev/tty\n\
                                  \x20 5 /dev/console\n\
                                  \x20 5 /dev/ptmx\n\
                                  128 ptm\n\
                                  136 pts\n\
                                  \n\
                                  Block devices:\n";

pub(super) const CGROUPS: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n\
                                  cpuset\t0\t1\t1\n\
                                  cpu\t0\t1\t1\n\
                                  io\t0\t1\t1\n\
                                  memory\t0\t1\t1\n\
                                  pids\t0\t1\t1\n";

pub(super) static TTY: Directory<ProcSystem> = Directory::of(&[
    Entry::constant("drivers", DRIVERS),
    Entry::directory("driver", &Directory::of(&[])),
    Entry::directory("ldisc", &Directory::of(&[])),
    Entry::constant("ldiscs", "n_tty       0\nn_null     27\n"),
]);

const DRIVERS: &str = "/dev/tty             /dev/tty        5       0 system:/dev/tty\n\
                       /dev/console         /dev/console    5       1 system:console\n\
                       /dev/ptmx            /dev/ptmx       5       2 system\n\
                       pty_slave            /dev/pts      136 0-1048575 pty:slave\n\
                       pty_master           /dev/ptm      128 0-1048575 pty:master\n";

/// /proc/key-users: a line for each user that has processes, without keys.
pub(super) fn key_users(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let tasks = system.processes().into_iter().filter_map(|process| process.leader());
    let mut users: Vec<u32> = tasks.map(|task| task.credentials().uid).collect();
    users.sort_unstable();
    users.dedup();
    let mut text = Text::new();
    for uid in users {
        writeln!(text, "{uid:>5}: {:>5} 0/0 0/{} 0/{}", 1, if uid == 0 { 1_000_000 } else { 200 }, key_bytes(uid));
    }
    text.finish()
}

fn key_bytes(uid: u32) -> u32 {
    if uid == 0 { 25_000_000 } else { 20_000 }
}

/// /proc/locks
pub(super) fn locks(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    for (number, (key, lock)) in (1..).zip(system.kernel.vfs().hooks().locks.all()) {
        lock_line(&mut text, number, key, &lock);
    }
    text.finish()
}

/// A line of /proc/locks (`lock_get_status` of Linux).
pub(super) fn lock_line(text: &mut Text, number: u64, key: InodeKey, lock: &Lock) {
    let (owner, pid) = match lock.owner {
        LockOwner::Table(_) => ("POSIX ", lock.pid),
        LockOwner::File(_) => ("OFDLCK", -1),
        LockOwner::Flock(_) => ("FLOCK ", lock.pid),
    };
    let kind = if lock.kind == LockKind::Exclusive { "WRITE" } else { "READ" };
    let Device { major, minor } = key.device;
    write!(text, "{number}: {owner} ADVISORY  {kind} {pid} {major:02x}:{minor:02x}:{} {}", key.ino, lock.start);
    match lock.last {
        last if last >= i64::MAX.unsigned_abs() => writeln!(text, " EOF"),
        last => writeln!(text, " {last}"),
    }
}
