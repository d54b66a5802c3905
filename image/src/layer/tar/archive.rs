//! Entries: a header with all that pax and GNU headers say about it.

use std::io::Read;

use stockade_erofs_writer::Timestamp;

use super::{
    super::{
        ConvertError, TarError,
        stream::{BLOCK_BYTES, Stream},
        to_u64,
    },
    header::{self, Header},
    pax::Pax,
    sparse::{self, Segment},
};

/// As Go's `archive/tar`: no pax header or long name is larger.
const EXTENDED_BYTES_MAX: u64 = 1 << 20;

/// The type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum EntryKind {
    File,
    HardLink,
    Symlink,
    Character,
    Block,
    Directory,
    Fifo,
}

/// An entry, its names and numbers not yet validated for use.
#[derive(Clone, Debug)]
pub(in super::super) struct Entry {
    pub(in super::super) kind: EntryKind,
    pub(in super::super) path: Vec<u8>,
    pub(in super::super) link: Vec<u8>,
    pub(in super::super) permissions: u16,
    pub(in super::super) uid: u32,
    pub(in super::super) gid: u32,
    pub(in super::super) mtime: Timestamp,
    pub(in super::super) device: (i64, i64),
    pub(in super::super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Size of the file, holes included.
    pub(in super::super) size: u64,
    /// A sparse file's data, in order and within `size`.
    pub(in super::super) segments: Option<Vec<Segment>>,
}

/// Iterates over the entries of a tar stream.
pub(in super::super) struct Archive<R> {
    stream: Stream<R>,
    global: Pax,
    /// Data of the last entry not read yet.
    data: u64,
    /// Zeros behind that data.
    padding: u64,
}

/// What precedes an entry's own header.
#[derive(Default)]
struct Extensions {
    pax: Pax,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: Read> Archive<R> {
    pub(in super::super) fn new(stream: Stream<R>) -> Self {
        Self { stream, global: Pax::default(), data: 0, padding: 0 }
    }

    /// The next entry; what was not read of the last one's data is skipped.
    pub(in super::super) fn next(&mut self) -> Result<Option<Entry>, ConvertError> {
        let mut extensions = Extensions { pax: self.global.clone(), ..Extensions::default() };
        while let Some(header) = self.header()? {
            let size = header.size().map_err(|error| self.stream.malformed(error))?;
            match header.kind {
                // As in Go, a second one replaces the first: together they could fill the memory.
                b'x' | b'X' => self.pax(size, |global, records| {
                    extensions.pax = global.clone();
                    extensions.pax.parse(records)
                })?,
                b'g' => self.pax(size, set_global)?,
                b'L' => extensions.long_path = Some(self.long_name(size)?),
                b'K' => extensions.long_link = Some(self.long_name(size)?),
                // A volume's label.
                b'V' => self.begin_data(size),
                _ => return self.entry(&header, size, extensions).map(Some),
            }
        }
        Ok(None)
    }

    /// Hands the next `count` bytes of the entry's data to `sink`.
    pub(in super::super) fn take(
        &mut self,
        count: u64,
        sink: impl FnMut(&[u8]) -> Result<(), ConvertError>,
    ) -> Result<(), ConvertError> {
        debug_assert!(count <= self.data, "the sizes of segments add up to the data");
        self.stream.take(count, sink)?;
        self.data -= count;
        Ok(())
    }

    /// Reads to the end of the stream; returns its SHA-256 and length.
    pub(in super::super) fn finish(self) -> Result<([u8; 32], u64), ConvertError> {
        self.stream.finish()
    }

    fn header(&mut self) -> Result<Option<Header>, ConvertError> {
        self.stream.skip(self.data)?;
        // `umoci insert` ends its tars within the last padding; Go's reader takes that for the end.
        self.stream.skip_padding(self.padding)?;
        (self.data, self.padding) = (0, 0);
        // Many tars lack the two zero blocks at their end.
        let Some(block) = self.stream.block()? else { return Ok(None) };
        if let Some(header) = Header::parse(block).map_err(|error| self.stream.malformed(error))? {
            return Ok(Some(header));
        }
        match self.stream.block()? {
            Some(block) if block != [0; BLOCK_BYTES] => Err(self.stream.malformed(TarError::LoneZeroBlock)),
            _ => Ok(None),
        }
    }

    fn begin_data(&mut self, size: u64) {
        self.data = size;
        self.padding = size.wrapping_neg() % to_u64(BLOCK_BYTES);
    }

    fn extended(&mut self, size: u64) -> Result<Vec<u8>, ConvertError> {
        if size > EXTENDED_BYTES_MAX {
            return Err(self.stream.malformed(TarError::ExtendedHeaderSize));
        }
        self.begin_data(size);
        let bytes = self.stream.bytes(size)?;
        self.data = 0;
        Ok(bytes)
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, ConvertError> {
        Ok(header::until_nul(&self.extended(size)?).to_vec())
    }

    fn pax(
        &mut self,
        size: u64,
        parse: impl FnOnce(&mut Pax, &[u8]) -> Result<(), TarError>,
    ) -> Result<(), ConvertError> {
        let records = self.extended(size)?;
        parse(&mut self.global, &records).map_err(|error| self.stream.malformed(error))
    }

    fn entry(&mut self, header: &Header, size: u64, extensions: Extensions) -> Result<Entry, ConvertError> {
        let mut entry = describe(header, extensions.pax.clone()).map_err(|error| self.stream.malformed(error))?;
        self.begin_data(if entry.kind == EntryKind::File { extensions.pax.size.unwrap_or(size) } else { 0 });
        entry.size = self.data;
        self.sparse(header, &extensions.pax, &mut entry)?;
        entry.path = extensions.long_path.unwrap_or(entry.path);
        entry.link = extensions.long_link.unwrap_or(entry.link);
        Ok(entry)
    }

    fn sparse(&mut self, header: &Header, pax: &Pax, entry: &mut Entry) -> Result<(), ConvertError> {
        let map = match header.kind {
            b'S' => Some(sparse::old_gnu(header, self.data, &mut self.stream)?),
            _ if entry.kind == EntryKind::File => sparse::pax(&pax.sparse, &mut self.data, &mut self.stream)?,
            _ => None,
        };
        let Some(map) = map else { return Ok(()) };
        entry.size = map.size;
        entry.segments = Some(map.segments);
        if let Some(path) = &pax.sparse.path {
            entry.path.clone_from(path);
        }
        Ok(())
    }
}

fn set_global(global: &mut Pax, records: &[u8]) -> Result<(), TarError> {
    let mut parsed = global.clone();
    parsed.parse(records)?;
    *global = parsed.into_global();
    Ok(())
}

fn describe(header: &Header, pax: Pax) -> Result<Entry, TarError> {
    let path = pax.path.unwrap_or_else(|| header.path.clone());
    let kind = kind(header.kind, &path)?;
    let device = matches!(kind, EntryKind::Character | EntryKind::Block);
    Ok(Entry {
        kind,
        path,
        link: pax.link.unwrap_or_else(|| header.link.clone()),
        permissions: header.permissions()?,
        uid: pax.uid.map_or_else(|| header.uid(), Ok)?,
        gid: pax.gid.map_or_else(|| header.gid(), Ok)?,
        mtime: pax.mtime.map_or_else(|| whole_seconds(header), Ok)?,
        device: if device { header.device()? } else { (0, 0) },
        xattrs: pax.xattrs.into_iter().collect(),
        size: 0,
        segments: None,
    })
}

fn whole_seconds(header: &Header) -> Result<Timestamp, TarError> {
    Timestamp::new(header.mtime()?, 0).ok_or(TarError::Number("mtime"))
}

fn kind(byte: u8, path: &[u8]) -> Result<EntryKind, TarError> {
    Ok(match byte {
        // Version 7 had no type for directories.
        0 if path.ends_with(b"/") => EntryKind::Directory,
        0 | b'0' | b'7' | b'S' => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::Character,
        b'4' => EntryKind::Block,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        other => return Err(TarError::Type(other)),
    })
}
