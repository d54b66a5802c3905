//! Listing a synthetic directory.

use alloc::sync::Arc;

use super::inode::{Synthetic, number_below};
use super::{Opener, Subject};
use crate::Errno;
use crate::vfs::{DirEntry, Emit, FileObject, Seeking};

/// An open directory. Positions: the fixed entries, then [`super::Listed::at`] behind them.
#[derive(Debug)]
pub(super) struct OpenDirectory<S: Subject> {
    pub inode: Arc<Synthetic<S>>,
    pub opener: Opener,
}

impl<S: Subject> FileObject for OpenDirectory<S> {
    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn read(&self, _sink: &mut dyn crate::io::Sink, _at: u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn read_dir(&self, at: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) -> Result<(), Errno> {
        let inode = &self.inode;
        let super::Node::Directory(directory) = inode.node else { return Err(Errno::ENOTDIR) };
        let fixed = directory.entries.len() as u64;
        for (index, entry) in (0..).zip(directory.entries).skip_while(|(index, _)| *index < at) {
            let name = entry.name.as_bytes();
            let ino = number_below(inode.number, name);
            if emit(&DirEntry { name, ino, kind: entry.node.kind(), next: index + 1 }) == Emit::Full {
                return Ok(());
            }
        }
        let Some(names) = &directory.names else { return Ok(()) };
        let from = at.saturating_sub(fixed);
        for listed in
            (names.list)(&inode.subject, inode.number, &self.opener)?.iter().filter(|listed| listed.at >= from)
        {
            let next = fixed + listed.at + 1;
            let entry = DirEntry { name: &listed.name, ino: listed.number, kind: listed.kind, next };
            if emit(&entry) == Emit::Full {
                return Ok(());
            }
        }
        Ok(())
    }
}
