//! Inode records.

use stockade_erofs::format::{CHUNK_NULL, InodeRecord, Layout as DataLayout, Version, mode, xattr_area_count};

use crate::{
    Node, Tree,
    content::{Content, Form, Run},
    layout::{Place, Tail},
    to_u64,
};

/// The record for a place; `ordinal` is the number for 32-bit `stat`.
pub(crate) fn record(tree: &Tree, place: &Place, area_bytes: usize, links: u32, ordinal: u32) -> InodeRecord {
    let (metadata, node) = (tree.metadata(place.id), tree.node(place.id));
    InodeRecord {
        version: Version::Extended,
        layout: data_layout(place.tail),
        xattr_count: xattr_area_count(area_bytes).expect("Xattrs::set() has checked the size"),
        mode: (metadata.permissions & !mode::TYPE_MASK) | type_bits(node),
        size: size(node, place.tail),
        data: data(node, place.tail),
        ino: ordinal,
        uid: metadata.uid,
        gid: metadata.gid,
        mtime: Some((metadata.mtime.secs(), metadata.mtime.nanos())),
        nlink: links,
    }
}

/// A chunked file's map: the block of each chunk, holes in between.
pub(crate) fn chunk_map(content: &Content) -> Vec<u8> {
    let Form::Chunked { bits, runs } = &content.form else { return Vec::new() };
    let mut map = Vec::new();
    for &Run { first_chunk, chunks, block } in runs {
        fill_holes(&mut map, first_chunk);
        let blocks = (0..chunks).map(|chunk| u64::from(block) + (chunk << bits));
        // Blocks were counted in 32 bits when they were written.
        blocks.for_each(|block| map.extend_from_slice(&block.to_le_bytes()[..4]));
    }
    map
}

/// Extends a map with holes up to chunk `end`.
pub(crate) fn fill_holes(map: &mut Vec<u8>, end: u64) {
    while to_u64(map.len()) < end * 4 {
        map.extend_from_slice(&CHUNK_NULL.to_le_bytes());
    }
}

fn data_layout(tail: Tail) -> DataLayout {
    match tail {
        Tail::None | Tail::Blocks { .. } => DataLayout::FlatPlain,
        Tail::Inline { .. } => DataLayout::FlatInline,
        Tail::Chunks { .. } => DataLayout::ChunkBased,
    }
}

fn size(node: &Node, tail: Tail) -> u64 {
    match (node, tail) {
        (Node::File(content), _) => content.size,
        (_, Tail::Blocks { bytes, .. } | Tail::Inline { bytes, .. }) => bytes,
        (_, Tail::None | Tail::Chunks { .. }) => 0,
    }
}

fn data(node: &Node, tail: Tail) -> u32 {
    match (node, tail) {
        (Node::Character(device) | Node::Block(device), _) => device.packed(),
        (Node::File(Content { form: Form::Chunked { bits, .. }, .. }), _) => u32::from(*bits),
        (_, Tail::Blocks { block, .. } | Tail::Inline { block, .. }) => block,
        (_, Tail::None | Tail::Chunks { .. }) => 0,
    }
}

fn type_bits(node: &Node) -> u16 {
    match node {
        Node::Directory => mode::DIRECTORY,
        Node::File(_) => mode::REGULAR,
        Node::Symlink(_) => mode::SYMLINK,
        Node::Character(_) => mode::CHARACTER,
        Node::Block(_) => mode::BLOCK,
        Node::Fifo => mode::FIFO,
        Node::Socket => mode::SOCKET,
    }
}
