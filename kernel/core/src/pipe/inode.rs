//! Pipes without a name.

use alloc::sync::{Arc, Weak};

use super::{Pipe, PipeEnd};
use crate::Errno;
use crate::fs::Anonymous;
use crate::task::Credentials;
use crate::vfs::{Changes, File, FileKind, FileObject, Inode, OpenFlags, Opening, Stat, Vfs};

/// The inode of a pipe: it can be opened again by way of /proc/PID/fd.
#[derive(Debug)]
struct PipeInode {
    facts: Anonymous,
    pipe: Weak<Pipe>,
}

impl Inode for PipeInode {
    fn number(&self) -> u64 {
        self.facts.number()
    }

    fn kind(&self) -> FileKind {
        FileKind::Fifo
    }

    fn stat(&self) -> Result<Stat, Errno> {
        self.facts.stat()
    }

    fn change(&self, changes: &Changes) -> Result<(), Errno> {
        self.facts.change(changes)
    }

    fn open(self: Arc<Self>, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        let pipe = self.pipe.upgrade().ok_or(Errno::ENXIO)?;
        Ok(PipeEnd::new(&pipe, opening.flags))
    }
}

/// Makes a pipe: the end to read from, and the end to write to.
pub fn open_pipe(vfs: &Vfs, owner: &Credentials, flags: OpenFlags) -> Result<[Arc<File>; 2], Errno> {
    let pipe = if flags.contains(OpenFlags::DIRECT) { Pipe::of_packets() } else { Pipe::new() };
    let number = vfs.inode_number();
    let facts = Anonymous::new(number, FileKind::Fifo, 0o600, owner.fsuid, owner.fsgid, vfs.now());
    let inode: Arc<dyn Inode> = Arc::new(PipeInode { facts, pipe: Arc::downgrade(&pipe) });
    let name = alloc::format!("pipe:[{number}]");
    let open = |flags| vfs.open_inode(inode.clone(), name.as_bytes(), PipeEnd::new(&pipe, flags), flags);
    Ok([open(flags)?, open(flags | OpenFlags::WRITE_ONLY)?])
}
