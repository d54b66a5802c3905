//! flock(2), and the record locks of fcntl(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder};
use crate::task::Task;
use crate::vfs::{File, Lock, LockKind, LockOwner, LockRefused};
use crate::wait::Stop;

/// flock(2)
pub fn flock(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let file = task.files().get_open(call.int(0))?;
    let operation = call.uint(1);
    let locks = &task.kernel().vfs().hooks().locks;
    let (key, owner) = (file.path().key(), LockOwner::Flock(file.id()));
    let kind = match operation & !abi::LOCK_NB {
        abi::LOCK_SH => LockKind::Shared,
        abi::LOCK_EX => LockKind::Exclusive,
        abi::LOCK_UN => {
            locks.clear(key, owner, 0, u64::MAX);
            return Ok(());
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    let lock = Lock { owner, pid: pid(task), kind, start: 0, last: u64::MAX };
    // A lock of the other kind is given up first, whether or not the new one can be had (flock(2)).
    locks.clear(key, owner, 0, u64::MAX);
    match locks.set(key, lock) {
        Ok(()) => Ok(()),
        Err(LockRefused::NoMemory) => Err(Errno::ENOLCK.into()),
        Err(LockRefused::Blocked(_)) if operation & abi::LOCK_NB != 0 => Err(Errno::EAGAIN.into()),
        Err(LockRefused::Blocked(blocked)) => Err(call.wait(task, &blocked.queue)),
    }
}

fn pid(task: &Arc<Task>) -> i32 {
    i32::try_from(task.process().pid().raw()).unwrap_or(i32::MAX)
}

/// `struct flock` of x86-64.
#[derive(Clone, Copy, Debug, Default)]
struct Flock {
    kind: i16,
    whence: i16,
    start: i64,
    len: i64,
    pid: i32,
}

impl Abi for Flock {
    const LEN: usize = 32;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let (kind, whence) = (from.take(), from.take());
        from.skip(4);
        let (start, len, pid) = (from.take(), from.take(), from.take());
        from.skip(4);
        Self { kind, whence, start, len, pid }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.kind).put(self.whence).zeros(4).put(self.start).put(self.len).put(self.pid).zeros(4);
    }
}

const READ: i16 = 0;
const WRITE: i16 = 1;
const UNLOCK: i16 = 2;

/// First and last byte of a lock. A length of 0 reaches to the end, a negative one back from the start.
fn range(flock: &Flock, file: &File) -> Result<(u64, u64), Errno> {
    let base = match u32::try_from(flock.whence).map_err(|_| Errno::EINVAL)? {
        abi::SEEK_SET => 0,
        abi::SEEK_CUR => file.position().cast_signed(),
        abi::SEEK_END => file.inode().stat()?.size.cast_signed(),
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(flock.start).ok_or(Errno::EOVERFLOW)?;
    let (start, last) = match flock.len {
        0 => (start, i64::MAX),
        len if len > 0 => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
        len => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
    };
    let start = u64::try_from(start).map_err(|_| Errno::EINVAL)?;
    Ok((start, u64::try_from(last).map_err(|_| Errno::EINVAL)?))
}

fn decode(task: &Arc<Task>, call: &Call, file: &File, owner: LockOwner) -> Result<(Flock, Option<Lock>), Errno> {
    let flock: Flock = task.memory().read_struct(call.arg(2))?;
    let (start, last) = range(&flock, file)?;
    let kind = match flock.kind {
        READ => LockKind::Shared,
        WRITE => LockKind::Exclusive,
        UNLOCK => return Ok((flock, None)),
        _ => return Err(Errno::EINVAL),
    };
    let ofd = matches!(owner, LockOwner::File(_));
    let pid = if ofd { -1 } else { pid(task) };
    Ok((flock, Some(Lock { owner, pid, kind, start, last })))
}

/// Whose lock a command is about.
pub(super) fn owner(task: &Arc<Task>, file: &File, command: u32) -> LockOwner {
    match command {
        abi::F_OFD_GETLK | abi::F_OFD_SETLK | abi::F_OFD_SETLKW => LockOwner::File(file.id()),
        _ => LockOwner::Table(task.files().id()),
    }
}

fn check_pid(flock: &Flock, owner: LockOwner) -> Result<(), Errno> {
    if matches!(owner, LockOwner::File(_)) && flock.pid != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

/// fcntl(2) F_GETLK
pub(super) fn get(task: &Arc<Task>, call: &Call, file: &File, owner: LockOwner) -> Result<u64, Stop> {
    let (mut flock, lock) = decode(task, call, file, owner)?;
    check_pid(&flock, owner)?;
    let Some(lock) = lock else { return Err(Errno::EINVAL.into()) };
    match task.kernel().vfs().hooks().locks.conflict(file.path().key(), &lock) {
        None => flock.kind = UNLOCK,
        Some(held) => {
            let len = if held.last >= i64::MAX.cast_unsigned() { 0 } else { held.last - held.start + 1 };
            flock = Flock {
                kind: if held.kind == LockKind::Shared { READ } else { WRITE },
                whence: 0,
                start: held.start.cast_signed(),
                len: len.cast_signed(),
                pid: held.pid,
            };
        }
    }
    task.memory().write_struct(call.arg(2), &flock)?;
    Ok(0)
}

/// fcntl(2) F_SETLK and F_SETLKW
pub(super) fn set(
    task: &Arc<Task>,
    call: &mut Call,
    file: &Arc<File>,
    owner: LockOwner,
    waits: bool,
) -> Result<u64, Stop> {
    let (flock, lock) = decode(task, call, file, owner)?;
    check_pid(&flock, owner)?;
    let vfs = task.kernel().vfs();
    let (locks, key) = (&vfs.hooks().locks, file.path().key());
    let Some(lock) = lock else {
        let (start, last) = range(&flock, file)?;
        locks.clear(key, owner, start, last);
        return Ok(0);
    };
    match lock.kind {
        LockKind::Shared => file.check_readable()?,
        LockKind::Exclusive => file.check_writable()?,
    }
    task.files().set_hooks(vfs.hooks());
    match locks.set(key, lock) {
        Ok(()) => Ok(0),
        Err(LockRefused::NoMemory) => Err(Errno::ENOLCK.into()),
        Err(LockRefused::Blocked(blocked)) if waits => {
            // Only a process can wait for itself: locks of open files may be anybody's (fcntl(2)).
            if matches!(owner, LockOwner::Table(_)) {
                call.keep(vfs.hooks().note_wait(owner, blocked.holder)?);
            }
            Err(call.wait(task, &blocked.queue))
        }
        Err(LockRefused::Blocked(_)) => Err(Errno::EAGAIN.into()),
    }
}
