//! Decides where everything behind the file data lies.

use stockade_erofs::format::{BLOCK_BITS, BLOCK_BYTES, EXTENDED_BYTES, NID_BYTES};

use crate::{Node, NodeId, Tree, WriteError, content::Form, directory::Listing, to_u64, xattrs::Shared};

const BLOCK: u64 = BLOCK_BYTES as u64;
/// A longer tail gets a block of its own: keeping it in one block with its inode would waste more.
const INLINE_BYTES_MAX: u64 = BLOCK / 2;
/// The first slots stay empty: an inode number of zero means a deleted entry to readdir(3).
const FIRST_OFFSET: u64 = 2 * NID_BYTES;

/// Where one inode and its tail lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) id: NodeId,
    pub(crate) parent: NodeId,
    /// Offset within the metadata area.
    pub(crate) offset: u64,
    pub(crate) tail: Tail,
}

/// What follows an inode and its xattrs, or lies in blocks of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing to store.
    None,
    /// All in blocks of their own, from `block` on.
    Blocks { block: u32, bytes: u64 },
    /// Whole blocks from `block` on, the rest behind the inode.
    Inline { block: u32, bytes: u64 },
    /// A chunk map behind the inode.
    Chunks { count: u64 },
}

impl Tail {
    /// Bytes behind the inode.
    fn inline_bytes(self) -> u64 {
        match self {
            Self::None | Self::Blocks { .. } => 0,
            Self::Inline { bytes, .. } => bytes % BLOCK,
            Self::Chunks { count } => count * 4,
        }
    }

    /// Blocks of its own.
    fn blocks(self) -> u64 {
        match self {
            Self::None | Self::Chunks { .. } => 0,
            Self::Blocks { bytes, .. } => bytes.div_ceil(BLOCK),
            Self::Inline { bytes, .. } => bytes / BLOCK,
        }
    }
}

/// The places of all inodes that have a name.
pub(crate) struct Layout {
    /// Breadth first, so that a directory's inodes lie together.
    pub(crate) places: Vec<Place>,
    /// By [`NodeId`]: number of the inode, zero if it has no name.
    pub(crate) nids: Vec<u64>,
    /// By [`NodeId`]: number of names.
    pub(crate) links: Vec<u32>,
}

impl Layout {
    /// Orders the inodes and counts their names.
    pub(crate) fn order(tree: &Tree) -> Self {
        let mut layout = Self { places: Vec::new(), nids: vec![0; tree.inodes()], links: vec![0; tree.inodes()] };
        layout.visit(NodeId::ROOT, NodeId::ROOT);
        layout.links[NodeId::ROOT.index()] = 2;
        let mut next = 0;
        while let Some(&Place { id, .. }) = layout.places.get(next) {
            tree.children(id).for_each(|(_, child)| layout.add_name(tree, child, id));
            next += 1;
        }
        layout
    }

    fn add_name(&mut self, tree: &Tree, child: NodeId, parent: NodeId) {
        let links = &mut self.links[child.index()];
        if *tree.node(child) == Node::Directory {
            *links = 2;
            self.links[parent.index()] += 1;
            return self.visit(child, parent);
        }
        *links += 1;
        if *links == 1 {
            self.visit(child, parent);
        }
    }

    fn visit(&mut self, id: NodeId, parent: NodeId) {
        self.places.push(Place { id, parent, offset: 0, tail: Tail::None });
    }

    /// Gives every inode its place; returns the first block behind the directory and symlink blocks.
    pub(crate) fn place(&mut self, tree: &Tree, shared: &Shared<'_>, first_block: u32) -> Result<u32, WriteError> {
        let (mut block, mut offset) = (u64::from(first_block), FIRST_OFFSET);
        for place in &mut self.places {
            let at = u32::try_from(block).map_err(|_| WriteError::TooManyBlocks)?;
            place.tail = tail(tree, place, at);
            block += place.tail.blocks();
            let head = to_u64(EXTENDED_BYTES + shared.area_bytes(&tree.metadata(place.id).xattrs));
            place.offset = fit(offset, head, place.tail);
            offset = (place.offset + head + place.tail.inline_bytes()).next_multiple_of(NID_BYTES);
            self.nids[place.id.index()] = place.offset / NID_BYTES;
        }
        u32::try_from(block).map_err(|_| WriteError::TooManyBlocks)
    }
}

fn tail(tree: &Tree, place: &Place, block: u32) -> Tail {
    match tree.node(place.id) {
        Node::Directory => bytes_tail(to_u64(Listing::new(tree, place.id, place.parent).bytes()), block),
        Node::Symlink(target) => bytes_tail(to_u64(target.bytes().len()), block),
        Node::File(content) => match content.form {
            Form::Flat { block } => Tail::Blocks { block, bytes: 0 },
            Form::Chunked { bits, .. } => Tail::Chunks { count: content.size.div_ceil(1 << (BLOCK_BITS + bits)) },
        },
        Node::Character(_) | Node::Block(_) | Node::Fifo | Node::Socket => Tail::None,
    }
}

fn bytes_tail(bytes: u64, block: u32) -> Tail {
    match bytes % BLOCK {
        0 => Tail::Blocks { block, bytes },
        rest if rest > INLINE_BYTES_MAX => Tail::Blocks { block, bytes },
        _ => Tail::Inline { block, bytes },
    }
}

/// The first offset from which an inline tail behind `head` bytes does not cross a block.
fn fit(offset: u64, head: u64, tail: Tail) -> u64 {
    let Tail::Inline { .. } = tail else { return offset };
    let start = (offset + head) % BLOCK;
    if start + tail.inline_bytes() <= BLOCK {
        return offset;
    }
    (offset + BLOCK - start).next_multiple_of(NID_BYTES)
}
