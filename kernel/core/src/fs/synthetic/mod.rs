//! Files whose content is made when they are read: what proc, sysfs and cgroup2 consist of.
//!
//! A file system of this kind is a tree of static tables ([`Directory`] of [`Entry`]) about a [`Subject`]: the system,
//! a process, a processor. Directories whose names come and go add [`Names`]. A file's text is made by the first read,
//! and again by each read at offset 0, so that one read is consistent and `top` can keep a file open (as seq_file of
//! Linux does). No lock is held while text is made.

mod directory;
mod file;
mod inode;
#[cfg(test)]
pub(crate) mod testing;
mod text;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt::Debug;

use crate::Errno;
use crate::task::{Credentials, Task};
use crate::vfs::{Caller, FileKind, FileObject, Inode, LinkTarget, Opening, Timestamp};

pub use inode::{Synthetic, number_below};
pub use text::Text;

/// Where a table says nothing else.
const DIRECTORY_PERMISSIONS: u32 = 0o555;

/// What the files of a directory tell about.
pub trait Subject: Clone + Debug + Send + Sync + 'static {
    /// User and group that own a file with these permissions.
    fn owner(&self, _kind: FileKind, _permissions: u32) -> (u32, u32) {
        (0, 0)
    }

    /// The time that files are marked with.
    fn time(&self) -> Timestamp;

    /// Refuses somebody who wants to look up names or open files, beyond what permissions say.
    fn check(&self, _caller: &Caller) -> Result<(), Errno> {
        Ok(())
    }

    /// What `st_size` of a file says.
    fn file_bytes(&self) -> u64 {
        0
    }

    /// Permissions of directories below the root, where a table says nothing.
    fn directory_permissions(&self) -> u32 {
        DIRECTORY_PERMISSIONS
    }

    /// What is said to who opens a file for what it does not take: nothing, where only the write itself is refused.
    fn check_taken(&self) -> Result<(), Errno> {
        Err(Errno::EACCES)
    }

    /// What `st_size` of a symbolic link says.
    fn link_bytes(&self) -> u64 {
        0
    }
}

/// Who opened a file.
#[derive(Clone, Debug)]
pub struct Opener {
    /// With which rights.
    pub credentials: Arc<Credentials>,
    /// Which task.
    pub task: Weak<Task>,
}

impl Opener {
    fn new(caller: &Caller) -> Self {
        Self {
            credentials: caller.credentials.clone(),
            task: caller.task.as_ref().map(Arc::downgrade).unwrap_or_default(),
        }
    }

    /// The same as a caller, while the task lives.
    pub fn caller(&self) -> Caller {
        Caller { credentials: self.credentials.clone(), task: self.task.upgrade() }
    }
}

/// Makes a file's text.
pub type Read<S> = fn(&S, &Opener) -> Result<Vec<u8>, Errno>;
/// Takes what was written, all at once.
pub type Write<S> = fn(&S, &Opener, &[u8]) -> Result<(), Errno>;
/// Refuses who may not open a file.
pub type Guard<S> = fn(&S, &Caller) -> Result<(), Errno>;
/// Says where a link leads.
pub type Follow<S> = fn(&S, &Caller) -> Result<LinkTarget, Errno>;
/// Opens a file that is more than text.
pub type Open<S> = fn(&S, &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno>;

/// Finds a name in a directory with this number.
pub type Lookup<S> = fn(&S, u64, &[u8]) -> Result<Arc<dyn Inode>, Errno>;
/// Lists the names in a directory with this number.
pub type List<S> = fn(&S, u64, &Opener) -> Result<Vec<Listed>, Errno>;

/// What a name stands for.
pub enum Node<S: 'static> {
    /// Text.
    File {
        /// Makes it; `None` when it can only be written.
        read: Option<Read<S>>,
        /// Takes it; `None` when it can only be read.
        write: Option<Write<S>>,
        /// Who may open it, beyond its permissions.
        guard: Option<Guard<S>>,
    },
    /// Text that never changes.
    Constant(&'static str),
    /// A file with an inside of its own.
    Special(Open<S>),
    /// More names about the same subject.
    Directory(&'static Directory<S>),
    /// A directory about another subject; the number is its inode's.
    Elsewhere(fn(&S, u64) -> Arc<dyn Inode>),
    /// A symbolic link.
    Link(Follow<S>),
}

impl<S> Node<S> {
    /// Its type.
    pub fn kind(&self) -> FileKind {
        match self {
            Self::File { .. } | Self::Constant(_) | Self::Special(_) => FileKind::Regular,
            Self::Directory(_) | Self::Elsewhere(_) => FileKind::Directory,
            Self::Link(_) => FileKind::Symlink,
        }
    }
}

/// A name in a table.
pub struct Entry<S: 'static> {
    name: &'static str,
    permissions: u32,
    node: Node<S>,
}

impl<S> Entry<S> {
    /// Text that all may read.
    pub const fn text(name: &'static str, read: Read<S>) -> Self {
        Self { name, permissions: 0o444, node: Node::File { read: Some(read), write: None, guard: None } }
    }

    /// Text that its owner may change.
    pub const fn setting(name: &'static str, read: Read<S>, write: Write<S>) -> Self {
        Self { name, permissions: 0o644, node: Node::File { read: Some(read), write: Some(write), guard: None } }
    }

    /// What can only be written.
    pub const fn write_only(name: &'static str, write: Write<S>) -> Self {
        Self { name, permissions: 0o200, node: Node::File { read: None, write: Some(write), guard: None } }
    }

    /// Text for those that the guard lets through.
    pub const fn guarded(name: &'static str, permissions: u32, guard: Guard<S>, read: Read<S>) -> Self {
        Self { name, permissions, node: Node::File { read: Some(read), write: None, guard: Some(guard) } }
    }

    /// Text that never changes, with the newline at its end.
    pub const fn constant(name: &'static str, text: &'static str) -> Self {
        Self { name, permissions: 0o444, node: Node::Constant(text) }
    }

    /// More names.
    pub const fn directory(name: &'static str, directory: &'static Directory<S>) -> Self {
        Self { name, permissions: DIRECTORY_PERMISSIONS, node: Node::Directory(directory) }
    }

    /// More names, about something else.
    pub const fn elsewhere(name: &'static str, make: fn(&S, u64) -> Arc<dyn Inode>) -> Self {
        Self { name, permissions: 0o555, node: Node::Elsewhere(make) }
    }

    /// A symbolic link.
    pub const fn link(name: &'static str, follow: Follow<S>) -> Self {
        Self { name, permissions: 0o777, node: Node::Link(follow) }
    }

    /// A file with an inside of its own.
    pub const fn special(name: &'static str, permissions: u32, open: Open<S>) -> Self {
        Self { name, permissions, node: Node::Special(open) }
    }

    /// The same with other permissions.
    pub const fn mode(mut self, permissions: u32) -> Self {
        self.permissions = permissions;
        self
    }
}

/// A table of names.
pub struct Directory<S: 'static> {
    /// Those that are always there.
    pub entries: &'static [Entry<S>],
    /// Those that come and go.
    pub names: Option<Names<S>>,
}

impl<S> Directory<S> {
    /// Only names that are always there.
    pub const fn of(entries: &'static [Entry<S>]) -> Self {
        Self { entries, names: None }
    }

    /// Only names that come and go.
    pub const fn listing(names: Names<S>) -> Self {
        Self { entries: &[], names: Some(names) }
    }
}

/// Names that come and go.
pub struct Names<S: 'static> {
    /// Finds one.
    pub lookup: Lookup<S>,
    /// All, by rising [`Listed::at`].
    pub list: List<S>,
}

/// A name that is there now.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The name.
    pub name: Vec<u8>,
    /// The number of its inode.
    pub number: u64,
    /// Its type.
    pub kind: FileKind,
    /// Its place among the others, which never changes.
    pub at: u64,
}
