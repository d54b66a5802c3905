//! Names that were looked up.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use stockade_kernel_sync::{Mutex, MutexGuard};

use super::{Caching, Inode, OpenFlags, Rename, Superblock};
use crate::Errno;

/// A name of a file, and where it hangs. Names that do not exist have none.
#[derive(Debug)]
pub struct Dentry {
    inode: Arc<dyn Inode>,
    place: Mutex<Place>,
    children: Mutex<Children>,
    mounts: AtomicU32,
    /// Its place among the names that its superblock keeps; 0 for none.
    pub(super) remembered: AtomicU64,
    opened: AtomicU32,
    /// Made with O_TMPFILE and without O_EXCL.
    linkable: bool,
}

/// The names of a directory that somebody holds. Its lock is the directory's.
pub(super) type Children = BTreeMap<Vec<u8>, Weak<Dentry>>;

#[derive(Debug)]
struct Place {
    parent: Option<Arc<Dentry>>,
    name: Vec<u8>,
    unlinked: bool,
}

impl Dentry {
    /// The top of a tree; `name` is what a file without a path is called.
    pub fn top(inode: Arc<dyn Inode>, name: &[u8]) -> Arc<Self> {
        Self::new(inode, None, name)
    }

    fn new(inode: Arc<dyn Inode>, parent: Option<Arc<Dentry>>, name: &[u8]) -> Arc<Self> {
        Arc::new(Self::build(inode, parent, name, false))
    }

    fn build(inode: Arc<dyn Inode>, parent: Option<Arc<Dentry>>, name: &[u8], unnamed: bool) -> Self {
        let place = Mutex::new(Place { parent, name: name.to_vec(), unlinked: unnamed });
        let (children, mounts, opened) = (Mutex::new(Children::new()), AtomicU32::new(0), AtomicU32::new(0));
        Self { inode, place, children, mounts, remembered: AtomicU64::new(0), opened, linkable: false }
    }

    /// A file below `parent` that never had a name, and may get one if its opener lets it.
    pub(super) fn unnamed(inode: Arc<dyn Inode>, parent: &Arc<Dentry>, name: &[u8], flags: OpenFlags) -> Arc<Self> {
        let mut dentry = Self::build(inode, Some(parent.clone()), name, true);
        dentry.linkable = !flags.contains(OpenFlags::EXCLUSIVE);
        Arc::new(dentry)
    }

    /// Whether it may be given a name though it has none.
    pub(super) fn is_linkable(&self) -> bool {
        self.linkable
    }

    /// Whether a file is open by this name.
    pub(super) fn is_open(&self) -> bool {
        self.opened.load(Ordering::Acquire) > 0
    }

    pub(super) fn add_opened(&self) {
        self.opened.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn remove_opened(&self) {
        self.opened.fetch_sub(1, Ordering::AcqRel);
    }

    /// What it names.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    /// The directory above; `None` at the top.
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.place.lock().parent.clone()
    }

    /// The last part of its path.
    pub fn name(&self) -> Vec<u8> {
        self.place.lock().name.clone()
    }

    /// Whether the name is gone.
    pub fn is_unlinked(&self) -> bool {
        self.place.lock().unlinked
    }

    /// Whether `other` is this or lies below it in the same file system.
    pub fn is_above(self: &Arc<Self>, other: &Arc<Dentry>) -> bool {
        let mut here = other.clone();
        loop {
            if Arc::ptr_eq(self, &here) {
                return true;
            }
            match here.parent() {
                Some(parent) => here = parent,
                None => return false,
            }
        }
    }

    /// Whether something may be mounted here.
    pub(super) fn has_mounts(&self) -> bool {
        self.mounts.load(Ordering::Acquire) > 0
    }

    pub(super) fn add_mount(&self) {
        self.mounts.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn remove_mount(&self) {
        self.mounts.fetch_sub(1, Ordering::AcqRel);
    }

    /// Takes the directory's lock.
    pub(super) fn lock(self: &Arc<Self>) -> LockedDir<'_> {
        LockedDir { dentry: self, children: self.children.lock() }
    }

    /// Finds a name in a directory.
    pub(super) fn lookup(self: &Arc<Self>, superblock: &Superblock, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        self.lock().lookup(superblock, name)
    }
}

/// A directory whose names cannot change meanwhile.
#[derive(Debug)]
pub(super) struct LockedDir<'a> {
    dentry: &'a Arc<Dentry>,
    children: MutexGuard<'a, Children>,
}

impl LockedDir<'_> {
    /// Finds a name.
    pub fn lookup(&mut self, superblock: &Superblock, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        let known = self.children.get(name).and_then(Weak::upgrade);
        if let (Some(known), Caching::Names) = (&known, superblock.caching()) {
            // What is mounted here stays, whatever becomes of the name below.
            if known.inode.is_current() || known.has_mounts() {
                return Ok(known.clone());
            }
        }
        if self.dentry.is_unlinked() {
            return Err(Errno::ENOENT);
        }
        let found = self.dentry.inode.lookup(name);
        match (known, found) {
            (Some(known), Ok(inode)) if known.inode.number() == inode.number() => Ok(known),
            (known, found) => {
                if known.is_some() && superblock.caching() == Caching::Names {
                    self.remove(superblock, name);
                }
                Ok(self.add(superblock, name, found?))
            }
        }
    }

    /// Enters a name that the file system has now.
    pub fn add(&mut self, superblock: &Superblock, name: &[u8], inode: Arc<dyn Inode>) -> Arc<Dentry> {
        let dentry = Dentry::new(inode, Some(self.dentry.clone()), name);
        if self.children.len() >= 64 && self.children.len().is_power_of_two() {
            self.children.retain(|_, child| child.strong_count() > 0);
        }
        self.children.insert(name.to_vec(), Arc::downgrade(&dentry));
        if superblock.caching() == Caching::Names {
            superblock.remember(&dentry);
        }
        dentry
    }

    /// Forgets a name that the file system has no more.
    pub fn remove(&mut self, superblock: &Superblock, name: &[u8]) {
        if let Some(gone) = self.children.remove(name).and_then(|child| child.upgrade()) {
            gone.place.lock().unlinked = true;
            superblock.forget(&gone);
        }
    }
}

/// Follows a rename that the file system made; `to` is `None` within one directory.
pub(super) fn renamed(
    from: &mut LockedDir<'_>,
    name: &[u8],
    mut to: Option<&mut LockedDir<'_>>,
    to_name: &[u8],
    how: Rename,
) {
    let moved = from.children.remove(name);
    let replaced = match &mut to {
        Some(to) => to.children.remove(to_name),
        None => from.children.remove(to_name),
    };
    let parent = to.as_ref().map_or(from.dentry, |to| to.dentry).clone();
    if let Some(child) = replaced {
        if how == Rename::Exchange {
            place(&child, from.dentry, name);
            from.children.insert(name.to_vec(), child);
        } else if let Some(gone) = child.upgrade() {
            gone.place.lock().unlinked = true;
        }
    }
    if let Some(child) = moved {
        place(&child, &parent, to_name);
        match to {
            Some(to) => to.children.insert(to_name.to_vec(), child),
            None => from.children.insert(to_name.to_vec(), child),
        };
    }
}

fn place(child: &Weak<Dentry>, parent: &Arc<Dentry>, name: &[u8]) {
    if let Some(child) = child.upgrade() {
        let mut place = child.place.lock();
        place.parent = Some(parent.clone());
        place.name = name.to_vec();
    }
}

impl Drop for Dentry {
    /// Lets go of the directories above one after the other: a deep tree must not recurse.
    fn drop(&mut self) {
        let mut above = self.place.get_mut().parent.take();
        while let Some(parent) = above {
            above = Arc::into_inner(parent).and_then(|mut parent| parent.place.get_mut().parent.take());
        }
    }
}
