//! An open synthetic file.

use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::inode::Synthetic;
use super::{Node, Opener, Subject};
use crate::Errno;
use crate::account::Charge;
use crate::io::{Sink, Source};
use crate::vfs::{FileObject, Seeking, WriteAt, Written};

/// What one write can bring: a page, as on Linux.
const WRITE_BYTES_MAX: usize = 4096;

/// An open file, with the text that was made last.
#[derive(Debug)]
pub(super) struct OpenFile<S: Subject> {
    inode: Arc<Synthetic<S>>,
    opener: Opener,
    text: Mutex<Option<Arc<Made>>>,
}

/// A text that was made.
#[derive(Debug)]
struct Made {
    text: Vec<u8>,
    _memory: Charge,
}

impl Made {
    fn new(text: Vec<u8>) -> Result<Arc<Self>, Errno> {
        let memory = Charge::new(text.capacity())?;
        Ok(Arc::new(Self { text, _memory: memory }))
    }
}

impl<S: Subject> OpenFile<S> {
    pub fn new(inode: Arc<Synthetic<S>>, opener: Opener) -> Self {
        Self { inode, opener, text: Mutex::new(None) }
    }

    fn text(&self, at: u64) -> Result<Arc<Made>, Errno> {
        let known = self.text.lock().clone();
        if let Some(known) = known.filter(|_| at > 0) {
            return Ok(known);
        }
        let made = Made::new(match self.inode.node {
            Node::Constant(text) => text.as_bytes().to_vec(),
            Node::File { read: Some(read), .. } => read(&self.inode.subject, &self.opener)?,
            _ => return Err(Errno::EINVAL),
        })?;
        *self.text.lock() = Some(made.clone());
        Ok(made)
    }
}

impl<S: Subject> FileObject for OpenFile<S> {
    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn read(&self, sink: &mut dyn Sink, at: u64) -> Result<usize, Errno> {
        let made = self.text(at)?;
        let text = &made.text;
        let rest = usize::try_from(at).ok().and_then(|at| text.get(at..)).unwrap_or_default();
        if rest.is_empty() { Ok(0) } else { sink.put(&rest[..rest.len().min(sink.remaining())]) }
    }

    fn write(&self, source: &mut dyn Source, at: WriteAt) -> Result<Written, Errno> {
        let Node::File { write: Some(write), .. } = self.inode.node else { return Err(Errno::EINVAL) };
        let mut bytes = alloc::vec![0; source.remaining().min(WRITE_BYTES_MAX)];
        let count = source.take(&mut bytes)?;
        write(&self.inode.subject, &self.opener, &bytes[..count])?;
        let from = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => 0,
        };
        Ok(Written { count, end: from + count as u64 })
    }
}
