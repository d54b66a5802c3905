//! Making, removing and moving names.

use alloc::sync::Arc;

use super::listing::list;
use super::lookup::{lookup_in, lookup_lowers};
use super::node::{Node, Parts, Place};
use super::{OPAQUE, is_whiteout};
use crate::Errno;
use crate::vfs::{Device, FileKind, Inode, NewInode, NewKind, Rename, XattrSet};

const WHITEOUT: NewInode<'static> = NewInode { kind: NewKind::Character(Device::NONE), permissions: 0, uid: 0, gid: 0 };

/// Whether a name had a whiteout, which is gone now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Covered {
    Yes,
    No,
}

impl Node {
    /// Makes a file in a directory.
    pub(super) fn make(self: &Arc<Self>, name: &[u8], new: &NewInode<'_>) -> Result<Arc<Node>, Errno> {
        let _changes = self.shared.changes.lock();
        let directory = self.copy_up_locked(u64::MAX)?;
        let covered = uncover(&directory, name)?;
        let upper = match directory.create(name, new) {
            Ok(upper) => upper,
            Err(errno) => {
                recover(&directory, name, covered)?;
                return Err(errno);
            }
        };
        if covered == Covered::Yes && upper.kind() == FileKind::Directory {
            upper.set_xattr(OPAQUE, b"y", XattrSet::Any)?;
        }
        let (number, kind) = (upper.number(), upper.kind());
        let parts = Parts { upper: Some(upper), lowers: alloc::vec::Vec::new(), lost: 0 };
        Ok(self.shared.node(number, kind, parts, Some(self.place_of(name))))
    }

    fn place_of(self: &Arc<Self>, name: &[u8]) -> Place {
        Place { parent: self.clone(), name: name.to_vec() }
    }

    /// Gives a file one more name.
    pub(super) fn add_name(self: &Arc<Self>, name: &[u8], node: &Arc<Node>) -> Result<(), Errno> {
        let _changes = self.shared.changes.lock();
        let upper = node.copy_up_locked(u64::MAX)?;
        let directory = self.copy_up_locked(u64::MAX)?;
        let covered = uncover(&directory, name)?;
        if let Err(errno) = directory.link(name, &upper) {
            recover(&directory, name, covered)?;
            return Err(errno);
        }
        node.set_place(Some(self.place_of(name)));
        Ok(())
    }

    /// Takes the name of a file away.
    pub(super) fn remove_name(self: &Arc<Self>, name: &[u8], node: &Arc<Node>) -> Result<(), Errno> {
        let _changes = self.shared.changes.lock();
        let directory = self.copy_up_locked(u64::MAX)?;
        match lookup_in(&directory, name)? {
            Some(upper) => directory.unlink(name, &upper)?,
            None => {
                node.with_parts(|parts| parts.lost += u32::from(parts.upper.is_none()));
            }
        }
        self.cover(&directory, name)
    }

    /// Removes an empty directory.
    pub(super) fn remove_directory(self: &Arc<Self>, name: &[u8], node: &Arc<Node>) -> Result<(), Errno> {
        let _changes = self.shared.changes.lock();
        let directory = self.copy_up_locked(u64::MAX)?;
        node.clear_whiteouts()?;
        match node.upper() {
            Some(upper) => directory.rmdir(name, &upper)?,
            None => {
                node.with_parts(|parts| parts.lost = u32::MAX);
            }
        }
        self.cover(&directory, name)
    }

    /// `ENOTEMPTY` unless a directory shows nothing; what it hides is gone then.
    fn clear_whiteouts(&self) -> Result<(), Errno> {
        if !self.all_names()?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        let Some(upper) = self.upper() else { return Ok(()) };
        for (name, _, _) in list(&upper)?.from(0) {
            let inode = upper.lookup(name)?;
            upper.unlink(name, &inode)?;
        }
        Ok(())
    }

    /// Hides what the layers below have under a name.
    fn cover(&self, directory: &Arc<dyn Inode>, name: &[u8]) -> Result<(), Errno> {
        if self.has_below(name)? {
            directory.create(name, &WHITEOUT)?;
        }
        Ok(())
    }

    fn has_below(&self, name: &[u8]) -> Result<bool, Errno> {
        Ok(!lookup_lowers(&self.parts().lowers, name, None)?.is_empty())
    }

    /// Moves a name.
    pub(super) fn move_name(
        self: &Arc<Self>,
        name: &[u8],
        to: &Arc<Node>,
        to_name: &[u8],
        how: Rename,
    ) -> Result<(), Errno> {
        let moved = self.find(name)?;
        let there = match to.find(to_name) {
            Ok(there) => Some(there),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(errno),
        };
        let _changes = self.shared.changes.lock();
        moved.check_movable()?;
        if let Some(there) = &there {
            match (how, there.kind()) {
                (Rename::Exchange, _) => there.check_movable()?,
                (_, FileKind::Directory) => there.clear_whiteouts()?,
                _ => {}
            }
        }
        let directory = self.copy_up_locked(u64::MAX)?;
        let to_directory = to.copy_up_locked(u64::MAX)?;
        moved.name_in(&directory, name)?;
        if how == Rename::Exchange {
            let there = there.ok_or(Errno::ENOENT)?;
            there.name_in(&to_directory, to_name)?;
            directory.rename(name, &to_directory, to_name, how)?;
            self.hide_below(name, &there)?;
            there.set_place(Some(self.place_of(name)));
        } else {
            replace(&directory, name, &to_directory, to_name, there.as_ref())?;
            if how == Rename::Whiteout || self.has_below(name)? {
                directory.create(name, &WHITEOUT)?;
            }
        }
        to.hide_below(to_name, &moved)?;
        moved.set_place(Some(to.place_of(to_name)));
        Ok(())
    }

    /// Copies a file up, and gives the copy the name by which it was found: a lower file that was copied up by another
    /// of its names does not have it there.
    fn name_in(self: &Arc<Self>, directory: &Arc<dyn Inode>, name: &[u8]) -> Result<(), Errno> {
        let upper = self.copy_up_locked(u64::MAX)?;
        match lookup_in(directory, name)? {
            Some(_) => Ok(()),
            None => directory.link(name, &upper),
        }
    }

    /// A directory that layers below have would lose what they have in it.
    fn check_movable(&self) -> Result<(), Errno> {
        let merged = self.kind() == FileKind::Directory && !self.parts().lowers.is_empty();
        if merged { Err(Errno::EXDEV) } else { Ok(()) }
    }

    /// Lets a directory that came here hide what is below its new name.
    fn hide_below(&self, name: &[u8], node: &Arc<Node>) -> Result<(), Errno> {
        if node.kind() == FileKind::Directory && self.has_below(name)? {
            node.upper().ok_or(Errno::EIO)?.set_xattr(OPAQUE, b"y", XattrSet::Any)?;
        }
        Ok(())
    }
}

fn replace(
    directory: &Arc<dyn Inode>,
    name: &[u8],
    to_directory: &Arc<dyn Inode>,
    to_name: &[u8],
    there: Option<&Arc<Node>>,
) -> Result<(), Errno> {
    let covered = uncover(to_directory, to_name)?;
    if let Err(errno) = directory.rename(name, to_directory, to_name, Rename::Replace) {
        recover(to_directory, to_name, covered)?;
        return Err(errno);
    }
    // A file of a layer below lost the name; one of the writable layer counts itself.
    if let Some(there) = there.filter(|there| there.upper().is_none()) {
        there.with_parts(|parts| parts.lost += 1);
    }
    Ok(())
}

/// Takes a whiteout away.
fn uncover(directory: &Arc<dyn Inode>, name: &[u8]) -> Result<Covered, Errno> {
    match lookup_in(directory, name)? {
        Some(inode) if is_whiteout(&inode)? => {
            directory.unlink(name, &inode)?;
            Ok(Covered::Yes)
        }
        _ => Ok(Covered::No),
    }
}

/// Puts a whiteout back after what was to take its place failed.
fn recover(directory: &Arc<dyn Inode>, name: &[u8], covered: Covered) -> Result<(), Errno> {
    if covered == Covered::Yes {
        directory.create(name, &WHITEOUT)?;
    }
    Ok(())
}
