//! The names and inodes of an image in the making.

use std::collections::{BTreeMap, btree_map};

use stockade_erofs::format::{FileKind, NAME_BYTES_MAX};

use crate::{Content, Device, InsertError, Metadata, SymlinkTarget};

/// An inode of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The root directory.
    pub const ROOT: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory; its names are added later.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link.
    Symlink(SymlinkTarget),
    /// A character device.
    Character(Device),
    /// A block device.
    Block(Device),
    /// A fifo.
    Fifo,
    /// A socket.
    Socket,
}

impl Node {
    /// Its type.
    pub fn kind(&self) -> FileKind {
        match self {
            Self::Directory => FileKind::Directory,
            Self::File(_) => FileKind::Regular,
            Self::Symlink(_) => FileKind::Symlink,
            Self::Character(_) => FileKind::Character,
            Self::Block(_) => FileKind::Block,
            Self::Fifo => FileKind::Fifo,
            Self::Socket => FileKind::Socket,
        }
    }
}

type Names = BTreeMap<Box<[u8]>, NodeId>;

#[derive(Debug)]
struct Slot {
    node: Node,
    metadata: Metadata,
    /// Empty unless it is a directory.
    names: Names,
}

/// Names and inodes. An inode whose last name was removed or replaced is left out of the image.
#[derive(Debug)]
pub struct Tree {
    slots: Vec<Slot>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let metadata = Metadata { permissions: 0o755, ..Metadata::default() };
        Self { slots: vec![Slot { node: Node::Directory, metadata, names: Names::new() }] }
    }

    /// What an inode is.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.slots[id.index()].node
    }

    /// An inode's metadata.
    pub fn metadata(&self, id: NodeId) -> &Metadata {
        &self.slots[id.index()].metadata
    }

    /// An inode's metadata, to be changed.
    pub fn metadata_mut(&mut self, id: NodeId) -> &mut Metadata {
        &mut self.slots[id.index()].metadata
    }

    /// The inode of a name in a directory.
    pub fn child(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        self.slots[parent.index()].names.get(name).copied()
    }

    /// The names of a directory, in bytewise order.
    pub fn children(&self, parent: NodeId) -> impl Iterator<Item = (&[u8], NodeId)> {
        let names: btree_map::Iter<'_, _, _> = self.slots[parent.index()].names.iter();
        names.map(|(name, &id)| (name.as_ref(), id))
    }

    /// Number of inodes ever added, the root included.
    pub fn inodes(&self) -> usize {
        self.slots.len()
    }

    /// Adds an inode under a name, replacing what had that name.
    pub fn insert(
        &mut self,
        parent: NodeId,
        name: &[u8],
        metadata: Metadata,
        node: Node,
    ) -> Result<NodeId, InsertError> {
        self.check_name(parent, name)?;
        let id = NodeId(u32::try_from(self.slots.len()).map_err(|_| InsertError::TooManyInodes)?);
        self.slots.push(Slot { node, metadata, names: Names::new() });
        self.set_name(parent, name, id);
        Ok(id)
    }

    /// Gives an inode, but no directory, a further name, replacing what had that name.
    pub fn link(&mut self, parent: NodeId, name: &[u8], target: NodeId) -> Result<(), InsertError> {
        self.check_name(parent, name)?;
        if *self.node(target) == Node::Directory {
            return Err(InsertError::DirectoryLink);
        }
        self.set_name(parent, name, target);
        Ok(())
    }

    fn check_name(&self, parent: NodeId, name: &[u8]) -> Result<(), InsertError> {
        if *self.node(parent) != Node::Directory {
            return Err(InsertError::NotDirectory);
        }
        let dots = matches!(name, b"." | b"..");
        let odd = name.iter().any(|&byte| byte == 0 || byte == b'/');
        let valid = (1..=NAME_BYTES_MAX).contains(&name.len()) && !dots && !odd;
        if valid { Ok(()) } else { Err(InsertError::Name) }
    }

    fn set_name(&mut self, parent: NodeId, name: &[u8], id: NodeId) {
        self.slots[parent.index()].names.insert(name.into(), id);
    }
}
