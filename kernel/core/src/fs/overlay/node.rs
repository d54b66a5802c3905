//! Inodes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::file::{Directory, OverlayFile};
use super::{Lower, PRIVATE, Shared};
use crate::Errno;
use crate::vfs::{
    Allocation, Caller, Changes, FileKind, FileObject, Inode, LinkTarget, NewInode, Opening, Rename, Stat, XattrSet,
};

/// A file or directory of the overlay.
#[derive(Debug)]
pub struct Node {
    pub(super) shared: Arc<Shared>,
    number: u64,
    kind: FileKind,
    parts: Mutex<Parts>,
    place: Mutex<Option<Place>>,
}

/// What an inode is made of.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// In the writable layer.
    pub upper: Option<Arc<dyn Inode>>,
    /// Below, topmost first: one for a file that is not copied up, any number for a directory.
    pub lowers: Vec<Lower>,
    /// Names that a file which is not copied up has lost.
    pub lost: u32,
}

/// One of an inode's names: where it is copied up to.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub parent: Arc<Node>,
    pub name: Vec<u8>,
}

impl Shared {
    /// The node with this number: the live one if there is one.
    pub(super) fn node(self: &Arc<Self>, number: u64, kind: FileKind, parts: Parts, place: Option<Place>) -> Arc<Node> {
        let mut live = self.live.lock();
        if let Some(node) = live.get(&number).and_then(alloc::sync::Weak::upgrade) {
            drop(live);
            node.set_place(place);
            return node;
        }
        let node =
            Arc::new(Node { shared: self.clone(), number, kind, parts: Mutex::new(parts), place: Mutex::new(place) });
        live.insert(number, Arc::downgrade(&node));
        node
    }
}

impl Node {
    pub(super) fn parts(&self) -> Parts {
        self.parts.lock().clone()
    }

    pub(super) fn with_parts<T>(&self, change: impl FnOnce(&mut Parts) -> T) -> T {
        change(&mut self.parts.lock())
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.place.lock().clone()
    }

    pub(super) fn set_place(&self, place: Option<Place>) {
        let before = core::mem::replace(&mut *self.place.lock(), place);
        drop(before);
    }

    /// The inode of a layer that shows.
    pub(super) fn real(&self) -> Arc<dyn Inode> {
        let parts = self.parts.lock();
        match (&parts.upper, parts.lowers.first()) {
            (Some(upper), _) => upper.clone(),
            (None, Some(lower)) => lower.inode.clone(),
            (None, None) => unreachable!("a node has a part"),
        }
    }

    /// Whether it was copied up, or made here.
    pub(super) fn upper(&self) -> Option<Arc<dyn Inode>> {
        self.parts.lock().upper.clone()
    }

    fn me(&self) -> Result<Arc<Node>, Errno> {
        self.shared.live.lock().get(&self.number).and_then(alloc::sync::Weak::upgrade).ok_or(Errno::EIO)
    }

    fn writable(&self) -> Result<Arc<dyn Inode>, Errno> {
        self.me()?.copy_up(u64::MAX)
    }
}

impl Drop for Node {
    /// Leaves the table, and lets go of the directories above one after the other: a deep tree must not recurse.
    fn drop(&mut self) {
        let mut live = self.shared.live.lock();
        // Another node may have taken the number since the last reference went.
        if live.get(&self.number).is_some_and(|node| node.strong_count() == 0) {
            live.remove(&self.number);
        }
        drop(live);
        let mut above = self.place.get_mut().take();
        while let Some(place) = above {
            above = Arc::into_inner(place.parent).and_then(|mut parent| parent.place.get_mut().take());
        }
    }
}

impl Inode for Node {
    fn number(&self) -> u64 {
        self.number
    }

    fn kind(&self) -> FileKind {
        self.kind
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let (real, merged, lost) = {
            let parts = self.parts.lock();
            let lower = parts.lowers.first().map(|lower| &lower.inode);
            let real = parts.upper.as_ref().or(lower).ok_or(Errno::EIO)?.clone();
            (real, !parts.lowers.is_empty(), parts.lost)
        };
        let mut stat = real.stat()?;
        stat.ino = self.number;
        if self.kind == FileKind::Directory && merged && stat.nlink > 0 {
            // As Linux shows merged directories: nobody counts their subdirectories.
            stat.nlink = 1;
        }
        stat.nlink = stat.nlink.saturating_sub(lost);
        Ok(stat)
    }

    fn open(self: Arc<Self>, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        if self.kind == FileKind::Directory {
            return Ok(Arc::new(Directory::new(self)));
        }
        if opening.flags.writes() {
            self.copy_up(u64::MAX)?;
        }
        OverlayFile::open(self)
    }

    fn change(&self, changes: &Changes) -> Result<(), Errno> {
        self.writable()?.change(changes)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        Ok(self.me()?.find(name)?)
    }

    fn create(&self, name: &[u8], new: &NewInode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        Ok(self.me()?.make(name, new)?)
    }

    fn create_unnamed(&self, new: &NewInode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let upper = self.writable()?.create_unnamed(new)?;
        let (number, kind) = (upper.number(), upper.kind());
        Ok(self.shared.node(number, kind, Parts { upper: Some(upper), lowers: Vec::new(), lost: 0 }, None))
    }

    fn link(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.me()?.add_name(name, &inode.downcast()?)
    }

    fn unlink(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.me()?.remove_name(name, &inode.downcast()?)
    }

    fn rmdir(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.me()?.remove_directory(name, &inode.downcast()?)
    }

    fn rename(&self, name: &[u8], to: &Arc<dyn Inode>, to_name: &[u8], how: Rename) -> Result<(), Errno> {
        self.me()?.move_name(name, &to.downcast()?, to_name, how)
    }

    fn link_target(&self, caller: &Caller) -> Result<LinkTarget, Errno> {
        self.real().link_target(caller)
    }

    fn set_len(&self, len: u64) -> Result<(), Errno> {
        self.me()?.copy_up(len)?.set_len(len)
    }

    fn allocate(&self, what: Allocation, offset: u64, len: u64) -> Result<(), Errno> {
        self.writable()?.allocate(what, offset, len)
    }

    fn accessed(&self) {
        if let Some(upper) = self.upper() {
            upper.accessed();
        }
    }

    fn xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        if name.starts_with(PRIVATE) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.real().xattr(name)
    }

    fn xattrs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let mut names = self.real().xattrs()?;
        names.retain(|name| !name.starts_with(PRIVATE));
        Ok(names)
    }

    fn has_acl(&self) -> bool {
        self.real().has_acl()
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], how: XattrSet) -> Result<(), Errno> {
        if name.starts_with(PRIVATE) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.writable()?.set_xattr(name, value, how)
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        if name.starts_with(PRIVATE) {
            return Err(Errno::EOPNOTSUPP);
        }
        // What is not there needs no copy.
        self.real().xattr(name)?;
        self.writable()?.remove_xattr(name)
    }

    fn sync(&self) -> Result<(), Errno> {
        self.real().sync()
    }
}
