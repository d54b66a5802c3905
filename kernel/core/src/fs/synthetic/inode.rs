//! The inode of every synthetic file.

use alloc::sync::Arc;
use core::fmt;

use super::directory::OpenDirectory;
use super::file::OpenFile;
use super::{DIRECTORY_PERMISSIONS, Directory, Node, Opener, Subject};
use crate::Errno;
use crate::vfs::{Caller, FileKind, FileObject, Inode, LinkTarget, Opening, Stat};

/// A file of a synthetic file system.
#[derive(Clone)]
pub struct Synthetic<S: Subject> {
    pub(in crate::fs) subject: S,
    pub(in crate::fs) node: &'static Node<S>,
    pub(super) permissions: u32,
    pub(super) number: u64,
}

impl<S: Subject> fmt::Debug for Synthetic<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Synthetic({} about {:?})", self.number, self.subject)
    }
}

impl<S: Subject> Synthetic<S> {
    /// A file about a subject.
    pub fn inode(subject: S, node: &'static Node<S>, permissions: u32, number: u64) -> Arc<dyn Inode> {
        Arc::new(Self { subject, node, permissions, number })
    }

    fn directory(&self) -> Result<&'static Directory<S>, Errno> {
        match self.node {
            Node::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn links(&self) -> u32 {
        let Ok(directory) = self.directory() else { return 1 };
        let below = directory.entries.iter().filter(|entry| entry.node.kind() == FileKind::Directory).count();
        2 + u32::try_from(below).unwrap_or(0)
    }

    /// Beyond permissions: what can be read or written at all, and the guard.
    fn check_open(&self, opening: &Opening<'_>) -> Result<(), Errno> {
        let Node::File { read, write, guard } = self.node else {
            let writable = matches!(self.node, Node::Special(_));
            return if opening.flags.writes() && !writable { self.subject.check_taken() } else { Ok(()) };
        };
        if opening.flags.reads() && read.is_none() && !opening.flags.writes() {
            return Err(Errno::EACCES);
        }
        if opening.flags.writes() && write.is_none() {
            self.subject.check_taken()?;
        }
        guard.map_or(Ok(()), |guard| guard(&self.subject, opening.caller))
    }
}

impl<S: Subject> Inode for Synthetic<S> {
    fn number(&self) -> u64 {
        self.number
    }

    fn kind(&self) -> FileKind {
        self.node.kind()
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let (kind, time) = (self.kind(), self.subject.time());
        let (uid, gid) = self.subject.owner(kind, self.permissions);
        let size = match kind {
            FileKind::Symlink => self.subject.link_bytes(),
            FileKind::Regular => self.subject.file_bytes(),
            _ => 0,
        };
        let stat = Stat::new(self.number, kind, self.permissions);
        Ok(Stat { nlink: self.links(), uid, gid, size, atime: time, mtime: time, ctime: time, ..stat })
    }

    fn check(&self, caller: &Caller) -> Result<(), Errno> {
        self.subject.check(caller)
    }

    fn open(self: Arc<Self>, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        self.check_open(opening)?;
        match self.node {
            Node::Special(open) => open(&self.subject, opening),
            Node::Directory(_) => Ok(Arc::new(OpenDirectory { inode: self, opener: Opener::new(opening.caller) })),
            _ => Ok(Arc::new(OpenFile::new(self, Opener::new(opening.caller)))),
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let directory = self.directory()?;
        let entry = directory.entries.iter().find(|entry| entry.name.as_bytes() == name);
        if let Some(entry) = entry {
            let number = number_below(self.number, name);
            return Ok(match &entry.node {
                Node::Elsewhere(make) => make(&self.subject, number),
                node @ Node::Directory(_) if entry.permissions == DIRECTORY_PERMISSIONS => {
                    Self::inode(self.subject.clone(), node, self.subject.directory_permissions(), number)
                }
                node => Self::inode(self.subject.clone(), node, entry.permissions, number),
            });
        }
        let names = directory.names.as_ref().ok_or(Errno::ENOENT)?;
        (names.lookup)(&self.subject, self.number, name)
    }

    fn link_target(&self, caller: &Caller) -> Result<LinkTarget, Errno> {
        match self.node {
            Node::Link(follow) => follow(&self.subject, caller),
            _ => Err(Errno::EINVAL),
        }
    }

    /// What O_TRUNC asks for: there is nothing to be cut.
    fn set_len(&self, _len: u64) -> Result<(), Errno> {
        Ok(())
    }
}

/// A number for what has a name in a directory: the same each time it is looked up, since nothing of it is kept.
/// FNV-1a, of which 40 bits are shown.
pub fn number_below(directory: u64, name: &[u8]) -> u64 {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x100_0000_01b3;
    let directory = directory.to_le_bytes();
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    let hash = directory.iter().chain(name).fold(START, mix);
    // The low numbers are the roots'.
    ((hash ^ hash >> 40) & 0xff_ffff_ffff) | 0x100
}
