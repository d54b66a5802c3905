//! File descriptors (what CLONE_FILES shares).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use linux_raw_sys::general::FD_CLOEXEC;
use stockade_kernel_sync::Mutex;

use super::{File, Hooks, LockOwner};
use crate::Errno;

bitflags::bitflags! {
    /// The flags of one descriptor.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct FdFlags: u32 {
        /// It is closed by execve(2).
        const CLOSE_ON_EXEC = FD_CLOEXEC;
    }
}

/// What a descriptor number stands for.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// The open file.
    pub file: Arc<File>,
    /// The number's own flags.
    pub flags: FdFlags,
}

/// A table of descriptors.
#[derive(Debug)]
pub struct FdTable {
    id: u64,
    entries: Mutex<Entries>,
    /// Set once it has record locks.
    hooks: Mutex<Option<Arc<Hooks>>>,
}

#[derive(Clone, Debug, Default)]
struct Entries {
    slots: Vec<Option<Descriptor>>,
    /// No number below is free.
    first_free: usize,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Default for FdTable {
    fn default() -> Self {
        Self::of(Entries::default())
    }
}

impl FdTable {
    fn of(entries: Entries) -> Self {
        Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), entries: Mutex::new(entries), hooks: Mutex::new(None) }
    }

    /// An empty table.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A copy, for a child without CLONE_FILES.
    pub fn copy(&self) -> Arc<Self> {
        Arc::new(Self::of(self.entries.lock().clone()))
    }

    /// Its number, by which POSIX locks know their owner.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// It has record locks from now on, which end with it.
    pub fn set_hooks(&self, hooks: &Arc<Hooks>) {
        *self.hooks.lock() = Some(hooks.clone());
    }

    /// The file behind a number: `EBADF` if there is none.
    pub fn get(&self, fd: i32) -> Result<Arc<File>, Errno> {
        Ok(self.entries.lock().slot(fd)?.file.clone())
    }

    /// The same, unless it was opened with O_PATH.
    pub fn get_open(&self, fd: i32) -> Result<Arc<File>, Errno> {
        let file = self.get(fd)?;
        if file.is_path_only() { Err(Errno::EBADF) } else { Ok(file) }
    }

    /// Everything about a number.
    pub fn descriptor(&self, fd: i32) -> Result<Descriptor, Errno> {
        self.entries.lock().slot(fd).cloned()
    }

    /// Changes a number's own flags.
    pub fn set_flags(&self, fd: i32, flags: FdFlags) -> Result<(), Errno> {
        self.entries.lock().slot_mut(fd)?.flags = flags;
        Ok(())
    }

    /// Puts a file at the lowest free number that is at least `from`: `EMFILE` if none is below `limit`.
    pub fn insert(&self, file: Arc<File>, flags: FdFlags, from: i32, limit: u64) -> Result<i32, Errno> {
        self.entries.lock().insert(Descriptor { file, flags }, index(from)?, limit)
    }

    /// Puts a file at a number, and gives back what was there.
    pub fn replace(&self, fd: i32, file: Arc<File>, flags: FdFlags, limit: u64) -> Result<Option<Descriptor>, Errno> {
        let at = index(fd)?;
        if at as u64 >= limit {
            return Err(Errno::EBADF);
        }
        let mut entries = self.entries.lock();
        entries.grow(at);
        Ok(entries.slots[at].replace(Descriptor { file, flags }))
    }

    /// Frees a number and gives back what was there, to be let go outside any lock.
    pub fn remove(&self, fd: i32) -> Result<Descriptor, Errno> {
        self.entries.lock().take(index(fd)?).ok_or(Errno::EBADF)
    }

    /// Frees all numbers of a range.
    pub fn remove_range(&self, first: u32, last: u32) -> Vec<Descriptor> {
        let mut entries = self.entries.lock();
        let range = entries.range(first, last);
        range.filter_map(|at| entries.take(at)).collect()
    }

    /// Marks all numbers of a range to be closed by execve(2).
    pub fn mark_range(&self, first: u32, last: u32) {
        let mut entries = self.entries.lock();
        for at in entries.range(first, last) {
            if let Some(descriptor) = &mut entries.slots[at] {
                descriptor.flags |= FdFlags::CLOSE_ON_EXEC;
            }
        }
    }

    /// Frees what execve(2) closes.
    pub fn remove_close_on_exec(&self) -> Vec<Descriptor> {
        let mut entries = self.entries.lock();
        let marked = |slot: &Option<Descriptor>| {
            slot.as_ref().is_some_and(|descriptor| descriptor.flags.contains(FdFlags::CLOSE_ON_EXEC))
        };
        let numbers: Vec<usize> = (0..entries.slots.len()).filter(|&at| marked(&entries.slots[at])).collect();
        numbers.into_iter().filter_map(|at| entries.take(at)).collect()
    }

    /// All numbers in use, rising.
    pub fn all(&self) -> Vec<(i32, Descriptor)> {
        let entries = self.entries.lock();
        let numbered = entries.slots.iter().enumerate();
        numbered.filter_map(|(at, slot)| Some((i32::try_from(at).ok()?, slot.clone()?))).collect()
    }
}

impl Drop for FdTable {
    fn drop(&mut self) {
        if let Some(hooks) = self.hooks.get_mut() {
            hooks.locks.clear_all(LockOwner::Table(self.id));
        }
    }
}

fn index(fd: i32) -> Result<usize, Errno> {
    usize::try_from(fd).map_err(|_| Errno::EBADF)
}

impl Entries {
    fn slot(&self, fd: i32) -> Result<&Descriptor, Errno> {
        self.slots.get(index(fd)?).and_then(Option::as_ref).ok_or(Errno::EBADF)
    }

    fn slot_mut(&mut self, fd: i32) -> Result<&mut Descriptor, Errno> {
        self.slots.get_mut(index(fd)?).and_then(Option::as_mut).ok_or(Errno::EBADF)
    }

    fn grow(&mut self, at: usize) {
        if self.slots.len() <= at {
            self.slots.resize(at + 1, None);
        }
    }

    fn range(&self, first: u32, last: u32) -> core::ops::Range<usize> {
        let end = (last as usize).saturating_add(1).min(self.slots.len());
        (first as usize).min(end)..end
    }

    fn insert(&mut self, descriptor: Descriptor, from: usize, limit: u64) -> Result<i32, Errno> {
        let mut at = from.max(self.first_free);
        while self.slots.get(at).is_some_and(Option::is_some) {
            at += 1;
        }
        if at as u64 >= limit {
            return Err(Errno::EMFILE);
        }
        self.grow(at);
        self.slots[at] = Some(descriptor);
        if from <= self.first_free {
            self.first_free = at + 1;
        }
        i32::try_from(at).map_err(|_| Errno::EMFILE)
    }

    fn take(&mut self, at: usize) -> Option<Descriptor> {
        let taken = self.slots.get_mut(at)?.take()?;
        self.first_free = self.first_free.min(at);
        Some(taken)
    }
}
