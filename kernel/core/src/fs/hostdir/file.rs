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

impl FileObject for HostFileObject {
    fn read(&self, sink: &mut dyn Sink, at: u64) -> Result<usize, Errno> {
        let file = self.node.file(FileAccess::Read)?;
        let mut buffer = alloc::vec![0; sink.remaining().min(CHUNK_BYTES)];
        let mut done = 0;
        while sink.remaining() > 0 {
            let wanted = sink.remaining().min(buffer.len());
            let step = file.read(at.saturating_add(done as u64), &mut buffer[..wanted]).and_then(|count| {
                let taken = if count == 0 { 0 } else { sink.put(&buffer[..count])? };
                Ok((taken, taken < wanted))
            });
            match step {
                Ok((count, is_last)) => {
                    done += count;
                    if is_last {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write(&self, source: &mut dyn Source, at: WriteAt) -> Result<Written, Errno> {
        let file = self.writable()?;
        let mut buffer = alloc::vec![0; source.remaining().min(CHUNK_BYTES)];
        let _writing = self.node.write_lock();
        let start = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => file.stat()?.size,
        };
        let mut done = 0;
        while source.remaining() > 0 {
            let wanted = source.remaining().min(buffer.len());
            let step = source.take(&mut buffer[..wanted]).and_then(|count| {
                let written = file.write(start.saturating_add(done as u64), &buffer[..count])?;
                Ok((written, written < wanted))
            });
            match step {
                Ok((count, is_last)) => {
                    done += count;
                    if is_last {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
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
        Ok(alloc::vec![MapPiece { len, backing, keep: Some(keep) }])
    }
}

impl Drop for HostFileObject {
    fn drop(&mut self) {
        self.node.end_use();
    }
}
