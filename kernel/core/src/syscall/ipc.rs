//! What the calls of System V semaphores and message queues share (sysvipc(7)).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder};
use crate::ipc::{Create, Ipc, IpcPermission, Lookup};
use crate::platform::HostClock;
use crate::task::{Credentials, Task};

const IPC_CREAT: i32 = 0o1000;
const IPC_EXCL: i32 = 0o2000;
/// IPC_NOWAIT
pub(super) const NO_WAIT: i32 = 0o4000;
/// IPC_RMID
pub(super) const REMOVE: i32 = 0;
/// IPC_SET
pub(super) const SET: i32 = 1;
/// IPC_STAT
pub(super) const STATUS: i32 = 2;
/// IPC_INFO
pub(super) const INFO: i32 = 3;

/// Whether reading must be permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Yes,
    No,
}

/// The objects of a task's container.
pub(super) fn objects(task: &Task) -> &Ipc {
    &task.process().namespaces().ipc
}

pub(super) fn now(task: &Task) -> Duration {
    task.kernel().machine().now(HostClock::Realtime)
}

/// What semget(2) and msgget(2) ask for.
pub(super) fn lookup(key: i32, flags: i32, credentials: &Credentials) -> Lookup<'_> {
    let create = match (flags & IPC_CREAT != 0, flags & IPC_EXCL != 0) {
        (false, _) => Create::No,
        (true, false) => Create::Missing,
        (true, true) => Create::Only,
    };
    Lookup { key, mode: (flags & 0o777).unsigned_abs(), create, credentials }
}

/// `struct ipc64_perm`.
pub(super) fn put_permission(out: &mut Encoder, permission: &IpcPermission) {
    out.put(permission.key).put(permission.uid).put(permission.gid);
    out.put(permission.creator_uid).put(permission.creator_gid).put(permission.mode).zeros(24);
}

/// Bytes of `struct ipc64_perm`.
pub(super) const PERMISSION_BYTES: usize = 48;

/// Owner, group and mode of a structure that IPC_SET comes with.
pub(super) fn change_permission(permission: &mut IpcPermission, fields: &mut Decoder<'_>) {
    fields.skip(4);
    (permission.uid, permission.gid) = (fields.take(), fields.take());
    fields.skip(8);
    permission.mode = fields.take::<u32>() & 0o777;
    fields.skip(24);
}

/// The object at a place of the list, which is what the commands of ipcs(1) count by.
pub(super) fn at_index<T>(all: &[Arc<T>], index: i32) -> Result<Arc<T>, Errno> {
    let index = usize::try_from(index).map_err(|_| Errno::EINVAL)?;
    all.get(index).cloned().ok_or(Errno::EINVAL)
}

/// The highest place in use.
pub(super) fn highest(count: usize) -> u64 {
    count.saturating_sub(1) as u64
}

/// Numbers one after another.
pub(super) fn numbers<T: Abi>(values: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut out = Encoder::new();
    for value in values {
        out.put(value);
    }
    out.finish()
}
