//! The writer: data out at once, the tree at the end.

use std::io::{Seek, Write};

use crate::{ContentWriter, Tree, WriteError, area::Area, finish};

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Size of the image.
    pub bytes: u64,
    /// Number of its inodes.
    pub inodes: u64,
}

/// Writes one image.
#[derive(Debug)]
pub struct Writer<W> {
    area: Area<W>,
    tree: Tree,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins an image at offset 0 of `out`, which must be empty.
    pub fn new(out: W) -> Result<Self, WriteError> {
        Ok(Self { area: Area::new(out)?, tree: Tree::new() })
    }

    /// The names and inodes so far.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The names and inodes, to be added to.
    pub fn tree_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }

    /// Bytes of the image so far.
    pub fn position(&self) -> u64 {
        self.area.position()
    }

    /// Takes the data of a file of `size` bytes.
    pub fn content(&mut self, size: u64) -> ContentWriter<'_, W> {
        ContentWriter::flat(&mut self.area, size)
    }

    /// Takes the data of a file of `size` bytes that has holes.
    pub fn sparse_content(&mut self, size: u64) -> ContentWriter<'_, W> {
        ContentWriter::sparse(&mut self.area, size)
    }

    /// Writes the tree and the superblock; nothing is synchronised to disk. Images of one overlay should differ in
    /// their UUID: overlayfs turns features off otherwise.
    pub fn finish(self, uuid: [u8; 16]) -> Result<Summary, WriteError> {
        finish::finish(self.area, &self.tree, uuid)
    }
}
