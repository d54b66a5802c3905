//! Open regular files.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use super::node::Node;
use crate::Errno;
use crate::io::{Sink, Source};
use crate::mm::MapPiece;
use crate::platform::{Backing, FileAccess, HostFile, Sharing};
use crate::vfs::{Direction, FileObject, Seeking, WriteAt, Written};

/// Bytes that are copied at once; they stay in the processor's cache.
const CHUNK_BYTES: usize = 64 << 10;

/// An open file.
#[derive(Debug)]
pub(super) struct HostFileObject {
    node: Arc<Node>,
    access: FileAccess,
    /// Kept open, whatever becomes of its modes and its name.
    _file: Arc<dyn HostFile>,
}

impl HostFileObject {
    pub(super) fn open(node: Arc<Node>, access: FileAccess) -> Result<Arc<dyn FileObject>, Errno> {
        node.begin_use();
        match node.file(access) {
            Ok(file) => Ok(Arc::new(Self { node, access, _file: file })),
            Err(errno) => {
                node.end_use();
                Err(errno)
            }
        }
    }

    /// What it is written through.
    fn writable(&self) -> Result<Arc<dyn HostFile>, Errno> {
        if self.access == FileAccess::ReadWrite { self.node.file(self.access) } else { Err(Errno::EBADF) }
    }
}

/// What one step moved.
struct Step {
    count: usize,
    is_last: bool,
}

/// Moves data step by step; `step` is told how much was moved before. That counts more than an error that comes then.
fn in_steps(mut step: impl FnMut(usize) -> Result<Step, Errno>) -> Result<usize, Errno> {
    let mut done = 0;
    loop {
        match step(done) {
            Ok(Step { count, is_last }) => {
                done += count;
                if is_last {
                    return Ok(done);
                }
            }
            Err(_) if done > 0 => return Ok(done),
            Err(errno) => return Err(errno),
        }
    }
}

impl FileObject for HostFileObject {
    fn read(&self, sink: &mut dyn Sink, at: u64) -> Result<usize, Errno> {
        let file = self.node.file(FileAccess::Read)?;
        let mut buffer = alloc::vec![0; sink.remaining().min(CHUNK_BYTES)];
        in_steps(|done| {
            let wanted = sink.remaining().min(buffer.len());
            let count = file.read(at.saturating_add(done as u64), &mut buffer[..wanted])?;
            let taken = if count == 0 { 0 } else { sink.put(&buffer[..count])? };
            Ok(Step { count: taken, is_last: taken < wanted || sink.remaining() == 0 })
        })
    }

    fn write(&self, source: &mut dyn Source, at: WriteAt) -> Result<Written, Errno> {
        let file = self.writable()?;
        let mut buffer = alloc::vec![0; source.remaining().min(CHUNK_BYTES)];
        let _writing = self.node.write_lock();
        let start = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => file.stat()?.size,
        };
        let done = in_steps(|done| {
            let wanted = source.remaining().min(buffer.len());
            let count = source.take(&mut buffer[..wanted])?;
            let written = file.write(start.saturating_add(done as u64), &buffer[..count])?;
            Ok(Step { count: written, is_last: written < wanted || source.remaining() == 0 })
        })?;
        Ok(Written { count: done, end: start.saturating_add(done as u64) })
    }

    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn find(&self, from: u64, what: Direction) -> Result<u64, Errno> {
        self.node.file(FileAccess::Read)?.find(from, what)
    }

    /// All of it at once: the host knows where the file ends, also when that changes.
    fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        let file = match sharing {
            Sharing::Shared => self.node.file(self.access)?,
            Sharing::Private => self.node.file(FileAccess::Read)?,
        };
        let backing = Backing::File { file: file.id(), offset, sharing };
        let keep: Arc<dyn Any + Send + Sync> = file;
        Ok(alloc::vec![MapPiece { len, backing, keep: Some(keep), fixed: None }])
    }
}

impl Drop for HostFileObject {
    fn drop(&mut self) {
        self.node.end_use();
    }
}
