//! Shared memory segments (shmget(2)).

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use super::IpcPermission;
use crate::Errno;
use crate::mm::{MapPiece, MappedName, SharedMemory, Source};
use crate::platform::{Machine, Sharing};
use crate::task::{Credentials, Pid};

/// IPC_PRIVATE
pub(super) const PRIVATE: i32 = 0;
/// SHMMNI
const COUNT_MAX: usize = 4096;

/// A segment. It lives until it is removed and the last mapping of it is gone.
#[derive(Debug)]
pub struct Segment {
    /// Its id.
    pub id: i32,
    /// Bytes that were asked for.
    pub bytes: u64,
    /// Who made it.
    pub creator: Pid,
    memory: Arc<SharedMemory>,
    facts: Mutex<Facts>,
}

/// What changes about a segment.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Who may use it.
    pub permission: IpcPermission,
    /// Last shmat(2), shmdt(2) and change, since 1970.
    pub times: [Duration; 3],
    /// Who last attached or detached it.
    pub last: Pid,
    /// Whether it is gone once nobody has it attached (SHM_DEST).
    pub removed: bool,
    /// SHM_LOCK
    pub locked: bool,
}

impl Segment {
    /// What changes about it.
    pub fn facts(&self) -> Facts {
        *self.facts.lock()
    }

    /// Changes it.
    pub fn change(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts.lock());
    }

    /// Bytes in whole pages.
    pub fn len(&self) -> u64 {
        self.memory.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }
}

impl Source for Segment {
    fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        self.memory.map(offset, len, sharing)
    }

    fn name(&self) -> MappedName {
        self.memory.name()
    }

    fn sync(&self, _: u64, _: u64) -> Result<(), Errno> {
        Ok(())
    }
}

/// A request to find or make a segment.
#[derive(Clone, Copy, Debug)]
pub struct SegmentRequest<'a> {
    /// What it is found by.
    pub key: i32,
    /// Bytes.
    pub bytes: u64,
    /// Permission bits of a new one.
    pub mode: u32,
    /// Whether a new one may be made.
    pub create: Create,
    /// Who asks.
    pub credentials: &'a Credentials,
    /// Which process.
    pub pid: Pid,
    /// When, since 1970.
    pub now: Duration,
}

/// IPC_CREAT and IPC_EXCL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// It must be there.
    No,
    /// It is made if it is not there.
    Missing,
    /// It must not be there.
    Only,
}

/// All segments of a container.
#[derive(Debug, Default)]
pub struct Segments(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    by_id: BTreeMap<i32, Entry>,
    last: i32,
}

#[derive(Debug)]
enum Entry {
    Kept(Arc<Segment>),
    /// Removed; there as long as somebody has it attached.
    Removed(Weak<Segment>),
}

impl Entry {
    fn segment(&self) -> Option<Arc<Segment>> {
        match self {
            Entry::Kept(segment) => Some(segment.clone()),
            Entry::Removed(segment) => segment.upgrade(),
        }
    }
}

impl Segments {
    /// Finds or makes a segment.
    pub fn get(&self, machine: &Arc<dyn Machine>, request: &SegmentRequest<'_>) -> Result<Arc<Segment>, Errno> {
        let found = if request.key == PRIVATE { None } else { self.by_key(request.key) };
        match found {
            Some(_) if request.create == Create::Only => Err(Errno::EEXIST),
            Some(segment) if segment.bytes < request.bytes => Err(Errno::EINVAL),
            Some(segment) => {
                let access =
                    super::IpcAccess::from_bits_truncate((request.mode >> 6) | (request.mode >> 3) | request.mode);
                segment.facts().permission.check(request.credentials, access)?;
                Ok(segment)
            }
            None if request.create == Create::No && request.key != PRIVATE => Err(Errno::ENOENT),
            None => self.make(machine, request),
        }
    }

    fn make(&self, machine: &Arc<dyn Machine>, request: &SegmentRequest<'_>) -> Result<Arc<Segment>, Errno> {
        if request.bytes == 0 {
            return Err(Errno::EINVAL);
        }
        let mut table = self.0.lock();
        table.by_id.retain(|_, entry| entry.segment().is_some());
        if table.by_id.len() >= COUNT_MAX {
            return Err(Errno::ENOSPC);
        }
        let id = table.last;
        let path = alloc::format!("/SYSV{:08x} (deleted)", request.key);
        let memory = SharedMemory::new(machine, request.bytes, &path, u64::from(id.unsigned_abs()))?;
        table.last = id.checked_add(1).unwrap_or(0);
        let facts = Facts {
            permission: IpcPermission::new(request.key, request.mode, request.credentials),
            times: [Duration::ZERO, Duration::ZERO, request.now],
            last: Pid::NONE,
            removed: false,
            locked: false,
        };
        let (bytes, creator) = (request.bytes, request.pid);
        let segment = Arc::new(Segment { id, bytes, creator, memory, facts: Mutex::new(facts) });
        table.by_id.insert(id, Entry::Kept(segment.clone()));
        Ok(segment)
    }

    fn by_key(&self, key: i32) -> Option<Arc<Segment>> {
        let table = self.0.lock();
        let kept = table.by_id.values().filter(|entry| matches!(entry, Entry::Kept(_)));
        kept.filter_map(Entry::segment).find(|segment| segment.facts().permission.key == key)
    }

    /// The segment with an id: `EINVAL` if there is none.
    pub fn find(&self, id: i32) -> Result<Arc<Segment>, Errno> {
        self.0.lock().by_id.get(&id).and_then(Entry::segment).ok_or(Errno::EINVAL)
    }

    /// All segments, by rising id.
    pub fn all(&self) -> Vec<Arc<Segment>> {
        self.0.lock().by_id.values().filter_map(Entry::segment).collect()
    }

    /// IPC_RMID: it cannot be found by its key any more, and goes when nobody has it attached.
    pub fn remove(&self, segment: &Arc<Segment>) {
        segment.change(|facts| {
            facts.removed = true;
            facts.permission.key = PRIVATE;
        });
        let old = self.0.lock().by_id.insert(segment.id, Entry::Removed(Arc::downgrade(segment)));
        drop(old);
    }
}
