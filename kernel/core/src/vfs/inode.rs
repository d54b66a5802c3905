//! What a file system offers for each of its files.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt::Debug;

use super::{Caller, Device, FileKind, FileObject, OpenFlags, Path, Stat, Timestamp};
use crate::Errno;

/// Names an inode in a kernel: the device of its superblock, and its number. Locks, watches, fifos and bound sockets
/// are found by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeKey {
    /// The superblock's device.
    pub device: Device,
    /// The inode's number.
    pub ino: u64,
}

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKind<'a> {
    /// An empty file.
    Regular,
    /// An empty directory.
    Directory,
    /// A symbolic link to this.
    Symlink(&'a [u8]),
    /// A named pipe.
    Fifo,
    /// The name of a unix socket.
    Socket,
    /// A character device.
    Character(Device),
    /// A block device.
    Block(Device),
}

impl NewKind<'_> {
    /// The type of what is made.
    pub fn kind(&self) -> FileKind {
        match self {
            Self::Regular => FileKind::Regular,
            Self::Directory => FileKind::Directory,
            Self::Symlink(_) => FileKind::Symlink,
            Self::Fifo => FileKind::Fifo,
            Self::Socket => FileKind::Socket,
            Self::Character(_) => FileKind::Character,
            Self::Block(_) => FileKind::Block,
        }
    }

    /// Bytes of the text that it holds.
    pub fn text_bytes(&self) -> usize {
        if let Self::Symlink(target) = self { target.len() } else { 0 }
    }
}

/// An inode to be made; the umask and the directory's setgid bit are in it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewInode<'a> {
    /// What.
    pub kind: NewKind<'a>,
    /// Permission bits.
    pub permissions: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Changes of attributes, permitted already. What is `None` stays; the time of change is the file system's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Permission bits.
    pub permissions: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last read.
    pub atime: Option<Timestamp>,
    /// Last write.
    pub mtime: Option<Timestamp>,
}

/// Where a symbolic link leads.
#[derive(Clone, Debug)]
pub enum LinkTarget {
    /// To this path.
    Text(Vec<u8>),
    /// Straight to this file, without names: the links of proc(5).
    File(Path),
}

/// What a rename does about a file that has the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rename {
    /// Replaces it.
    Replace,
    /// Swaps the two (RENAME_EXCHANGE).
    Exchange,
    /// Replaces it and leaves a whiteout (RENAME_WHITEOUT).
    Whiteout,
}

/// What setxattr(2) does about a value that is there, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrSet {
    /// Creates or replaces.
    Any,
    /// XATTR_CREATE
    Create,
    /// XATTR_REPLACE
    Replace,
}

/// What fallocate(2) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Takes room and makes the file longer if need be.
    Extend,
    /// Takes room (FALLOC_FL_KEEP_SIZE).
    Reserve,
    /// Frees room (FALLOC_FL_PUNCH_HOLE).
    Punch,
    /// Makes zeros; longer if need be (FALLOC_FL_ZERO_RANGE).
    Zero,
    /// Makes zeros (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE).
    ZeroWithin,
}

/// How a file is opened.
#[derive(Debug)]
pub struct Opening<'a> {
    /// By which name.
    pub path: &'a Path,
    /// With what.
    pub flags: OpenFlags,
    /// By whom.
    pub caller: &'a Caller,
}

/// A file of a file system: a number and what can be done with it. Permissions, kinds, name lengths and read-only
/// mounts are checked by the callers in `vfs`; what a directory holds is checked here.
pub trait Inode: Any + Debug + Send + Sync {
    /// Its number; the same as long as the file exists.
    fn number(&self) -> u64;

    /// Its type; never changes.
    fn kind(&self) -> FileKind;

    /// Facts about it.
    fn stat(&self) -> Result<Stat, Errno>;

    /// Refuses somebody who wants to search a directory or open a file, beyond what its permissions say.
    fn check(&self, _caller: &Caller) -> Result<(), Errno> {
        Ok(())
    }

    /// Whether a name that led here is known to do so still; otherwise it is looked up again.
    fn is_current(&self) -> bool {
        true
    }

    /// Opens it. Fifos and sockets are never asked.
    fn open(self: Arc<Self>, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno>;

    /// Its data or names without an open file, for a file system that shows it as its own. `EINVAL` where no such file
    /// system can lie on this one.
    fn layer(self: Arc<Self>) -> Result<Arc<dyn FileObject>, Errno> {
        Err(Errno::EINVAL)
    }

    /// Changes attributes.
    fn change(&self, _changes: &Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Finds a name in a directory; never `.` or `..`.
    fn lookup(&self, _name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::ENOTDIR)
    }

    /// Makes a file in a directory. The name is free.
    fn create(&self, _name: &[u8], _new: &NewInode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::EACCES)
    }

    /// Makes a regular file without a name, for O_TMPFILE.
    fn create_unnamed(&self, _new: &NewInode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives a file of the same file system one more name, in this directory. The name is free.
    fn link(&self, _name: &[u8], _inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Takes a name of a file that is no directory away.
    fn unlink(&self, _name: &[u8], _inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Removes an empty directory.
    fn rmdir(&self, _name: &[u8], _inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Moves a name of this directory to another of the same file system.
    fn rename(&self, _name: &[u8], _to: &Arc<dyn Inode>, _to_name: &[u8], _how: Rename) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Where a symbolic link leads.
    fn link_target(&self, _caller: &Caller) -> Result<LinkTarget, Errno> {
        Err(Errno::EINVAL)
    }

    /// What readlink(2) shows: for a link straight to a file, its path as the caller sees it.
    fn read_link(&self, caller: &Caller) -> Result<Vec<u8>, Errno> {
        match self.link_target(caller)? {
            LinkTarget::Text(text) => Ok(text),
            LinkTarget::File(path) => Ok(path.shown_to(caller)),
        }
    }

    /// Makes a regular file longer or shorter.
    fn set_len(&self, _len: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// fallocate(2) on a regular file.
    fn allocate(&self, _what: Allocation, _offset: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Notes that it was read now, if the file system keeps that.
    fn accessed(&self) {}

    /// The value of an extended attribute: `ENODATA` when there is none.
    fn xattr(&self, _name: &[u8]) -> Result<Vec<u8>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// The names of all extended attributes.
    fn xattrs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(Vec::new())
    }

    /// Sets an extended attribute.
    fn set_xattr(&self, _name: &[u8], _value: &[u8], _how: XattrSet) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Removes an extended attribute.
    fn remove_xattr(&self, _name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Whether it may have an access list ([`super::acl`]), or a directory one for what is made in it. Asked often.
    fn has_acl(&self) -> bool {
        false
    }

    /// Makes it last (fsync(2)).
    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }
}

impl dyn Inode {
    /// The node of a file system behind one of its inodes: `EXDEV` when it is of another.
    pub fn downcast<T: Inode>(self: &Arc<Self>) -> Result<Arc<T>, Errno> {
        let any: Arc<dyn Any + Send + Sync> = self.clone();
        any.downcast().map_err(|_| Errno::EXDEV)
    }
}
