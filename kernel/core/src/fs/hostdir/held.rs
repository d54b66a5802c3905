//! How a node reaches its file on the host. A file of which nothing but a listing is known is reached by its name,
//! until more is wanted than that told.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::node::Node;
use crate::Errno;
use crate::platform::{HostEntry, NodeId};
use crate::vfs::FileKind;

/// The way to a file.
#[derive(Debug)]
pub(super) enum Held {
    /// The host holds it for us.
    Node(NodeId),
    /// It had this name.
    Named(Named),
}

/// A name in a directory.
#[derive(Debug)]
pub(super) struct Named {
    /// One that the host holds for us.
    pub directory: Arc<Node>,
    pub name: Vec<u8>,
}

impl Named {
    /// The node is reached by itself from now on, or by nobody.
    pub(super) fn leave(&self, node: &Node) {
        self.directory.forget_named(&self.name, node);
    }
}

impl Node {
    /// The host's number of the file. If the host gave its name to another one meanwhile, that is it: nothing but facts
    /// was seen of the first.
    pub(super) fn id(&self) -> Result<NodeId, Errno> {
        let mut held = self.held.lock();
        let named = match &*held {
            Held::Node(id) => return Ok(*id),
            Held::Named(named) => named,
        };
        let found = named.directory.id().and_then(|directory| self.shared.directory.lookup(directory, &named.name));
        let HostEntry { node, facts } = found.inspect_err(|_| self.distrust())?;
        if FileKind::from_mode(facts.stat.mode) != Some(self.file_kind()) {
            self.shared.directory.forget(node);
            self.distrust();
            return Err(Errno::ESTALE);
        }
        let before = core::mem::replace(&mut *held, Held::Node(node));
        drop(held);
        self.identified(&facts);
        if let Held::Named(named) = before {
            named.leave(self);
        }
        Ok(node)
    }

    /// The host holds the file once more; one number is enough.
    pub(super) fn take_id(&self, id: NodeId) {
        let mut held = self.held.lock();
        if matches!(*held, Held::Node(_)) {
            drop(held);
            return self.shared.directory.forget(id);
        }
        let before = core::mem::replace(&mut *held, Held::Node(id));
        drop(held);
        if let Held::Named(named) = before {
            named.leave(self);
        }
    }
}
