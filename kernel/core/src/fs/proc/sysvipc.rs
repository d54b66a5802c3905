//! /proc/sysvipc (sysvipc(7)).

use alloc::vec::Vec;

use super::ProcSystem;
use crate::Errno;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};
use crate::ipc::IpcPermission;

pub(super) static SYSVIPC: Directory<ProcSystem> =
    Directory::of(&[Entry::text("msg", msg), Entry::text("sem", sem), Entry::text("shm", shm)]);

const MSG: &str = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      \
                   rtime      ctime\n";
const SEM: &str = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n";
const SHM: &str = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      \
                   atime      dtime      ctime                   rss                  swap\n";

/// SHM_DEST and SHM_LOCKED in the mode.
const REMOVED: u32 = 0o1000;
const LOCKED: u32 = 0o2000;

/// /proc/sysvipc/shm (`sysvipc_shm_proc_show` of Linux).
fn shm(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    text.bytes(SHM.as_bytes());
    for segment in system.namespaces.ipc.segments.all() {
        let facts = segment.facts();
        let IpcPermission { key, uid, gid, creator_uid, creator_gid, mode } = facts.permission;
        let flag = |set, bit| if set { bit } else { 0 };
        let mode = mode | flag(facts.removed, REMOVED) | flag(facts.locked, LOCKED);
        let [attached, detached, changed] = facts.times.map(|time| time.as_secs());
        let (id, bytes, creator, last) = (segment.id, segment.bytes, segment.creator.raw(), facts.last.raw());
        write!(text, "{key:>10} {id:>10}  {mode:>4o} {bytes:>21} {creator:>5} {last:>5}  ");
        write!(
            text,
            "{:>5} {uid:>5} {gid:>5} {creator_uid:>5} {creator_gid:>5} ",
            system.kernel.count_mappings(&segment)
        );
        writeln!(text, "{attached:>10} {detached:>10} {changed:>10} {:>21} {:>21}", segment.len(), 0);
    }
    text.finish()
}

/// /proc/sysvipc/sem (`sysvipc_sem_proc_show` of Linux).
fn sem(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    text.bytes(SEM.as_bytes());
    for set in system.namespaces.ipc.semaphores.all() {
        let (permission, times) = set.look(|state| (state.permission, [state.operated, state.changed]));
        let IpcPermission { key, uid, gid, creator_uid, creator_gid, mode } = permission;
        let [operated, changed] = times.map(|time| time.as_secs());
        write!(text, "{key:>10} {:>10}  {mode:>4o} {:>10} {uid:>5} {gid:>5} ", set.id, set.count);
        writeln!(text, "{creator_uid:>5} {creator_gid:>5} {operated:>10} {changed:>10}");
    }
    text.finish()
}

/// /proc/sysvipc/msg (`sysvipc_msg_proc_show` of Linux).
fn msg(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    text.bytes(MSG.as_bytes());
    for queue in system.namespaces.ipc.messages.all() {
        let (permission, usage) = queue.look(|state| (state.permission, state.usage()));
        let (last, times) = queue.look(|state| (state.last, state.times));
        let IpcPermission { key, uid, gid, creator_uid, creator_gid, mode } = permission;
        let [sender, receiver] = last.map(|pid| pid.raw());
        let [sent, received, changed] = times.map(|time| time.as_secs());
        let (messages, bytes) = usage;
        write!(text, "{key:>10} {:>10}  {mode:>4o}  {bytes:>10} {messages:>10} {sender:>5} {receiver:>5} ", queue.id);
        write!(text, "{uid:>5} {gid:>5} {creator_uid:>5} {creator_gid:>5} ");
        writeln!(text, "{sent:>10} {received:>10} {changed:>10}");
    }
    text.finish()
}
