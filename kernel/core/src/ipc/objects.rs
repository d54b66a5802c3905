//! What is found by an id or a key, and lives until it is removed: semaphore sets and message queues.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::segment::PRIVATE;
use super::{Create, IpcAccess, IpcPermission};
use crate::Errno;
use crate::task::Credentials;

/// One of them.
pub trait Object {
    /// Who may use it.
    fn permission(&self) -> IpcPermission;
}

/// A request to find or make one.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    /// What it is found by.
    pub key: i32,
    /// Permission bits: of a new one, or asked of one that is there.
    pub mode: u32,
    /// Whether a new one may be made.
    pub create: Create,
    /// Who asks.
    pub credentials: &'a Credentials,
}

impl Lookup<'_> {
    fn access(&self) -> IpcAccess {
        IpcAccess::from_bits_truncate((self.mode >> 6) | (self.mode >> 3) | self.mode)
    }
}

/// All of one kind in a container.
#[derive(Debug)]
pub struct Objects<T>(Mutex<Table<T>>);

#[derive(Debug)]
struct Table<T> {
    by_id: BTreeMap<i32, Arc<T>>,
    next: i32,
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self(Mutex::new(Table { by_id: BTreeMap::new(), next: 0 }))
    }
}

impl<T: Object> Objects<T> {
    /// How many there can be (SEMMNI, MSGMNI).
    pub const COUNT_MAX: usize = 32_000;

    /// Finds one that is good enough, or makes it with its id and permission.
    pub fn get(
        &self,
        lookup: &Lookup<'_>,
        fits: impl FnOnce(&T) -> Result<(), Errno>,
        make: impl FnOnce(i32, IpcPermission) -> Result<T, Errno>,
    ) -> Result<Arc<T>, Errno> {
        let mut table = self.0.lock();
        let keyed = lookup.key != PRIVATE;
        let found = table.by_id.values().find(|object| keyed && object.permission().key == lookup.key).cloned();
        if let Some(object) = found {
            if lookup.create == Create::Only {
                return Err(Errno::EEXIST);
            }
            fits(&object)?;
            object.permission().check(lookup.credentials, lookup.access())?;
            return Ok(object);
        }
        if keyed && lookup.create == Create::No {
            return Err(Errno::ENOENT);
        }
        if table.by_id.len() >= Self::COUNT_MAX {
            return Err(Errno::ENOSPC);
        }
        let id = table.free_id();
        let object = Arc::new(make(id, IpcPermission::new(lookup.key, lookup.mode, lookup.credentials))?);
        table.next = id.checked_add(1).unwrap_or(0);
        table.by_id.insert(id, object.clone());
        Ok(object)
    }

    /// The one with an id: `EINVAL` if there is none.
    pub fn find(&self, id: i32) -> Result<Arc<T>, Errno> {
        self.0.lock().by_id.get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// All, by rising id.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.0.lock().by_id.values().cloned().collect()
    }

    /// It cannot be found any more.
    pub fn remove(&self, id: i32) {
        let removed = self.0.lock().by_id.remove(&id);
        drop(removed);
    }
}

impl<T> Table<T> {
    fn free_id(&self) -> i32 {
        let mut id = self.next;
        while self.by_id.contains_key(&id) {
            id = id.checked_add(1).unwrap_or(0);
        }
        id
    }
}
