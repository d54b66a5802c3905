//! The names of a directory.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::node::Node;
use crate::Errno;
use crate::account::Charge;
use crate::vfs::{DirEntry, Emit, FileKind, Inode as _};

/// A directory's names. Each has a number that rises, so that a listing goes on where it was whatever comes and goes.
#[derive(Debug, Default)]
pub struct Names {
    entries: BTreeMap<Arc<[u8]>, Entry>,
    order: BTreeMap<u64, (Arc<[u8]>, Arc<Node>)>,
    last: u64,
    directories: u32,
    /// It was removed: nothing can be made in it.
    dead: bool,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    node: Arc<Node>,
    _memory: Charge,
}

/// What an entry takes beside its name.
const ENTRY_BYTES: usize = 224;

impl Names {
    pub fn get(&self, name: &[u8]) -> Result<Arc<Node>, Errno> {
        self.entries.get(name).map(|entry| entry.node.clone()).ok_or(Errno::ENOENT)
    }

    /// Adds a name, or gives it to another file; the one before is given back.
    pub fn put(&mut self, name: &[u8], node: Arc<Node>) -> Result<Option<Arc<Node>>, Errno> {
        if self.dead {
            return Err(Errno::ENOENT);
        }
        let is_directory = u32::from(node.kind() == FileKind::Directory);
        if let Some(entry) = self.entries.get_mut(name) {
            if let Some((_, listed)) = self.order.get_mut(&entry.number) {
                *listed = node.clone();
            }
            let before = core::mem::replace(&mut entry.node, node);
            self.directories += is_directory;
            self.directories -= u32::from(before.kind() == FileKind::Directory);
            return Ok(Some(before));
        }
        let memory = Charge::new(ENTRY_BYTES + name.len()).map_err(|_| Errno::ENOSPC)?;
        self.directories += is_directory;
        self.last += 1;
        let name: Arc<[u8]> = name.into();
        self.entries.insert(name.clone(), Entry { number: self.last, node: node.clone(), _memory: memory });
        self.order.insert(self.last, (name, node));
        Ok(None)
    }

    pub fn take(&mut self, name: &[u8]) -> Result<Arc<Node>, Errno> {
        let Entry { number, node, .. } = self.entries.remove(name).ok_or(Errno::ENOENT)?;
        self.order.remove(&number);
        self.directories -= u32::from(node.kind() == FileKind::Directory);
        Ok(node)
    }

    /// Everything that is in it, to be let go.
    pub fn drain(&mut self) -> impl Iterator<Item = Arc<Node>> + use<> {
        self.order.clear();
        core::mem::take(&mut self.entries).into_values().map(|entry| entry.node)
    }

    /// Lets nothing more in. `ENOTEMPTY` unless it is empty.
    pub fn kill(&mut self) -> Result<(), Errno> {
        if !self.entries.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.dead = true;
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn directories(&self) -> u32 {
        self.directories
    }

    pub fn list(&self, at: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) {
        for (number, (name, node)) in self.order.range(at + 1..) {
            let entry = DirEntry { name, ino: node.number(), kind: node.kind(), next: *number };
            if emit(&entry) == Emit::Full {
                return;
            }
        }
    }
}
