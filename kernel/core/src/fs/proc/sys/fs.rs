//! /proc/sys/fs.

use alloc::vec::Vec;

use super::{fact, value};
use crate::Errno;
use crate::fs::proc::ProcSystem;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};

pub(super) static FS: Directory<ProcSystem> = Directory::of(&[
    value("aio-max-nr", "65536\n"),
    fact("aio-nr", "0\n"),
    fact("dentry-state", "0\t0\t45\t0\t0\t0\t\n"),
    value("dir-notify-enable", "1\n"),
    Entry::directory("epoll", &Directory::of(&[value("max_user_watches", "1048576\n")])),
    value("file-max", "9223372036854775807\n"),
    Entry::text("file-nr", file_nr),
    Entry::directory("inotify", &INOTIFY),
    fact("inode-nr", "0\t0\n"),
    fact("inode-state", "0\t0\t0\t0\t0\t0\t0\n"),
    value("lease-break-time", "45\n"),
    value("leases-enable", "1\n"),
    value("mount-max", "100000\n"),
    Entry::directory("mqueue", &MQUEUE),
    value("nr_open", "1048576\n"),
    value("overflowgid", "65534\n"),
    value("overflowuid", "65534\n"),
    value("pipe-max-size", "1048576\n"),
    value("pipe-user-pages-hard", "0\n"),
    value("pipe-user-pages-soft", "16384\n"),
    value("protected_fifos", "1\n"),
    value("protected_hardlinks", "1\n"),
    value("protected_regular", "2\n"),
    value("protected_symlinks", "1\n"),
    value("suid_dumpable", "0\n"),
]);

static INOTIFY: Directory<ProcSystem> = Directory::of(&[
    value("max_queued_events", "16384\n"),
    value("max_user_instances", "128\n"),
    value("max_user_watches", "65536\n"),
]);

static MQUEUE: Directory<ProcSystem> = Directory::of(&[
    value("msg_default", "10\n"),
    value("msg_max", "10\n"),
    value("msgsize_default", "8192\n"),
    value("msgsize_max", "8192\n"),
    value("queues_max", "256\n"),
]);

/// Open files of the container; each table's own.
fn file_nr(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let tasks = system.processes().into_iter().filter_map(|process| process.leader());
    let open: usize = tasks.map(|task| task.files().all().len()).sum();
    let mut text = Text::new();
    writeln!(text, "{open}\t0\t{}", i64::MAX);
    text.finish()
}
