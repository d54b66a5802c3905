//! Sparse files: GNU's old headers, and the maps of pax formats 0.0, 0.1 and 1.0.

use std::io::Read;

use super::{
    super::{
        ConvertError, TarError,
        stream::{BLOCK_BYTES, Stream},
        to_u64,
    },
    header::{self, Header},
    number,
    pax::PaxSparse,
};

/// Bounds the memory for one map.
const SEGMENTS_MAX: usize = 1 << 20;
const OLD_ENTRY_BYTES: usize = 24;

/// A run of data; the rest of the file is holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Segment {
    pub(in super::super) offset: u64,
    pub(in super::super) bytes: u64,
}

/// A sparse file's map, checked: segments in order, within the size, as long as the stored data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SparseMap {
    pub(super) size: u64,
    pub(super) segments: Vec<Segment>,
}

impl SparseMap {
    fn check(size: u64, segments: Vec<Segment>, stored: u64) -> Result<Self, TarError> {
        let (mut end, mut total) = (0_u64, 0_u64);
        for segment in &segments {
            let next = segment.offset.checked_add(segment.bytes).filter(|_| segment.offset >= end);
            end = next.ok_or(TarError::SparseMap)?;
            total += segment.bytes;
        }
        if end <= size && total == stored { Ok(Self { size, segments }) } else { Err(TarError::SparseMap) }
    }
}

/// Type `S`: four entries in the header, more in blocks behind it.
pub(super) fn old_gnu<R: Read>(
    header: &Header,
    stored: u64,
    stream: &mut Stream<R>,
) -> Result<SparseMap, ConvertError> {
    let block = *header.block();
    let malformed = |stream: &Stream<R>, error| stream.malformed(error);
    let mut segments = Vec::new();
    push_old(&mut segments, &block[386..482]).map_err(|error| malformed(stream, error))?;
    let mut extended = block[482] != 0;
    while extended {
        let block = stream.block()?.ok_or(ConvertError::Truncated { offset: stream.offset() })?;
        push_old(&mut segments, &block[..504]).map_err(|error| malformed(stream, error))?;
        extended = block[504] != 0;
    }
    let size = header::unsigned(&block[483..495], "sparse size").map_err(|error| malformed(stream, error))?;
    SparseMap::check(size, segments, stored).map_err(|error| malformed(stream, error))
}

fn push_old(segments: &mut Vec<Segment>, entries: &[u8]) -> Result<(), TarError> {
    for entry in entries.chunks_exact(OLD_ENTRY_BYTES).take_while(|entry| entry[0] != 0) {
        let offset = header::unsigned(&entry[..12], "sparse offset")?;
        push(segments, offset, header::unsigned(&entry[12..], "sparse length")?)?;
    }
    Ok(())
}

/// Pax formats; `stored` shrinks by a map that stands before the data. `None` if the file is not sparse.
pub(super) fn pax<R: Read>(
    records: &PaxSparse,
    stored: &mut u64,
    stream: &mut Stream<R>,
) -> Result<Option<SparseMap>, ConvertError> {
    let segments = match (records.version, &records.map) {
        ((Some(1), Some(0)), _) => leading_map(stored, stream)?,
        ((None | Some(0), None | Some(0..=1)), Some(map)) => {
            listed_map(map).map_err(|error| stream.malformed(error))?
        }
        ((None, None), None) => return Ok(None),
        _ => return Err(stream.malformed(TarError::SparseMap)),
    };
    let size = records.size.ok_or_else(|| stream.malformed(TarError::SparseMap))?;
    SparseMap::check(size, segments, *stored).map(Some).map_err(|error| stream.malformed(error))
}

fn listed_map(map: &[u64]) -> Result<Vec<Segment>, TarError> {
    let mut segments = Vec::new();
    if !map.len().is_multiple_of(2) {
        return Err(TarError::SparseMap);
    }
    map.chunks_exact(2).try_for_each(|pair| push(&mut segments, pair[0], pair[1]))?;
    Ok(segments)
}

/// Format 1.0: decimal lines (count, then offset and length in turn), padded to a block.
fn leading_map<R: Read>(stored: &mut u64, stream: &mut Stream<R>) -> Result<Vec<Segment>, ConvertError> {
    let mut lines = Lines { stream, stored, block: Vec::new(), at: 0 };
    let count = lines.number()?;
    let mut segments = Vec::new();
    for _ in 0..count {
        let (offset, bytes) = (lines.number()?, lines.number()?);
        push(&mut segments, offset, bytes).map_err(|error| lines.stream.malformed(error))?;
    }
    Ok(segments)
}

fn push(segments: &mut Vec<Segment>, offset: u64, bytes: u64) -> Result<(), TarError> {
    if segments.len() == SEGMENTS_MAX {
        return Err(TarError::SparseMap);
    }
    segments.push(Segment { offset, bytes });
    Ok(())
}

struct Lines<'a, R> {
    stream: &'a mut Stream<R>,
    stored: &'a mut u64,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> Result<u64, ConvertError> {
        const DIGITS_MAX: usize = 20;
        let mut digits = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                digit if digits.len() < DIGITS_MAX => digits.push(digit),
                _ => return Err(self.stream.malformed(TarError::SparseMap)),
            }
        }
        number::decimal(&digits).ok_or_else(|| self.stream.malformed(TarError::SparseMap))
    }

    fn byte(&mut self) -> Result<u8, ConvertError> {
        if self.at == self.block.len() {
            self.next_block()?;
        }
        self.at += 1;
        Ok(self.block[self.at - 1])
    }

    fn next_block(&mut self) -> Result<(), ConvertError> {
        let rest = self.stored.checked_sub(to_u64(BLOCK_BYTES));
        *self.stored = rest.ok_or_else(|| self.stream.malformed(TarError::SparseMap))?;
        self.block = self.stream.bytes(to_u64(BLOCK_BYTES))?;
        self.at = 0;
        Ok(())
    }
}
