//! Open files. One that was opened before the file was copied up goes on with the copy.

use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::listing::Listing;
use super::node::Node;
use crate::Errno;
use crate::io::{Sink, Source};
use crate::mm::{MapPiece, Mappers};
use crate::platform::Sharing;
use crate::vfs::{DirEntry, Direction, Emit, FileObject, Seeking, WriteAt, Written};

/// A regular file.
#[derive(Debug)]
pub(super) struct OverlayFile {
    node: Arc<Node>,
    current: Mutex<Current>,
}

/// The layer's file that is read and written now.
#[derive(Clone, Debug)]
struct Current {
    object: Arc<dyn FileObject>,
    /// Whether it is the writable layer's, which never changes again.
    is_upper: bool,
}

impl OverlayFile {
    pub fn open(node: Arc<Node>) -> Result<Arc<dyn FileObject>, Errno> {
        let is_upper = node.upper().is_some();
        let object = node.real().layer()?;
        Ok(Arc::new(Self { node, current: Mutex::new(Current { object, is_upper }) }))
    }

    fn object(&self) -> Result<Arc<dyn FileObject>, Errno> {
        let mut current = self.current.lock();
        if !current.is_upper
            && let Some(upper) = self.node.upper()
        {
            *current = Current { object: upper.layer()?, is_upper: true };
        }
        Ok(current.object.clone())
    }
}

impl FileObject for OverlayFile {
    fn read(&self, sink: &mut dyn Sink, at: u64) -> Result<usize, Errno> {
        self.object()?.read(sink, at)
    }

    fn write(&self, source: &mut dyn Source, at: WriteAt) -> Result<Written, Errno> {
        self.object()?.write(source, at)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn find(&self, from: u64, what: Direction) -> Result<u64, Errno> {
        self.object()?.find(from, what)
    }

    fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        self.object()?.map(offset, len, sharing)
    }

    fn mappers(&self) -> Option<Arc<Mappers>> {
        self.object().ok()?.mappers()
    }
}

/// A directory. What it lists is what it had when the listing began.
#[derive(Debug)]
pub(super) struct Directory {
    node: Arc<Node>,
    names: Mutex<Arc<Listing>>,
}

impl Directory {
    pub fn new(node: Arc<Node>) -> Self {
        Self { node, names: Mutex::default() }
    }
}

impl FileObject for Directory {
    fn read(&self, _: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn read_dir(&self, at: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) -> Result<(), Errno> {
        if at == 0 {
            let all = Arc::new(self.node.all_names()?);
            let before = core::mem::replace(&mut *self.names.lock(), all);
            drop(before);
        }
        let names = self.names.lock().clone();
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        for (next, (name, ino, kind)) in (at + 1..).zip(names.from(from)) {
            if emit(&DirEntry { name, ino, kind, next }) == Emit::Full {
                break;
            }
        }
        Ok(())
    }
}
