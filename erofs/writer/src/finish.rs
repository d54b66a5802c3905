//! Writes what lies behind the file data, and the superblock.

use std::io::{Seek, Write};

use stockade_erofs::format::{
    BLOCK_BITS, BLOCK_BYTES, Compat, Incompat, SUPERBLOCK_OFFSET, Superblock, XATTR_HEADER_BYTES, superblock_checksum,
};

use crate::{
    Node, NodeId, Summary, Tree, WriteError,
    area::Area,
    content::Form,
    directory::Listing,
    inode,
    layout::{Layout, Place, Tail},
    to_u64,
    xattrs::Shared,
};

struct Finish<'a, W> {
    area: Area<W>,
    tree: &'a Tree,
    layout: Layout,
    shared: Shared<'a>,
}

pub(crate) fn finish<W: Write + Seek>(area: Area<W>, tree: &Tree, uuid: [u8; 16]) -> Result<Summary, WriteError> {
    let mut layout = Layout::order(tree);
    let shared = Shared::collect(layout.places.iter().map(|place| &tree.metadata(place.id).xattrs));
    let xattr_block = layout.place(tree, &shared, area.block()?)?;
    Finish { area, tree, layout, shared }.write(xattr_block, uuid)
}

impl<W: Write + Seek> Finish<'_, W> {
    fn write(mut self, xattr_block: u32, uuid: [u8; 16]) -> Result<Summary, WriteError> {
        let places = std::mem::take(&mut self.layout.places);
        places.iter().try_for_each(|place| self.tail_blocks(place))?;
        debug_assert_eq!(self.area.block()?, xattr_block, "the layout counted these blocks");
        self.area.write(self.shared.bytes())?;
        self.area.align()?;
        let meta_block = self.area.block()?;
        for (ordinal, place) in (1..=u32::MAX).zip(&places) {
            self.inode(place, ordinal, meta_block)?;
        }
        // fsck.erofs 1.5 reads an xattr header behind every inode, also where there is none.
        self.area.zeros(to_u64(XATTR_HEADER_BYTES))?;
        self.area.align()?;
        let superblock = self.superblock(&places, xattr_block, meta_block, uuid)?;
        let summary = Summary { bytes: self.area.position(), inodes: superblock.inodes };
        self.area.finish(SUPERBLOCK_OFFSET, &sealed(superblock))?;
        Ok(summary)
    }

    /// The blocks that a directory or symbolic link has of its own.
    fn tail_blocks(&mut self, place: &Place) -> Result<(), WriteError> {
        let blocks = match place.tail {
            Tail::Blocks { bytes, .. } => bytes,
            Tail::Inline { bytes, .. } => bytes - bytes % u64::from(BLOCK_BYTES),
            Tail::None | Tail::Chunks { .. } => 0,
        };
        if blocks == 0 {
            return Ok(());
        }
        let bytes = self.tail_bytes(place);
        self.area.write(&bytes[..usize::try_from(blocks).unwrap_or(bytes.len())])?;
        self.area.align()
    }

    fn inode(&mut self, place: &Place, ordinal: u32, meta_block: u32) -> Result<(), WriteError> {
        let start = (u64::from(meta_block) << BLOCK_BITS) + place.offset;
        self.area.zeros(start - self.area.position())?;
        let xattrs = self.shared.area(&self.tree.metadata(place.id).xattrs);
        let links = self.layout.links[place.id.index()];
        self.area.write(&inode::record(self.tree, place, xattrs.len(), links, ordinal).encode())?;
        self.area.write(&xattrs)?;
        match place.tail {
            Tail::None | Tail::Blocks { .. } => Ok(()),
            Tail::Chunks { count } => self.chunk_map(place.id, count),
            Tail::Inline { bytes, .. } => {
                let rest = usize::try_from(bytes % u64::from(BLOCK_BYTES)).unwrap_or_default();
                let bytes = self.tail_bytes(place);
                self.area.write(&bytes[bytes.len() - rest..])
            }
        }
    }

    fn chunk_map(&mut self, id: NodeId, count: u64) -> Result<(), WriteError> {
        let Node::File(content) = self.tree.node(id) else { return Ok(()) };
        let mut map = inode::chunk_map(content);
        inode::fill_holes(&mut map, count);
        self.area.write(&map)
    }

    /// A directory's blocks or a symbolic link's target.
    fn tail_bytes(&self, place: &Place) -> Vec<u8> {
        match self.tree.node(place.id) {
            Node::Directory => Listing::new(self.tree, place.id, place.parent)
                .blocks(|id| (self.layout.nids[id.index()], self.tree.node(id).kind())),
            Node::Symlink(target) => target.bytes().to_vec(),
            _ => Vec::new(),
        }
    }

    fn superblock(
        &self,
        places: &[Place],
        xattr_block: u32,
        meta_block: u32,
        uuid: [u8; 16],
    ) -> Result<Superblock, WriteError> {
        let chunked = |place: &Place| match self.tree.node(place.id) {
            Node::File(content) => matches!(content.form, Form::Chunked { .. }),
            _ => false,
        };
        let chunked = places.iter().any(chunked);
        Ok(Superblock {
            checksum: 0,
            compat: Compat::SB_CHKSUM | Compat::MTIME,
            incompat: if chunked { Incompat::CHUNKED_FILE } else { Incompat::empty() },
            block_bits: BLOCK_BITS,
            extension_slots: 0,
            root_nid: u16::try_from(self.layout.nids[NodeId::ROOT.index()]).expect("the root comes first"),
            inodes: to_u64(places.len()),
            build_secs: 0,
            build_nanos: 0,
            blocks: self.area.block()?,
            meta_block,
            xattr_block,
            uuid,
            dir_block_bits: 0,
        })
    }
}

/// The superblock with its checksum, to the end of its block.
fn sealed(mut superblock: Superblock) -> Vec<u8> {
    let mut rest = superblock.encode().to_vec();
    rest.resize(BLOCK_BYTES as usize - 1024, 0);
    superblock.checksum = superblock_checksum(&rest);
    rest[..stockade_erofs::format::SUPERBLOCK_BYTES].copy_from_slice(&superblock.encode());
    rest
}
