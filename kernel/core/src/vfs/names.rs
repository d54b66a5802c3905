//! Making, removing and moving names (mknod(2), unlink(2), link(2), rename(2)).

use alloc::sync::Arc;

use super::dentry::{LockedDir, renamed};
use super::open::new_inode;
use super::permission::{Access, check_changing_names, check_linking, check_stat, check_sticky};
use super::walk::check_name;
use super::{Dentry, FileKind, Name, NewKind, Parent, Path, Protected, Rename, Stat, Vfs};
use crate::Errno;
use crate::task::Credentials;

/// How rename(2) treats a file that has the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameHow {
    /// It is replaced, swapped, ...
    Over(Rename),
    /// It is in the way (RENAME_NOREPLACE).
    NoReplace,
}

impl Vfs {
    /// Makes a file of any kind, without opening it.
    pub fn create(&self, name: &Name<'_>, kind: NewKind<'_>, permissions: u32) -> Result<Path, Errno> {
        let parent = name.parent()?;
        let last = parent.name(Errno::EEXIST)?;
        check_name(last)?;
        let directory = &parent.directory;
        let superblock = directory.mount.superblock();
        let mut locked = directory.dentry.lock();
        check_absent(&mut locked, directory, last)?;
        if parent.has_slash() && kind != NewKind::Directory {
            return Err(Errno::ENOENT);
        }
        let stat = check_changing_names(directory, &name.caller.credentials)?;
        let (new, inherited) = new_inode(name, (&**directory.inode(), &stat), kind, permissions);
        let inode = directory.inode().create(last, &new)?;
        inherited.give(&*inode)?;
        let dentry = locked.add(superblock, last, inode);
        drop(locked);
        self.notify_created(directory, last, kind.kind());
        Ok(Path { mount: directory.mount.clone(), dentry })
    }

    /// Gives a file one more name.
    pub fn link(&self, file: &Path, name: &Name<'_>) -> Result<(), Errno> {
        let parent = name.parent()?;
        let last = parent.name(Errno::EEXIST)?;
        check_name(last)?;
        let directory = &parent.directory;
        let mut locked = directory.dentry.lock();
        check_absent(&mut locked, directory, last)?;
        if parent.has_slash() {
            return Err(Errno::ENOENT);
        }
        if !Arc::ptr_eq(&directory.mount, &file.mount) {
            return Err(Errno::EXDEV);
        }
        if self.protections().level(Protected::Hardlinks) > 0 {
            check_linking(file, &name.caller.credentials)?;
        }
        check_changing_names(directory, &name.caller.credentials)?;
        if file.inode().kind() == FileKind::Directory {
            return Err(Errno::EPERM);
        }
        if file.stat()?.nlink == 0 && !file.dentry.is_linkable() {
            return Err(Errno::ENOENT);
        }
        directory.inode().link(last, file.inode())?;
        locked.add(directory.mount.superblock(), last, file.inode().clone());
        drop(locked);
        self.notify_linked(directory, last, file);
        Ok(())
    }

    /// Takes the name of a file away.
    pub fn unlink(&self, name: &Name<'_>) -> Result<(), Errno> {
        let parent = name.parent()?;
        let last = parent.name(Errno::EISDIR)?;
        let victim = self.remove(&parent, last, &name.caller.credentials, |directory, dentry| {
            match dentry.inode().kind() {
                FileKind::Directory => return Err(Errno::EISDIR),
                _ if parent.has_slash() => return Err(Errno::ENOTDIR),
                _ => {}
            }
            directory.inode().unlink(last, dentry.inode())
        })?;
        self.notify_removed(&parent.directory, last, &victim);
        Ok(())
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, name: &Name<'_>) -> Result<(), Errno> {
        let parent = name.parent()?;
        let last = parent.name(match parent.last {
            super::Last::Dot => Errno::EINVAL,
            super::Last::DotDot => Errno::ENOTEMPTY,
            _ => Errno::EBUSY,
        })?;
        let victim = self.remove(&parent, last, &name.caller.credentials, |directory, dentry| {
            if dentry.inode().kind() != FileKind::Directory {
                return Err(Errno::ENOTDIR);
            }
            directory.inode().rmdir(last, dentry.inode())
        })?;
        self.notify_removed(&parent.directory, last, &victim);
        Ok(())
    }

    fn remove(
        &self,
        parent: &Parent<'_>,
        last: &[u8],
        credentials: &Credentials,
        remove: impl FnOnce(&Path, &Arc<Dentry>) -> Result<(), Errno>,
    ) -> Result<Path, Errno> {
        let directory = &parent.directory;
        check_name(last)?;
        directory.mount.check_writable()?;
        let mut locked = directory.dentry.lock();
        let victim = locked.lookup(directory.mount.superblock(), last)?;
        let stat = check_changing_names(directory, credentials)?;
        check_sticky(&stat, &victim.inode().stat()?, credentials)?;
        if victim.has_mounts() {
            return Err(Errno::EBUSY);
        }
        remove(directory, &victim)?;
        locked.remove(directory.mount.superblock(), last);
        Ok(Path { mount: directory.mount.clone(), dentry: victim })
    }

    /// Moves a name.
    pub fn rename(&self, from: &Name<'_>, to: &Name<'_>, how: RenameHow) -> Result<(), Errno> {
        let (from_parent, to_parent) = (from.parent()?, to.parent()?);
        if !Arc::ptr_eq(&from_parent.directory.mount, &to_parent.directory.mount) {
            return Err(Errno::EXDEV);
        }
        let last = from_parent.name(Errno::EBUSY)?;
        let to_last = to_parent.name(if how == RenameHow::NoReplace { Errno::EEXIST } else { Errno::EBUSY })?;
        check_name(last)?;
        check_name(to_last)?;
        from_parent.directory.mount.check_writable()?;
        let moving = Moving {
            from: &from_parent.directory,
            last,
            to: &to_parent.directory,
            to_last,
            slashes: [from_parent.has_slash(), to_parent.has_slash()],
            how,
            credentials: &from.caller.credentials,
        };
        let Some(moved) = moving.go()? else { return Ok(()) };
        let replaced = moved.replaced.filter(|_| how != RenameHow::Over(Rename::Exchange));
        if let Some(replaced) = &replaced {
            replaced.mount.superblock().forget(&replaced.dentry);
        }
        self.notify_moved((moving.from, last), (moving.to, to_last), &moved.file, replaced.as_ref());
        Ok(())
    }
}

fn check_absent(locked: &mut LockedDir<'_>, directory: &Path, name: &[u8]) -> Result<(), Errno> {
    match locked.lookup(directory.mount.superblock(), name) {
        Ok(_) => Err(Errno::EEXIST),
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// A rename under way.
struct Moving<'a> {
    from: &'a Path,
    last: &'a [u8],
    to: &'a Path,
    to_last: &'a [u8],
    slashes: [bool; 2],
    how: RenameHow,
    credentials: &'a Credentials,
}

/// What a rename did.
struct Moved {
    file: Path,
    replaced: Option<Path>,
}

impl Moving<'_> {
    /// `None` when both names are of one file: nothing is done then.
    fn go(&self) -> Result<Option<Moved>, Errno> {
        let (from, to) = (&self.from.dentry, &self.to.dentry);
        if Arc::ptr_eq(from, to) {
            return self.within(&mut from.lock(), None);
        }
        let _renaming = self.from.mount.superblock().renaming.lock();
        let (mut locked_from, mut locked_to);
        if Arc::as_ptr(from) < Arc::as_ptr(to) {
            locked_from = from.lock();
            locked_to = to.lock();
        } else {
            locked_to = to.lock();
            locked_from = from.lock();
        }
        self.within(&mut locked_from, Some(&mut locked_to))
    }

    fn within(&self, from: &mut LockedDir<'_>, mut to: Option<&mut LockedDir<'_>>) -> Result<Option<Moved>, Errno> {
        let superblock = self.from.mount.superblock();
        let file = from.lookup(superblock, self.last)?;
        let replaced = match &mut to {
            Some(to) => to.lookup(superblock, self.to_last),
            None => from.lookup(superblock, self.to_last),
        };
        let replaced = match replaced {
            Ok(replaced) => Some(replaced),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(errno),
        };
        let how = self.check_target(&file, replaced.as_ref())?;
        if let Some(replaced) = &replaced
            && replaced.inode().number() == file.inode().number()
        {
            return Ok(None);
        }
        self.check_rights(&file, replaced.as_ref(), how)?;
        self.from.inode().rename(self.last, self.to.inode(), self.to_last, how)?;
        renamed(from, self.last, to, self.to_last, how);
        let path = |dentry| Path { mount: self.from.mount.clone(), dentry };
        Ok(Some(Moved { file: path(file), replaced: replaced.map(path) }))
    }

    fn check_target(&self, file: &Arc<Dentry>, replaced: Option<&Arc<Dentry>>) -> Result<Rename, Errno> {
        let how = match (self.how, replaced) {
            (RenameHow::NoReplace, Some(_)) => return Err(Errno::EEXIST),
            (RenameHow::NoReplace, None) => Rename::Replace,
            (RenameHow::Over(Rename::Exchange), None) => return Err(Errno::ENOENT),
            (RenameHow::Over(how), _) => how,
        };
        let is_dir = |dentry: &Arc<Dentry>| dentry.inode().kind() == FileKind::Directory;
        let to_is_dir = if how == Rename::Exchange { replaced.is_some_and(is_dir) } else { is_dir(file) };
        if (self.slashes[0] && !is_dir(file)) || (self.slashes[1] && !to_is_dir) {
            return Err(Errno::ENOTDIR);
        }
        if file.is_above(&self.to.dentry) {
            return Err(Errno::EINVAL);
        }
        if replaced.is_some_and(|replaced| replaced.is_above(&self.from.dentry)) {
            return Err(if how == Rename::Exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        Ok(how)
    }

    fn check_rights(&self, file: &Arc<Dentry>, replaced: Option<&Arc<Dentry>>, how: Rename) -> Result<(), Errno> {
        let from = check_changing_names(self.from, self.credentials)?;
        let to = check_changing_names(self.to, self.credentials)?;
        check_sticky(&from, &file.inode().stat()?, self.credentials)?;
        let is_dir = file.inode().kind() == FileKind::Directory;
        if let Some(replaced) = replaced {
            check_sticky(&to, &replaced.inode().stat()?, self.credentials)?;
            match (is_dir, replaced.inode().kind() == FileKind::Directory) {
                _ if how == Rename::Exchange => self.check_parent_change(replaced)?,
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                _ => {}
            }
        }
        self.check_parent_change(file)?;
        if file.has_mounts() || replaced.is_some_and(|replaced| replaced.has_mounts()) {
            return Err(Errno::EBUSY);
        }
        Ok(())
    }

    /// A directory that gets another parent must be writable, since its `..` changes.
    fn check_parent_change(&self, file: &Arc<Dentry>) -> Result<(), Errno> {
        let same = Arc::ptr_eq(&self.from.dentry, &self.to.dentry);
        if same || file.inode().kind() != FileKind::Directory {
            return Ok(());
        }
        let stat: Stat = file.inode().stat()?;
        check_stat(&**file.inode(), &stat, self.credentials, Access::WRITE)
    }
}
