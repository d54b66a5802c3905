//! Finding names through all layers.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::node::{Node, Parts, Place};
use super::{Lower, ORIGIN, is_opaque, is_whiteout};
use crate::Errno;
use crate::vfs::{FileKind, Inode};

/// The directories down to the first that hides the rest.
pub(super) fn until_opaque(directories: Vec<Lower>) -> Result<Vec<Lower>, Errno> {
    let mut shown = Vec::new();
    for lower in directories {
        let opaque = is_opaque(&lower.inode);
        shown.push(lower);
        if opaque {
            break;
        }
    }
    Ok(shown)
}

/// `None` instead of `ENOENT`.
pub(super) fn lookup_in(directory: &Arc<dyn Inode>, name: &[u8]) -> Result<Option<Arc<dyn Inode>>, Errno> {
    match directory.lookup(name) {
        Ok(inode) => Ok(Some(inode)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// What the layers of a directory have under a name: one file, or directories down to one that hides the rest.
pub(super) fn lookup_lowers(lowers: &[Lower], name: &[u8], only: Option<FileKind>) -> Result<Vec<Lower>, Errno> {
    let mut found: Vec<Lower> = Vec::new();
    for lower in lowers {
        let Some(inode) = lookup_in(&lower.inode, name)? else { continue };
        let is_directory = inode.kind() == FileKind::Directory;
        let mixes = !found.is_empty() || only == Some(FileKind::Directory);
        if is_whiteout(&inode)? || (mixes && !is_directory) {
            break;
        }
        let last = !is_directory || is_opaque(&inode);
        found.push(Lower { layer: lower.layer, inode });
        if last {
            break;
        }
    }
    Ok(found)
}

/// The number of a file of the writable layer.
pub(super) fn upper_number(upper: &Arc<dyn Inode>) -> u64 {
    let origin = upper.xattr(ORIGIN).ok().and_then(|value| value.try_into().ok()).map(u64::from_le_bytes);
    origin.unwrap_or_else(|| upper.number())
}

impl Node {
    /// Finds a name in a directory.
    pub(super) fn find(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Node>, Errno> {
        let here = self.parts();
        let place = Some(Place { parent: self.clone(), name: name.to_vec() });
        let upper = here.upper.as_ref().map(|upper| lookup_in(upper, name)).transpose()?.flatten();
        if let Some(upper) = upper {
            if is_whiteout(&upper)? {
                return Err(Errno::ENOENT);
            }
            let (number, kind) = (upper_number(&upper), upper.kind());
            let merges = kind == FileKind::Directory && !is_opaque(&upper);
            let lowers = if merges { lookup_lowers(&here.lowers, name, Some(kind))? } else { Vec::new() };
            return Ok(self.shared.node(number, kind, Parts { upper: Some(upper), lowers, lost: 0 }, place));
        }
        let lowers = lookup_lowers(&here.lowers, name, None)?;
        let top = lowers.first().ok_or(Errno::ENOENT)?;
        let (number, kind) = (top.number(), top.inode.kind());
        let upper = self.shared.linked.lock().get(&number).cloned();
        Ok(self.shared.node(number, kind, Parts { upper, lowers, lost: 0 }, place))
    }
}
