//! A directory of the host that the kernel may use, and its files. Somebody else on the host may change both at any
//! time.
//!
//! Files are reached by one name in a directory at a time and never through a link, so the kernel's own look-up
//! decides what a path means.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt::Debug;

use super::FileId;
use crate::Errno;
use crate::vfs::{Allocation, Direction, FileKind, NewInode, Rename, Stat, StatFs, Timestamp, XattrSet};

/// A file of a host directory that the kernel holds; it stays the same file whatever becomes of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// What a file's data is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAccess {
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// What the host says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// The host's device: its inode numbers are unique only together with it.
    pub device: u64,
    /// Facts; `ino` is the host's.
    pub stat: Stat,
}

/// A file that was found or made.
#[derive(Clone, Debug)]
pub struct HostEntry {
    /// Held until [`HostDirectory::forget`].
    pub node: NodeId,
    /// About it.
    pub facts: HostFacts,
}

/// One name of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    /// The name.
    pub name: Vec<u8>,
    /// The host's inode number.
    pub ino: u64,
    /// The type.
    pub kind: FileKind,
    /// The position behind it, above 0 and at most `i64::MAX - 8`.
    pub next: u64,
    /// What was known of it then.
    pub facts: Option<Box<HostFacts>>,
}

/// The beginning of a listing.
#[derive(Debug)]
pub struct FirstNames {
    /// Says more, from the last position on; to be forgotten like a node. `None` when this is all.
    pub rest: Option<NodeId>,
    /// Names, without `.` and `..`.
    pub names: Vec<HostName>,
}

/// The data of a regular file of the host.
pub trait HostFile: Any + Debug + Send + Sync {
    /// What mappings call it.
    fn id(&self) -> FileId;

    /// Reads; 0 at the end.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Writes.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno>;

    /// Facts about it, as the host sees them now; owner and group may be unknown.
    fn stat(&self) -> Result<Stat, Errno>;

    /// Makes it longer or shorter.
    fn set_len(&self, len: u64) -> Result<(), Errno>;

    /// Takes or frees room.
    fn allocate(&self, what: Allocation, offset: u64, len: u64) -> Result<(), Errno>;

    /// The next data or hole.
    fn find(&self, from: u64, what: Direction) -> Result<u64, Errno>;

    /// Makes its data last.
    fn sync(&self) -> Result<(), Errno>;
}

/// A directory of the host. Names are single ones: never empty, `.` or `..`, never with a slash.
pub trait HostDirectory: Debug + Send + Sync {
    /// The directory itself.
    fn root(&self) -> Result<HostEntry, Errno>;

    /// Finds a name; a link is found itself.
    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<HostEntry, Errno>;

    /// Lets go of a node. Cannot fail, and may be done later.
    fn forget(&self, node: NodeId);

    /// The same, without delay: the room of a file that has no name any more comes free.
    fn forget_now(&self, node: NodeId);

    /// Facts about a node.
    fn stat(&self, node: NodeId) -> Result<Stat, Errno>;

    /// Opens a regular file.
    fn open(&self, node: NodeId, access: FileAccess) -> Result<Arc<dyn HostFile>, Errno>;

    /// Makes a file with exactly this owner and these permissions; the name must be free. A regular file comes open.
    /// `EPERM` for a device.
    fn create(
        &self,
        directory: NodeId,
        name: &[u8],
        new: &NewInode<'_>,
    ) -> Result<(HostEntry, Option<Arc<dyn HostFile>>), Errno>;

    /// Makes a regular file without a name.
    fn create_unnamed(&self, directory: NodeId, new: &NewInode<'_>) -> Result<(HostEntry, Arc<dyn HostFile>), Errno>;

    /// Gives a file one more name.
    fn link(&self, node: NodeId, directory: NodeId, name: &[u8]) -> Result<(), Errno>;

    /// Removes a name of anything but a directory.
    fn unlink(&self, directory: NodeId, name: &[u8]) -> Result<(), Errno>;

    /// Removes an empty directory.
    fn rmdir(&self, directory: NodeId, name: &[u8]) -> Result<(), Errno>;

    /// Moves a name.
    fn rename(&self, from: NodeId, name: &[u8], to: NodeId, to_name: &[u8], how: Rename) -> Result<(), Errno>;

    /// Where a symbolic link leads.
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno>;

    /// Changes permission bits.
    fn set_permissions(&self, node: NodeId, permissions: u32) -> Result<(), Errno>;

    /// Changes owner and group.
    fn set_owner(&self, node: NodeId, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno>;

    /// Changes times.
    fn set_times(&self, node: NodeId, atime: Option<Timestamp>, mtime: Option<Timestamp>) -> Result<(), Errno>;

    /// Begins to list a directory.
    fn list(&self, node: NodeId) -> Result<FirstNames, Errno>;

    /// More names, from a position on: a few at a time, none at the end.
    fn read_listing(&self, listing: NodeId, at: u64) -> Result<Vec<HostName>, Errno>;

    /// The value of an extended attribute.
    fn xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>, Errno>;

    /// The names of all.
    fn xattrs(&self, node: NodeId) -> Result<Vec<Vec<u8>>, Errno>;

    /// Sets one.
    fn set_xattr(&self, node: NodeId, name: &[u8], value: &[u8], how: XattrSet) -> Result<(), Errno>;

    /// Removes one.
    fn remove_xattr(&self, node: NodeId, name: &[u8]) -> Result<(), Errno>;

    /// Facts about the file system.
    fn statfs(&self) -> Result<StatFs, Errno>;

    /// Makes what a node is last.
    fn sync(&self, node: NodeId) -> Result<(), Errno>;
}
