//! /proc/sys/fs.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::kernel::line;
use super::{fact, value};
use crate::Errno;
use crate::fs::proc::ProcSystem;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};
use crate::mqueue::Limits;
use crate::vfs::{Protected, UserLimit};

pub(super) static FS: Directory<ProcSystem> = Directory::of(&[
    value("aio-max-nr", "65536\n"),
    fact("aio-nr", "0\n"),
    fact("dentry-state", "0\t0\t45\t0\t0\t0\t\n"),
    value("dir-notify-enable", "1\n"),
    Entry::directory("epoll", &EPOLL),
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
    Entry::setting(
        "protected_fifos",
        |system, _| line(level(system, Protected::Fifos)),
        |system, _, bytes| set_level(system, bytes, Protected::Fifos, 2),
    ),
    Entry::setting(
        "protected_hardlinks",
        |system, _| line(level(system, Protected::Hardlinks)),
        |system, _, bytes| set_level(system, bytes, Protected::Hardlinks, 1),
    ),
    Entry::setting(
        "protected_regular",
        |system, _| line(level(system, Protected::Regular)),
        |system, _, bytes| set_level(system, bytes, Protected::Regular, 2),
    ),
    Entry::setting(
        "protected_symlinks",
        |system, _| line(level(system, Protected::Symlinks)),
        |system, _, bytes| set_level(system, bytes, Protected::Symlinks, 1),
    ),
    value("suid_dumpable", "0\n"),
]);

static INOTIFY: Directory<ProcSystem> = Directory::of(&[
    value("max_queued_events", "16384\n"),
    Entry::text("max_user_instances", |_, _| line(UserLimit::InotifyInstances.most())).mode(0o644),
    Entry::text("max_user_watches", |_, _| line(UserLimit::InotifyWatches.most())).mode(0o644),
]);

static EPOLL: Directory<ProcSystem> =
    Directory::of(&[Entry::text("max_user_watches", |_, _| line(UserLimit::EpollWatches.most())).mode(0o644)]);

static MQUEUE: Directory<ProcSystem> = Directory::of(&[
    Entry::setting(
        "msg_default",
        |system, _| line(queues(system).messages_default),
        |system, _, bytes| change(system, bytes, MESSAGES, |limits| &mut limits.messages_default),
    ),
    Entry::setting(
        "msg_max",
        |system, _| line(queues(system).messages_max),
        |system, _, bytes| change(system, bytes, MESSAGES, |limits| &mut limits.messages_max),
    ),
    Entry::setting(
        "msgsize_default",
        |system, _| line(queues(system).message_bytes_default),
        |system, _, bytes| change(system, bytes, MESSAGE_BYTES, |limits| &mut limits.message_bytes_default),
    ),
    Entry::setting(
        "msgsize_max",
        |system, _| line(queues(system).message_bytes_max),
        |system, _, bytes| change(system, bytes, MESSAGE_BYTES, |limits| &mut limits.message_bytes_max),
    ),
    Entry::setting(
        "queues_max",
        |system, _| line(queues(system).queues_max),
        |system, _, bytes| change(system, bytes, QUEUES, |limits| &mut limits.queues_max),
    ),
]);

/// What the settings of message queues can be (mq_overview(7)).
const MESSAGES: RangeInclusive<u32> = 1..=65_536;
const MESSAGE_BYTES: RangeInclusive<u32> = 128..=16_777_216;
const QUEUES: RangeInclusive<u32> = 0..=0x7fff_ffff;

fn queues(system: &ProcSystem) -> Limits {
    system.namespaces.ipc.queues.limits()
}

fn change(
    system: &ProcSystem,
    bytes: &[u8],
    allowed: RangeInclusive<u32>,
    field: fn(&mut Limits) -> &mut u32,
) -> Result<(), Errno> {
    let value = number(bytes, &allowed)?;
    let mut limits = queues(system);
    *field(&mut limits) = value;
    system.namespaces.ipc.queues.set_limits(limits);
    Ok(())
}

/// What was written to a setting that is one number.
fn number(bytes: &[u8], allowed: &RangeInclusive<u32>) -> Result<u32, Errno> {
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let value = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    if allowed.contains(&value) { Ok(value) } else { Err(Errno::EINVAL) }
}

fn level(system: &ProcSystem, which: Protected) -> u32 {
    system.kernel.vfs().protections().level(which)
}

fn set_level(system: &ProcSystem, bytes: &[u8], which: Protected, max: u32) -> Result<(), Errno> {
    system.kernel.vfs().protections().set_level(which, number(bytes, &(0..=max))?);
    Ok(())
}

/// Open files of the container; each table's own.
fn file_nr(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let tasks = system.processes().into_iter().filter_map(|process| process.leader());
    let open: usize = tasks.map(|task| task.files().all().len()).sum();
    let mut text = Text::new();
    writeln!(text, "{open}\t0\t{}", i64::MAX);
    text.finish()
}
