//! Changing mode, owner, times and length (chmod(2), chown(2), utimensat(2), truncate(2)).

use linux_raw_sys::general::{S_ISGID, S_ISUID, S_IXGRP};

use super::acl;
use super::permission::{Access, check_path, is_owner};
use super::{Changes, FileKind, Path, Stat, Timestamp, Vfs};
use crate::Errno;
use crate::task::{Capabilities, Credentials};

/// One of the two times of utimensat(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// To now.
    Now,
    /// Not at all (UTIME_OMIT).
    Keep,
    /// To this.
    To(Timestamp),
}

impl Vfs {
    /// chmod(2)
    pub fn set_permissions(&self, path: &Path, permissions: u32, credentials: &Credentials) -> Result<(), Errno> {
        path.mount.check_writable()?;
        let stat = path.stat()?;
        if !is_owner(&stat, credentials) {
            return Err(Errno::EPERM);
        }
        if path.inode().kind() == FileKind::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut permissions = permissions & 0o7777;
        if !credentials.in_group(stat.gid) && !credentials.has(Capabilities::FSETID) {
            permissions &= !S_ISGID;
        }
        self.change(path, &Changes { permissions: Some(permissions), ..Changes::default() })?;
        acl::follow_mode(&**path.inode(), permissions)
    }

    /// chown(2); `None` leaves an id as it is.
    pub fn set_owner(
        &self,
        path: &Path,
        uid: Option<u32>,
        gid: Option<u32>,
        credentials: &Credentials,
    ) -> Result<(), Errno> {
        path.mount.check_writable()?;
        let stat = path.stat()?;
        check_owner_change(&stat, uid, gid, credentials)?;
        let killed = without_set_ids(&stat);
        let is_dir = path.inode().kind() == FileKind::Directory;
        let permissions = (!is_dir && killed != stat.permissions()).then_some(killed);
        self.change(path, &Changes { permissions, uid, gid, ..Changes::default() })
    }

    /// utimensat(2)
    pub fn set_times(
        &self,
        path: &Path,
        atime: SetTime,
        mtime: SetTime,
        credentials: &Credentials,
    ) -> Result<(), Errno> {
        if (atime, mtime) == (SetTime::Keep, SetTime::Keep) {
            return Ok(());
        }
        path.mount.check_writable()?;
        if !is_owner(&path.stat()?, credentials) {
            if (atime, mtime) != (SetTime::Now, SetTime::Now) {
                return Err(Errno::EPERM);
            }
            check_path(path, credentials, Access::WRITE)?;
        }
        let now = self.now();
        let time = |set| match set {
            SetTime::Now => Some(now),
            SetTime::Keep => None,
            SetTime::To(time) => Some(time),
        };
        self.change(path, &Changes { atime: time(atime), mtime: time(mtime), ..Changes::default() })
    }

    /// truncate(2)
    pub fn truncate(&self, path: &Path, len: u64, credentials: &Credentials) -> Result<(), Errno> {
        match path.inode().kind() {
            FileKind::Regular => {}
            FileKind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        check_path(path, credentials, Access::WRITE)?;
        self.hooks().usage.check_writable(path.key())?;
        self.set_len(path, len, credentials)
    }

    /// ftruncate(2): the right to write was checked when it was opened.
    pub fn set_len(&self, path: &Path, len: u64, credentials: &Credentials) -> Result<(), Errno> {
        path.inode().set_len(len)?;
        self.wrote(path, credentials)
    }

    /// A file's data was changed by somebody: takes set-id bits away, and tells watchers.
    pub fn wrote(&self, path: &Path, credentials: &Credentials) -> Result<(), Errno> {
        if path.inode().kind() == FileKind::Regular && !credentials.has(Capabilities::FSETID) {
            let stat = path.stat()?;
            let killed = without_set_ids(&stat);
            if killed != stat.permissions() {
                path.inode().change(&Changes { permissions: Some(killed), ..Changes::default() })?;
            }
        }
        self.notify_modified(path);
        Ok(())
    }

    fn change(&self, path: &Path, changes: &Changes) -> Result<(), Errno> {
        path.inode().change(changes)?;
        self.notify_changed(path);
        Ok(())
    }
}

/// `chown_ok` and `chgrp_ok` of Linux.
fn check_owner_change(stat: &Stat, uid: Option<u32>, gid: Option<u32>, credentials: &Credentials) -> Result<(), Errno> {
    if credentials.has(Capabilities::CHOWN) {
        return Ok(());
    }
    let owner = credentials.fsuid == stat.uid;
    let uid_ok = uid.is_none_or(|uid| owner && uid == stat.uid);
    let gid_ok = gid.is_none_or(|gid| owner && (gid == stat.gid || credentials.in_group(gid)));
    if uid_ok && gid_ok { Ok(()) } else { Err(Errno::EPERM) }
}

/// Permission bits without setuid, and without setgid where it makes programs run with the group.
fn without_set_ids(stat: &Stat) -> u32 {
    let mut permissions = stat.permissions() & !S_ISUID;
    if permissions & S_IXGRP != 0 {
        permissions &= !S_ISGID;
    }
    permissions
}
