//! Open directories.

use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use super::node::Node;
use crate::Errno;
use crate::io::Sink;
use crate::platform::NodeId;
use crate::vfs::{DirEntry, Emit, FileObject, Seeking};

/// An open directory. Positions are the host's.
#[derive(Debug)]
pub(super) struct HostListing {
    node: Arc<Node>,
    /// Begun when it is read first.
    listing: Mutex<Option<NodeId>>,
}

impl HostListing {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node, listing: Mutex::new(None) }
    }

    fn listing(&self) -> Result<NodeId, Errno> {
        let mut listing = self.listing.lock();
        if let Some(listing) = *listing {
            return Ok(listing);
        }
        let begun = self.node.shared.directory.list(self.node.id)?;
        *listing = Some(begun);
        Ok(begun)
    }
}

impl FileObject for HostListing {
    fn read(&self, _: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn read_dir(&self, at: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) -> Result<(), Errno> {
        let listing = self.listing()?;
        let mut at = at;
        loop {
            let names = self.node.shared.directory.read_listing(listing, at)?;
            let Some(last) = names.last() else { return Ok(()) };
            at = last.next;
            for entry in &names {
                let ino = self.node.number_of(entry.ino);
                let entry = DirEntry { name: &entry.name, ino, kind: entry.kind, next: entry.next };
                if emit(&entry) == Emit::Full {
                    return Ok(());
                }
            }
        }
    }
}

impl Drop for HostListing {
    fn drop(&mut self) {
        if let Some(listing) = *self.listing.lock() {
            self.node.shared.directory.forget(listing);
        }
    }
}
