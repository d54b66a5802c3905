//! A stream of the host as an open file: a container's standard streams when it has no terminal.

use alloc::sync::Arc;

use super::Anonymous;
use crate::Errno;
use crate::io::{Sink, Source};
use crate::platform::{HostStream, Wake};
use crate::task::Credentials;
use crate::vfs::{
    Changes, File, FileKind, FileObject, Inode, OpenFlags, Opening, PollEvents, Stat, Vfs, WriteAt, Written,
};
use crate::wait::SharedQueue;

/// Most bytes that one call moves: what a pipe of the host holds.
const CHUNK_BYTES: usize = 64 << 10;

/// A pipe or file of the host.
#[derive(Debug)]
pub struct StreamFile {
    stream: Arc<dyn HostStream>,
    queue: SharedQueue,
}

/// Passes news of the host on.
#[derive(Debug)]
struct News(SharedQueue);

impl Wake for News {
    fn wake(&self) {
        self.0.wake();
    }
}

impl StreamFile {
    /// Serves a stream, and hears its news from now on.
    pub fn new(stream: Arc<dyn HostStream>) -> Arc<Self> {
        let queue = SharedQueue::default();
        stream.watch(Arc::new(News(queue.clone())));
        Arc::new(Self { stream, queue })
    }
}

/// Its inode: opening it again, by way of /proc/PID/fd or /dev/stdout, gives the same stream.
#[derive(Debug)]
struct StreamInode {
    facts: Anonymous,
    object: Arc<StreamFile>,
}

impl Inode for StreamInode {
    fn number(&self) -> u64 {
        self.facts.number()
    }

    fn kind(&self) -> FileKind {
        self.facts.kind()
    }

    fn stat(&self) -> Result<Stat, Errno> {
        self.facts.stat()
    }

    fn change(&self, changes: &Changes) -> Result<(), Errno> {
        self.facts.change(changes)
    }

    fn open(self: Arc<Self>, _: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(self.object.clone())
    }
}

/// Opens a stream of the host for a container. It looks like a pipe.
pub fn open_stream(vfs: &Vfs, stream: Arc<dyn HostStream>, owner: &Credentials) -> Result<Arc<File>, Errno> {
    let number = vfs.inode_number();
    let facts = Anonymous::new(number, FileKind::Fifo, 0o600, owner.fsuid, owner.fsgid, vfs.now());
    let object = StreamFile::new(stream);
    let inode = Arc::new(StreamInode { facts, object: object.clone() });
    let name = alloc::format!("pipe:[{number}]");
    vfs.open_inode(inode, name.as_bytes(), object, OpenFlags::READ_WRITE)
}

impl FileObject for StreamFile {
    fn read(&self, sink: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        let mut buffer = alloc::vec![0; sink.remaining().min(CHUNK_BYTES)];
        let count = self.stream.read(&mut buffer)?;
        sink.put(&buffer[..count])
    }

    fn write(&self, source: &mut dyn Source, _: WriteAt) -> Result<Written, Errno> {
        let mut buffer = alloc::vec![0; source.remaining().min(CHUNK_BYTES)];
        let taken = source.take(&mut buffer)?;
        let count = self.stream.write(&buffer[..taken])?;
        Ok(Written { count, end: 0 })
    }

    fn takes_all(&self) -> bool {
        true
    }

    fn poll(&self) -> PollEvents {
        let ready = self.stream.readiness();
        let mut events = PollEvents::empty();
        events.set(PollEvents::READABLE, ready.readable);
        events.set(PollEvents::WRITABLE, ready.writable);
        events.set(PollEvents::HUP, ready.hang_up);
        events
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.queue.clone())
    }
}
