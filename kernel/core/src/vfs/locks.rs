//! Locks on files: flock(2), and the record locks of fcntl(2).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use stockade_kernel_sync::Mutex;

use super::InodeKey;
use super::hooks::Hooks;
use crate::Errno;
use crate::account::Charge;
use crate::wait::SharedQueue;

/// Whose lock it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockOwner {
    /// A descriptor table's: record locks as POSIX has them.
    Table(u64),
    /// An open file's: F_OFD_SETLK.
    File(u64),
    /// An open file's: flock(2), which the others do not see.
    Flock(u64),
}

impl LockOwner {
    /// Whether locks of the two can be in each other's way.
    fn competes_with(self, other: Self) -> bool {
        let flock = |owner| matches!(owner, Self::Flock(_));
        self != other && flock(self) == flock(other)
    }
}

/// Who else may hold a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Other shared ones (F_RDLCK).
    Shared,
    /// Nobody (F_WRLCK).
    Exclusive,
}

/// One lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Whose.
    pub owner: LockOwner,
    /// Which process asked, as `l_pid` shows it.
    pub pid: i32,
    /// Shared or not.
    pub kind: LockKind,
    /// First byte.
    pub start: u64,
    /// Last byte.
    pub last: u64,
}

impl Lock {
    fn overlaps(&self, other: &Lock) -> bool {
        self.start <= other.last && other.start <= self.last
    }

    fn conflicts_with(&self, other: &Lock) -> bool {
        let exclusive = self.kind == LockKind::Exclusive || other.kind == LockKind::Exclusive;
        exclusive && self.owner.competes_with(other.owner) && self.overlaps(other)
    }
}

/// All locks of a kernel.
#[derive(Debug, Default)]
pub struct Locks {
    files: Mutex<BTreeMap<InodeKey, FileLocks>>,
    /// How many files have some, for a look without the lock.
    count: AtomicUsize,
    /// Who waits for whom.
    waits: Mutex<BTreeMap<u64, Wait>>,
    tickets: AtomicU64,
}

/// Somebody who waits for another's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wait {
    owner: LockOwner,
    holder: LockOwner,
}

/// Another's lock is in the way.
#[derive(Debug)]
pub struct Blocked {
    /// Woken when it goes.
    pub queue: SharedQueue,
    /// Whose it is.
    pub holder: LockOwner,
}

/// Why a lock was not taken.
#[derive(Debug)]
pub enum LockRefused {
    /// It must be waited for.
    Blocked(Blocked),
    /// The sandbox has no memory for more.
    NoMemory,
}

/// A note that somebody waits; taken back when it is dropped.
#[derive(Debug)]
pub struct WaitNote {
    hooks: Arc<Hooks>,
    ticket: u64,
}

impl Drop for WaitNote {
    fn drop(&mut self) {
        self.hooks.locks.waits.lock().remove(&self.ticket);
    }
}

/// MAX_DEADLK_ITERATIONS of Linux.
const CHAIN_MAX: usize = 10;

impl Hooks {
    /// Notes that an owner is going to wait for a holder: `EDEADLK` when the holder waits for the owner in turn.
    pub fn note_wait(self: &Arc<Self>, owner: LockOwner, holder: LockOwner) -> Result<WaitNote, Errno> {
        let mut waits = self.locks.waits.lock();
        let mut at = holder;
        for _ in 0..CHAIN_MAX {
            if at == owner {
                return Err(Errno::EDEADLK);
            }
            let Some(next) = waits.values().find(|wait| wait.owner == at) else { break };
            at = next.holder;
        }
        let ticket = self.locks.tickets.fetch_add(1, Ordering::Relaxed);
        waits.insert(ticket, Wait { owner, holder });
        Ok(WaitNote { hooks: self.clone(), ticket })
    }
}

#[derive(Debug, Default)]
struct FileLocks {
    held: Vec<Lock>,
    queue: SharedQueue,
    memory: Charge,
}

/// What a file with locks takes, and each of them in a vector that has doubled.
const FILE_BYTES: usize = 320;
const LOCK_BYTES: usize = 2 * size_of::<Lock>();

impl Locks {
    /// A lock that is in the way of another.
    pub fn conflict(&self, key: InodeKey, wanted: &Lock) -> Option<Lock> {
        self.files.lock().get(&key)?.held.iter().find(|held| wanted.conflicts_with(held)).copied()
    }

    /// Takes a lock, in place of what the owner has there. The queue is woken when one that is in the way goes.
    pub fn set(&self, key: InodeKey, wanted: Lock) -> Result<(), LockRefused> {
        let woken = {
            let mut files = self.files.lock();
            let file = files.entry(key).or_default();
            if let Some(held) = file.held.iter().find(|held| wanted.conflicts_with(held)) {
                return Err(LockRefused::Blocked(Blocked { queue: file.queue.clone(), holder: held.owner }));
            }
            if file.grow().is_err() {
                if file.held.is_empty() {
                    files.remove(&key);
                }
                return Err(LockRefused::NoMemory);
            }
            file.clear(wanted.owner, wanted.start, wanted.last);
            file.insert(wanted);
            file.settle();
            self.count.store(files.len(), Ordering::Release);
            files.get(&key).map(|file| file.queue.clone())
        };
        // A lock that was made weaker or smaller may let others in.
        woken.inspect(|queue| queue.wake());
        Ok(())
    }

    /// Gives up what an owner has in a range.
    pub fn clear(&self, key: InodeKey, owner: LockOwner, start: u64, last: u64) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let woken = {
            let mut files = self.files.lock();
            let Some(file) = files.get_mut(&key) else { return };
            if !file.held.iter().any(|lock| lock.owner == owner && lock.start <= last && start <= lock.last) {
                return;
            }
            file.clear(owner, start, last);
            file.settle();
            let queue = file.queue.clone();
            if file.held.is_empty() {
                files.remove(&key);
            }
            self.count.store(files.len(), Ordering::Release);
            queue
        };
        woken.wake();
    }

    /// Gives up all that an owner has.
    pub fn clear_all(&self, owner: LockOwner) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let has = |file: &FileLocks| file.held.iter().any(|lock| lock.owner == owner);
        let keys: Vec<InodeKey> = {
            let files = self.files.lock();
            files.iter().filter(|(_, file)| has(file)).map(|(key, _)| *key).collect()
        };
        for key in keys {
            self.clear(key, owner, 0, u64::MAX);
        }
    }

    /// All locks, for /proc/locks.
    pub fn all(&self) -> Vec<(InodeKey, Lock)> {
        let files = self.files.lock();
        files.iter().flat_map(|(key, file)| file.held.iter().map(|lock| (*key, *lock))).collect()
    }
}

impl FileLocks {
    /// Room for one more lock, which may split another.
    fn grow(&mut self) -> Result<(), Errno> {
        self.memory.grow(FILE_BYTES + 2 * LOCK_BYTES)
    }

    /// What it takes now.
    fn settle(&mut self) {
        self.memory.set(FILE_BYTES + self.held.len() * LOCK_BYTES);
    }

    /// Takes a range out of an owner's locks, which may split them.
    fn clear(&mut self, owner: LockOwner, start: u64, last: u64) {
        let mut kept = Vec::with_capacity(self.held.len());
        for lock in self.held.drain(..) {
            if lock.owner != owner || lock.last < start || lock.start > last {
                kept.push(lock);
                continue;
            }
            if lock.start < start {
                kept.push(Lock { last: start - 1, ..lock });
            }
            if lock.last > last {
                kept.push(Lock { start: last + 1, ..lock });
            }
        }
        self.held = kept;
    }

    /// Adds a lock, joined with those of the same owner and kind that touch it.
    fn insert(&mut self, mut lock: Lock) {
        self.held.retain(|held| {
            let touches = held.start <= lock.last.saturating_add(1) && lock.start <= held.last.saturating_add(1);
            let joins = held.owner == lock.owner && held.kind == lock.kind && touches;
            if joins {
                lock.start = lock.start.min(held.start);
                lock.last = lock.last.max(held.last);
            }
            !joins
        });
        self.held.push(lock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::Device;

    const KEY: InodeKey = InodeKey { device: Device::new(0, 1), ino: 1 };

    fn lock(owner: u64, kind: LockKind, start: u64, last: u64) -> Lock {
        Lock { owner: LockOwner::Table(owner), pid: 1, kind, start, last }
    }

    #[test]
    fn exclusive_locks_keep_others_out_where_they_overlap() {
        let locks = Locks::default();
        locks.set(KEY, lock(1, LockKind::Exclusive, 10, 19)).unwrap();
        assert!(locks.set(KEY, lock(2, LockKind::Shared, 19, 30)).is_err());
        assert!(locks.set(KEY, lock(2, LockKind::Shared, 20, 30)).is_ok());
        assert!(locks.set(KEY, lock(3, LockKind::Shared, 25, 40)).is_ok());
        let flock = Lock { owner: LockOwner::Flock(9), ..lock(0, LockKind::Exclusive, 0, u64::MAX) };
        assert!(locks.set(KEY, flock).is_ok());
    }

    #[test]
    fn a_circle_of_waits_is_a_deadlock() {
        let hooks = Arc::new(Hooks::default());
        let [one, two, three] = [1, 2, 3].map(LockOwner::Table);
        let first = hooks.note_wait(one, two).unwrap();
        let _second = hooks.note_wait(two, three).unwrap();
        assert!(matches!(hooks.note_wait(three, one), Err(Errno::EDEADLK)));
        drop(first);
        assert!(hooks.note_wait(three, one).is_ok());
    }

    #[test]
    fn clearing_the_middle_splits_a_lock() {
        let locks = Locks::default();
        locks.set(KEY, lock(1, LockKind::Exclusive, 0, 99)).unwrap();
        locks.clear(KEY, LockOwner::Table(1), 40, 59);
        let ranges: Vec<_> = locks.all().iter().map(|(_, lock)| (lock.start, lock.last)).collect();
        assert_eq!(ranges, [(0, 39), (60, 99)]);
        locks.set(KEY, lock(1, LockKind::Exclusive, 40, 59)).unwrap();
        assert_eq!(locks.all().len(), 1);
        locks.clear_all(LockOwner::Table(1));
        assert!(locks.all().is_empty());
    }
}
