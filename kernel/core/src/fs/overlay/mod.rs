//! overlay: one tree out of read-only layers and a writable one (Documentation/filesystems/overlayfs.rst).
//!
//! What is changed is copied up first. A name that was removed from the layers below is covered by a whiteout, a
//! character device 0:0; a directory that hides those below it has the attribute `trusted.overlay.opaque`. Directories
//! that layers have cannot be renamed (`EXDEV`), as with Linux's default.
//!
//! Inodes keep their number when they are copied up: it is noted in `trusted.overlay.origin`. Lower files with more
//! names than one stay one file.
//!
//! Lock order: changes (held by whatever changes a name or copies up), live nodes, a node's parts, its place, then the
//! layers' own.

mod changes;
mod copy_up;
mod file;
mod listing;
mod lookup;
mod node;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::vfs::{Changes, Device, FileKind, Filesystem, Inode, StatFs};

use node::{Node, Parts};

/// OVERLAYFS_SUPER_MAGIC
const MAGIC: u32 = 0x794c_7630;
/// Prefix of the attributes that applications do not see.
const PRIVATE: &[u8] = b"trusted.overlay.";
const OPAQUE: &[u8] = b"trusted.overlay.opaque";
const ORIGIN: &[u8] = b"trusted.overlay.origin";

/// An overlay.
#[derive(Debug)]
pub struct Overlay {
    upper: Arc<dyn Filesystem>,
    root: Arc<Node>,
}

/// What all inodes of an overlay share.
#[derive(Debug, Default)]
struct Shared {
    changes: Mutex<()>,
    live: Mutex<BTreeMap<u64, Weak<Node>>>,
    /// Upper files of lower ones that have more names.
    linked: Mutex<BTreeMap<u64, Arc<dyn Inode>>>,
}

/// A directory or file of a layer.
#[derive(Clone, Debug)]
struct Lower {
    /// Which layer, from 1.
    layer: u64,
    inode: Arc<dyn Inode>,
}

impl Lower {
    /// A number that no other file of the overlay has.
    fn number(&self) -> u64 {
        self.layer << 48 | self.inode.number()
    }
}

impl Overlay {
    /// Layers, the topmost first, below a writable file system that is empty.
    pub fn new(layers: &[Arc<dyn Filesystem>], upper: Arc<dyn Filesystem>) -> Result<Arc<Self>, Errno> {
        let lowers: Vec<Lower> =
            (1..).zip(layers).map(|(layer, filesystem)| Lower { layer, inode: filesystem.root() }).collect();
        let lowers = lookup::until_opaque(lowers)?;
        let top = lowers.first().ok_or(Errno::EINVAL)?;
        let (stat, number) = (top.inode.stat()?, top.number());
        let root = upper.root();
        root.change(&Changes {
            permissions: Some(stat.permissions()),
            uid: Some(stat.uid),
            gid: Some(stat.gid),
            atime: Some(stat.atime),
            mtime: Some(stat.mtime),
        })?;
        copy_up::note_origin(&root, number)?;
        let shared = Arc::new(Shared::default());
        let root = shared.node(number, FileKind::Directory, Parts { upper: Some(root), lowers, lost: 0 }, None);
        Ok(Arc::new(Self { upper, root }))
    }
}

impl Filesystem for Overlay {
    fn name(&self) -> &'static str {
        "overlay"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs { magic: MAGIC, ..self.upper.statfs()? })
    }

    fn sync(&self) -> Result<(), Errno> {
        self.upper.sync()
    }
}

/// Whether an inode of a layer says that there is nothing.
fn is_whiteout(inode: &Arc<dyn Inode>) -> Result<bool, Errno> {
    Ok(inode.kind() == FileKind::Character && inode.stat()?.rdev == Device::NONE)
}

/// Whether a directory hides those below it.
fn is_opaque(directory: &Arc<dyn Inode>) -> bool {
    directory.xattr(OPAQUE).is_ok_and(|value| value == b"y")
}
