//! Copying files of the layers below to the writable one, before they are changed.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::node::{Node, Place};
use super::{ORIGIN, PRIVATE};
use crate::Errno;
use crate::io::Collect;
use crate::vfs::{Caller, Changes, FileKind, Inode, LinkTarget, NewInode, NewKind, Stat, WriteAt, XattrSet};

/// Bytes copied at a time.
const STEP_BYTES: usize = 1 << 20;

/// Notes the number that a file of the writable layer has in the overlay.
pub(super) fn note_origin(upper: &Arc<dyn Inode>, number: u64) -> Result<(), Errno> {
    upper.set_xattr(ORIGIN, &number.to_le_bytes(), XattrSet::Any)
}

impl Node {
    /// The inode in the writable layer; copied there, with at most `len_max` bytes of its data, if it is not there yet.
    pub(super) fn copy_up(self: &Arc<Self>, len_max: u64) -> Result<Arc<dyn Inode>, Errno> {
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        let _changes = self.shared.changes.lock();
        self.copy_up_locked(len_max)
    }

    /// The same for a caller that holds the lock of changes.
    pub(super) fn copy_up_locked(self: &Arc<Self>, len_max: u64) -> Result<Arc<dyn Inode>, Errno> {
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        let mut missing = alloc::vec![self.clone()];
        while let Some(place) = missing.last().and_then(|node| node.place()) {
            if place.parent.upper().is_some() {
                break;
            }
            missing.push(place.parent);
        }
        while let Some(node) = missing.pop() {
            let len_max = if missing.is_empty() { len_max } else { u64::MAX };
            node.copy_here(len_max)?;
        }
        self.upper().ok_or(Errno::EIO)
    }

    /// Copies this inode only: the directory above is there.
    fn copy_here(self: &Arc<Self>, len_max: u64) -> Result<(), Errno> {
        let lower = self.real();
        let stat = lower.stat()?;
        let lost = self.parts().lost >= stat.nlink.max(1);
        let place = self.place().filter(|_| !lost);
        let upper = make(&lower, &stat, place.as_ref(), self)?;
        if let Err(errno) = fill(&lower, &upper, &stat, len_max) {
            if let Some(Place { parent, name }) = &place
                && let Some(directory) = parent.upper()
            {
                // The first error is the one that counts.
                let _second = directory.unlink(name, &upper).or_else(|_| directory.rmdir(name, &upper));
            }
            return Err(errno);
        }
        note_origin(&upper, self.number())?;
        if self.kind() != FileKind::Directory && stat.nlink > 1 {
            self.shared.linked.lock().insert(self.number(), upper.clone());
        }
        self.with_parts(|parts| {
            parts.upper = Some(upper);
            parts.lost = 0;
            if self.kind() != FileKind::Directory {
                parts.lowers.clear();
            }
        });
        Ok(())
    }
}

/// Makes an empty copy, under the file's name if it still has one.
fn make(lower: &Arc<dyn Inode>, stat: &Stat, place: Option<&Place>, node: &Node) -> Result<Arc<dyn Inode>, Errno> {
    let target = match lower.kind() {
        FileKind::Symlink => target(lower)?,
        _ => Vec::new(),
    };
    let kind = match lower.kind() {
        FileKind::Regular => NewKind::Regular,
        FileKind::Directory => NewKind::Directory,
        FileKind::Symlink => NewKind::Symlink(&target),
        FileKind::Fifo => NewKind::Fifo,
        FileKind::Socket => NewKind::Socket,
        FileKind::Character => NewKind::Character(stat.rdev),
        FileKind::Block => NewKind::Block(stat.rdev),
    };
    let new = NewInode { kind, permissions: stat.permissions(), uid: stat.uid, gid: stat.gid };
    match place {
        Some(Place { parent, name }) => {
            let directory = parent.upper().ok_or(Errno::EIO)?;
            let times = directory.stat()?;
            let upper = directory.create(name, &new)?;
            restore_times(&directory, &times)?;
            Ok(upper)
        }
        None => {
            let mut root = node.place().ok_or(Errno::ENOENT)?.parent;
            while let Some(place) = root.place() {
                root = place.parent;
            }
            root.upper().ok_or(Errno::EIO)?.create_unnamed(&new)
        }
    }
}

fn target(lower: &Arc<dyn Inode>) -> Result<Vec<u8>, Errno> {
    // Links of layers are text, whoever asks.
    let nobody = Caller::kernel(Arc::new(crate::task::Credentials::root(crate::task::Capabilities::empty())));
    match lower.link_target(&nobody)? {
        LinkTarget::Text(text) => Ok(text),
        LinkTarget::File(_) => Err(Errno::EIO),
    }
}

fn fill(lower: &Arc<dyn Inode>, upper: &Arc<dyn Inode>, stat: &Stat, len_max: u64) -> Result<(), Errno> {
    if lower.kind() == FileKind::Regular {
        copy_data(lower, upper, stat.size.min(len_max))?;
    }
    for name in lower.xattrs()? {
        if !name.starts_with(PRIVATE) {
            upper.set_xattr(&name, &lower.xattr(&name)?, XattrSet::Any)?;
        }
    }
    restore_times(upper, stat)
}

fn restore_times(inode: &Arc<dyn Inode>, stat: &Stat) -> Result<(), Errno> {
    inode.change(&Changes { atime: Some(stat.atime), mtime: Some(stat.mtime), ..Changes::default() })
}

fn copy_data(lower: &Arc<dyn Inode>, upper: &Arc<dyn Inode>, len: u64) -> Result<(), Errno> {
    let (from, to) = (lower.clone().layer()?, upper.clone().layer()?);
    let mut at = 0;
    while at < len {
        let step = usize::try_from(len - at).unwrap_or(usize::MAX).min(STEP_BYTES);
        let mut buffer = Collect::new(step);
        if from.read(&mut buffer, at)? == 0 {
            break;
        }
        let mut bytes = buffer.bytes.as_slice();
        while !bytes.is_empty() {
            at = to.write(&mut bytes, WriteAt::Offset(at))?.end;
        }
    }
    Ok(())
}
