//! A place in the tree of mounts.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Caller, Dentry, Inode, InodeKey, Mount, Stat};
use crate::Errno;

/// A name's place: a mount, and a dentry within it.
#[derive(Clone, Debug)]
pub struct Path {
    /// Which mount.
    pub mount: Arc<Mount>,
    /// Where within it.
    pub dentry: Arc<Dentry>,
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }
}

impl Path {
    /// The root of a mount.
    pub fn root_of(mount: &Arc<Mount>) -> Self {
        Self { mount: mount.clone(), dentry: mount.root().clone() }
    }

    /// What is there.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.dentry.inode()
    }

    /// Facts about what is there.
    pub fn stat(&self) -> Result<Stat, Errno> {
        self.inode().stat()
    }

    /// Names its inode in the kernel.
    pub fn key(&self) -> InodeKey {
        InodeKey { device: self.mount.superblock().device(), ino: self.inode().number() }
    }

    /// Whether it is the root of its mount.
    pub fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.dentry, self.mount.root())
    }

    /// One step up, across mounts; `None` at the top.
    pub fn parent(&self) -> Option<Path> {
        let mut here = self.clone();
        while here.is_mount_root() {
            here = here.mount.point()?;
        }
        let parent = here.dentry.parent()?;
        Some(Path { mount: here.mount, dentry: parent })
    }

    /// Its text as seen from a root, as in /proc/PID/cwd: files without names end in ` (deleted)`. `None` when it lies
    /// outside.
    pub fn text(&self, root: &Path) -> Option<Vec<u8>> {
        let (names, reached) = self.names(root);
        if !reached {
            return None;
        }
        let mut text = join(&names);
        if self.dentry.is_unlinked() {
            text.extend_from_slice(b" (deleted)");
        }
        Some(text)
    }

    /// Its text as seen from a root, or from the top of its own tree.
    pub fn text_or_unreachable(&self, root: &Path) -> Vec<u8> {
        self.text(root).unwrap_or_else(|| [b"(unreachable)".as_slice(), &join(&self.names(root).0)].concat())
    }

    /// Its text as somebody sees it; files without a path show their name.
    pub fn shown_to(&self, caller: &Caller) -> Vec<u8> {
        if !self.is_mount_root() && self.dentry.parent().is_none() {
            return self.dentry.name();
        }
        match &caller.task {
            Some(task) => self.text_or_unreachable(&task.fs().root()),
            None => self.full_text(),
        }
    }

    /// Its text from the top of its own tree: what /proc/PID/maps shows.
    pub fn full_text(&self) -> Vec<u8> {
        let mut top = self.clone();
        while let Some(above) = top.parent() {
            top = above;
        }
        self.text_or_unreachable(&top)
    }

    /// Where a name lies within its file system.
    pub fn within(dentry: &Arc<Dentry>) -> Vec<u8> {
        let mut names = Vec::new();
        let mut here = dentry.clone();
        while let Some(parent) = here.parent() {
            names.push(here.name());
            here = parent;
        }
        join(&names)
    }

    /// Whether it is `top` or below.
    pub fn is_below(&self, top: &Path) -> bool {
        self.names(top).1
    }

    /// Names from here up to the root, and whether that was reached.
    fn names(&self, root: &Path) -> (Vec<Vec<u8>>, bool) {
        let mut names = Vec::new();
        let mut here = self.clone();
        loop {
            if here == *root {
                return (names, true);
            }
            if here.is_mount_root() {
                match here.mount.point() {
                    Some(point) => here = point,
                    None => return (names, false),
                }
                continue;
            }
            names.push(here.dentry.name());
            match here.dentry.parent() {
                Some(parent) => here.dentry = parent,
                None => return (names, false),
            }
        }
    }
}

fn join(names: &[Vec<u8>]) -> Vec<u8> {
    if names.is_empty() {
        return b"/".to_vec();
    }
    names.iter().rev().flat_map(|name| core::iter::once(b'/').chain(name.iter().copied())).collect()
}
