//! Finding and listing names through all layers.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::node::{Node, Parts, Place};
use super::{Lower, ORIGIN, is_opaque, is_whiteout};
use crate::Errno;
use crate::vfs::{DirEntry, Emit, FileKind, Inode};

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

    /// All names of a directory, with number and type.
    pub(super) fn all_names(&self) -> Result<BTreeMap<Vec<u8>, (u64, FileKind)>, Errno> {
        let parts = self.parts();
        let mut names: BTreeMap<Vec<u8>, Option<(u64, FileKind)>> = BTreeMap::new();
        if let Some(upper) = &parts.upper {
            for (name, _, _) in list(upper)? {
                let Some(inode) = lookup_in(upper, &name)? else { continue };
                let shown = if is_whiteout(&inode)? { None } else { Some((upper_number(&inode), inode.kind())) };
                names.insert(name, shown);
            }
        }
        for lower in &parts.lowers {
            for (name, ino, kind) in list(&lower.inode)? {
                if names.contains_key(&name) {
                    continue;
                }
                let hides = kind == FileKind::Character
                    && lookup_in(&lower.inode, &name)?.is_some_and(|inode| is_whiteout(&inode).unwrap_or(false));
                names.insert(name, (!hides).then_some((lower.layer << 48 | ino, kind)));
            }
        }
        Ok(names.into_iter().filter_map(|(name, shown)| Some((name, shown?))).collect())
    }
}

/// The names that one layer has in a directory.
pub(super) fn list(directory: &Arc<dyn Inode>) -> Result<Vec<(Vec<u8>, u64, FileKind)>, Errno> {
    let mut names = Vec::new();
    directory.clone().layer()?.read_dir(0, &mut |entry: &DirEntry<'_>| {
        names.push((entry.name.to_vec(), entry.ino, entry.kind));
        Emit::More
    })?;
    Ok(names)
}
