//! The virtual file system (path_resolution(7)): names, mounts, inodes, open files and descriptors.
//!
//! A file system implements [`Filesystem`] and [`Inode`]; what can be read, written or polled implements
//! [`FileObject`]. An open file description is a [`File`]; descriptors live in an [`FdTable`]. Names are looked up
//! through [`Dentry`]s, which cache them, by a [`Walker`] that knows mounts, links and permissions.
//!
//! Lock order: mount table, superblock's renaming, directory (a dentry's children), dentry's place, whatever an inode
//! has inside. A directory's lock is held while its file system changes names in it; two are held only by a rename,
//! under the superblock's lock. A file's position is locked while it is read or written, before anything else.

pub mod acl;
mod attributes;
mod context;
mod dentry;
mod device;
mod fd_table;
mod file;
mod file_signals;
mod floating;
mod handles;
mod hooks;
mod inode;
pub mod inotify;
mod locks;
mod mount;
mod names;
mod notify;
mod object;
mod open;
mod open_flags;
mod path;
pub mod permission;
mod poll_events;
mod protections;
mod shared;
mod stat;
mod superblock;
mod usage;
mod users;
mod walk;
mod watch_mask;

pub use attributes::SetTime;
pub use context::{Caller, FsContext};
pub use dentry::Dentry;
pub use device::Driver;
pub use fd_table::{Descriptor, FdFlags, FdTable};
pub use file::File;
pub use file_signals::{FileOwner, FileSignals, Happening, Telling};
pub use floating::FloatingTree;
pub use handles::{Handle, HandleForm};
pub use hooks::Hooks;
pub use inode::{Allocation, Changes, Inode, InodeKey, LinkTarget, NewInode, NewKind, Opening, Rename, XattrSet};
pub use locks::{Lock, LockKind, LockOwner, LockRefused, Locks};
pub use mount::{Mount, MountFlags, MountId, MountNamespace};
pub use names::RenameHow;
pub use object::{DirEntry, Direction, Emit, FileObject, Seeking, WriteAt, Written};
pub use open::{OpenHow, Opened};
pub use open_flags::OpenFlags;
pub use path::Path;
pub use poll_events::PollEvents;
pub use protections::{Protected, Protections};
pub use shared::{Sealing, Vfs};
pub use stat::{Device, FileKind, Stat, StatFs, Timestamp};
pub use superblock::{Caching, Filesystem, ReadOnly, Superblock};
pub use usage::InUse;
pub use users::{User, UserCharge, UserLimit};
pub use walk::{Follow, Last, Name, Parent, Resolve, Walker};
pub use watch_mask::WatchMask;

/// NAME_MAX
pub const NAME_BYTES_MAX: usize = 255;
/// PATH_MAX, its NUL included.
pub const PATH_BYTES_MAX: usize = 4096;
/// The page size of the ABI.
pub const PAGE_BYTES: u64 = 4096;
