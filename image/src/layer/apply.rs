//! Applies entries to the image's tree.

use std::{
    collections::HashSet,
    io::{Read, Seek, Write},
};

use stockade_erofs_writer::{
    Content, Device, InsertError, Metadata, Node, NodeId, Summary, SymlinkTarget, Tree, WriteError, Writer,
};

use super::{
    ConvertError, Limits, Refusal,
    error::{refused, text},
    path::EntryPath,
    tar::{Archive, Entry, EntryKind, Segment},
    to_u64,
    whiteout::{self, Name},
    xattrs::{self, OPAQUE_NAME, OPAQUE_VALUE},
};

/// What an inode costs in memory besides its names and xattrs, about.
const INODE_BYTES: u64 = 256;

/// The layer so far.
pub(super) struct Layer<'a, W> {
    writer: Writer<W>,
    limits: &'a Limits,
    /// Inodes made for `.wh.NAME`, which an entry of that name in the same layer replaces.
    whiteouts: HashSet<NodeId>,
    counts: Counts,
}

/// What the layer has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) entries: u64,
    pub(super) unpacked_bytes: u64,
    pub(super) dropped_xattrs: u64,
    metadata_bytes: u64,
}

/// Why an entry was not applied: itself, or the layer.
enum Fault {
    Entry(Refusal),
    Layer(ConvertError),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Entry(refusal)
    }
}

impl From<InsertError> for Fault {
    fn from(error: InsertError) -> Self {
        Self::Entry(error.into())
    }
}

impl From<ConvertError> for Fault {
    fn from(error: ConvertError) -> Self {
        Self::Layer(error)
    }
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        Self::Layer(error.into())
    }
}

impl Fault {
    fn at(self, path: &[u8]) -> ConvertError {
        match self {
            Self::Entry(refusal) => refused(path, refusal),
            Self::Layer(error) => error,
        }
    }
}

impl<'a, W: Write + Seek> Layer<'a, W> {
    pub(super) fn new(blob: W, limits: &'a Limits) -> Result<Self, ConvertError> {
        let writer = Writer::new(blob)?;
        Ok(Self { writer, limits, whiteouts: HashSet::new(), counts: Counts::default() })
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn finish(self, uuid: [u8; 16]) -> Result<Summary, ConvertError> {
        Ok(self.writer.finish(uuid)?)
    }

    /// Applies one entry, reading its data from `archive`.
    pub(super) fn apply<R: Read>(&mut self, entry: &Entry, archive: &mut Archive<R>) -> Result<(), ConvertError> {
        self.put(entry, archive).map_err(|fault| fault.at(&entry.path))
    }

    fn put<R: Read>(&mut self, entry: &Entry, archive: &mut Archive<R>) -> Result<(), Fault> {
        self.charge(&entry.path)?;
        let path = EntryPath::parse(&entry.path, self.limits)?;
        let Some((parents, name)) = path.split() else { return self.put_root(entry) };
        if parents.iter().any(|name| whiteout::is_ignored(name)) {
            return Ok(());
        }
        match Name::classify(name, parents.len())? {
            Name::Ignored => Ok(()),
            Name::Opaque => {
                let directory = self.directory(parents)?;
                Ok(mark_opaque(self.tree().metadata_mut(directory))?)
            }
            Name::Whiteout(hidden) => {
                let parent = self.directory(parents)?;
                self.put_whiteout(parent, hidden)
            }
            Name::Plain(name) => {
                let parent = self.directory(parents)?;
                self.put_plain(parent, name, entry, archive)
            }
        }
    }

    fn put_root(&mut self, entry: &Entry) -> Result<(), Fault> {
        if entry.kind != EntryKind::Directory {
            return Err(Refusal::RootType.into());
        }
        *self.tree().metadata_mut(NodeId::ROOT) = self.metadata(entry)?;
        Ok(())
    }

    fn put_plain<R: Read>(
        &mut self,
        parent: NodeId,
        name: &[u8],
        entry: &Entry,
        archive: &mut Archive<R>,
    ) -> Result<(), Fault> {
        let node = match entry.kind {
            EntryKind::HardLink => return self.put_hard_link(parent, name, &entry.link),
            EntryKind::Directory => return self.put_directory(parent, name, entry),
            EntryKind::File => Node::File(self.file(entry, archive)?),
            EntryKind::Symlink => Node::Symlink(SymlinkTarget::new(&entry.link).ok_or(Refusal::SymlinkTarget)?),
            EntryKind::Character => Node::Character(device(entry.device)?),
            EntryKind::Block => Node::Block(device(entry.device)?),
            EntryKind::Fifo => Node::Fifo,
        };
        let metadata = self.metadata(entry)?;
        self.tree().insert(parent, name, metadata, node)?;
        Ok(())
    }

    /// A directory keeps what it has when it comes again.
    fn put_directory(&mut self, parent: NodeId, name: &[u8], entry: &Entry) -> Result<(), Fault> {
        let mut metadata = self.metadata(entry)?;
        let before = self.writer.tree().child(parent, name);
        if before.is_some_and(|before| self.hides_below(before)) {
            mark_opaque(&mut metadata)?;
        }
        match before.filter(|&before| is_directory(self.writer.tree(), before)) {
            Some(before) => *self.tree().metadata_mut(before) = metadata,
            None => _ = self.tree().insert(parent, name, metadata, Node::Directory)?,
        }
        Ok(())
    }

    /// Whether a directory in its place must hide what the layers below have there.
    fn hides_below(&self, id: NodeId) -> bool {
        self.whiteouts.contains(&id) || self.writer.tree().metadata(id).xattrs.get(OPAQUE_NAME).is_some()
    }

    fn put_hard_link(&mut self, parent: NodeId, name: &[u8], link: &[u8]) -> Result<(), Fault> {
        let target = self.find(link).map_err(|refusal| match refusal {
            Refusal::LinkTarget(_) | Refusal::LinkToDirectory(_) => refusal,
            other => Refusal::LinkPath { target: text(link), refusal: Box::new(other) },
        })?;
        Ok(self.tree().link(parent, name, target)?)
    }

    /// Hides `name` of the layers below. What this layer itself has there stays, as the specification demands.
    fn put_whiteout(&mut self, parent: NodeId, name: &[u8]) -> Result<(), Fault> {
        match self.writer.tree().child(parent, name) {
            Some(own) if is_directory(self.writer.tree(), own) => mark_opaque(self.tree().metadata_mut(own))?,
            Some(_) => {}
            None => {
                let node = Node::Character(Device::WHITEOUT);
                let id = self.tree().insert(parent, name, Metadata::default(), node)?;
                self.whiteouts.insert(id);
            }
        }
        Ok(())
    }

    fn file<R: Read>(&mut self, entry: &Entry, archive: &mut Archive<R>) -> Result<Content, Fault> {
        if entry.size > self.limits.file_bytes_max {
            return Err(Refusal::Limit { limit: "file_bytes_max", max: self.limits.file_bytes_max }.into());
        }
        self.counts.unpacked_bytes = self.counts.unpacked_bytes.saturating_add(entry.size);
        check_limit("unpacked_bytes_max", self.counts.unpacked_bytes, self.limits.unpacked_bytes_max)?;
        match &entry.segments {
            None => self.whole_file(entry.size, archive),
            Some(segments) => self.sparse_file(entry.size, segments, archive),
        }
    }

    fn whole_file<R: Read>(&mut self, size: u64, archive: &mut Archive<R>) -> Result<Content, Fault> {
        let mut content = self.writer.content(size);
        archive.take(size, |bytes| Ok(content.write(bytes)?))?;
        Ok(content.finish()?)
    }

    fn sparse_file<R: Read>(
        &mut self,
        size: u64,
        segments: &[Segment],
        archive: &mut Archive<R>,
    ) -> Result<Content, Fault> {
        self.charge_bytes(size_of_val(segments))?;
        let mut content = self.writer.sparse_content(size);
        let mut position = 0;
        for segment in segments {
            content.hole(segment.offset - position)?;
            archive.take(segment.bytes, |bytes| Ok(content.write(bytes)?))?;
            position = segment.offset + segment.bytes;
        }
        content.hole(size - position)?;
        Ok(content.finish()?)
    }

    /// The inode of a hard link's target.
    fn find(&self, link: &[u8]) -> Result<NodeId, Refusal> {
        let path = EntryPath::parse(link, self.limits)?;
        let tree = self.writer.tree();
        let mut found = NodeId::ROOT;
        for (depth, name) in path.names().iter().enumerate() {
            check_directory(tree, found, &path.names()[..depth])?;
            let child = tree.child(found, name).filter(|child| !self.whiteouts.contains(child));
            found = child.ok_or_else(|| Refusal::LinkTarget(text(link)))?;
        }
        if is_directory(tree, found) { Err(Refusal::LinkToDirectory(text(link))) } else { Ok(found) }
    }

    /// The directory at a path, with the directories that the tar left out.
    fn directory(&mut self, names: &[&[u8]]) -> Result<NodeId, Fault> {
        let mut directory = NodeId::ROOT;
        for (depth, name) in names.iter().enumerate() {
            directory = match self.writer.tree().child(directory, name) {
                Some(child) if !self.whiteouts.contains(&child) => child,
                before => self.implied_directory(directory, name, before)?,
            };
            check_directory(self.writer.tree(), directory, &names[..=depth])?;
        }
        Ok(directory)
    }

    /// A directory that the tar has no entry for, perhaps in the place of a whiteout.
    fn implied_directory(&mut self, parent: NodeId, name: &[u8], whiteout: Option<NodeId>) -> Result<NodeId, Fault> {
        if whiteout::is_reserved(name) {
            return Err(Refusal::ThroughWhiteout(text(name)).into());
        }
        self.charge(name)?;
        let mut metadata = Metadata { permissions: 0o755, ..Metadata::default() };
        if whiteout.is_some() {
            mark_opaque(&mut metadata)?;
        }
        Ok(self.tree().insert(parent, name, metadata, Node::Directory)?)
    }

    fn metadata(&mut self, entry: &Entry) -> Result<Metadata, Fault> {
        let (xattrs, dropped) = xattrs::keep(&entry.xattrs, self.limits)?;
        self.counts.dropped_xattrs += dropped;
        self.charge_bytes(xattrs.size_bytes() + entry.link.len())?;
        let Entry { permissions, uid, gid, mtime, .. } = *entry;
        Ok(Metadata { permissions, uid, gid, mtime, xattrs })
    }

    /// Counts one more entry.
    fn charge(&mut self, path: &[u8]) -> Result<(), ConvertError> {
        self.counts.entries += 1;
        self.counts.metadata_bytes += INODE_BYTES;
        check_limit("entries_max", self.counts.entries, self.limits.entries_max)?;
        self.charge_bytes(path.len())
    }

    /// Counts memory.
    fn charge_bytes(&mut self, bytes: usize) -> Result<(), ConvertError> {
        self.counts.metadata_bytes = self.counts.metadata_bytes.saturating_add(to_u64(bytes));
        check_limit("metadata_bytes_max", self.counts.metadata_bytes, self.limits.metadata_bytes_max)
    }

    fn tree(&mut self) -> &mut Tree {
        self.writer.tree_mut()
    }
}

fn check_limit(limit: &'static str, value: u64, max: u64) -> Result<(), ConvertError> {
    if value > max { Err(ConvertError::Limit { limit, max }) } else { Ok(()) }
}

fn is_directory(tree: &Tree, id: NodeId) -> bool {
    *tree.node(id) == Node::Directory
}

/// Whether a path may go on through `id`, which `names` lead to.
fn check_directory(tree: &Tree, id: NodeId, names: &[&[u8]]) -> Result<(), Refusal> {
    match tree.node(id) {
        Node::Directory => Ok(()),
        Node::Symlink(_) => Err(Refusal::ThroughSymlink(text(&names.join(&b'/')))),
        _ => Err(Refusal::NotDirectory(text(&names.join(&b'/')))),
    }
}

fn mark_opaque(metadata: &mut Metadata) -> Result<(), Refusal> {
    let marked = metadata.xattrs.set(OPAQUE_NAME, OPAQUE_VALUE);
    marked.map_err(|source| Refusal::Xattr { name: text(OPAQUE_NAME), source })
}

fn device((major, minor): (i64, i64)) -> Result<Device, Refusal> {
    let numbers = u32::try_from(major).ok().zip(u32::try_from(minor).ok());
    numbers.and_then(|(major, minor)| Device::new(major, minor)).ok_or(Refusal::Device(major, minor))
}
