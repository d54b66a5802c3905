//! mmap(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::vma::len;
use super::{Change, MapPiece, Memory, MemoryLimits, Object, Source, State, Undo, Vma, VmaFlags};
use crate::Errno;
use crate::platform::{Advice, Backing, HostCall, Protection, Sharing};
use crate::task::Pid;

/// MADV_POPULATE_READ and MADV_POPULATE_WRITE.
const POPULATE: [i32; 2] = [22, 23];

/// How an address is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Near the hint if that is free.
    Anywhere,
    /// In the lower 2 GiB (MAP_32BIT).
    Low,
    /// Exactly there, in place of what is there (MAP_FIXED).
    Fixed,
    /// Exactly there, if nothing is there (MAP_FIXED_NOREPLACE).
    FixedNoReplace,
}

/// A mapping to be made.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// Hint, or address.
    pub address: u64,
    /// Bytes: a multiple of the page size, not 0.
    pub len: u64,
    /// How the address is chosen.
    pub placement: Placement,
    /// Access.
    pub protection: Protection,
    /// Private or shared.
    pub sharing: Sharing,
    /// What else is known.
    pub flags: VmaFlags,
    /// What is mapped and from where on; zeros when there is none.
    pub source: Option<(Arc<dyn Source>, u64)>,
}

impl MapRequest {
    /// Private zeros, anywhere.
    pub fn anonymous(len: u64, protection: Protection) -> Self {
        Self {
            address: 0,
            len,
            placement: Placement::Anywhere,
            protection,
            sharing: Sharing::Private,
            flags: VmaFlags::empty(),
            source: None,
        }
    }

    /// The pieces that the source shows.
    fn pieces(&self) -> Result<Vec<MapPiece>, Errno> {
        match &self.source {
            Some((source, offset)) => source.map(*offset, self.len, self.sharing),
            None => Ok(alloc::vec![MapPiece { len: self.len, backing: Backing::Anonymous, keep: None, fixed: None }]),
        }
    }

    /// One piece as a mapping that ends at `end`; `from` is the piece's distance from the start.
    fn vma(&self, end: u64, from: u64, piece: &MapPiece) -> Vma {
        let object = match &self.source {
            Some((source, offset)) => Object::Source {
                source: source.clone(),
                offset: offset + from,
                fixed: piece.fixed.clone().filter(|_| !self.protection.contains(Protection::WRITE)),
                keeps: piece.keep.iter().cloned().collect(),
            },
            None => Object::Anonymous,
        };
        let hole = if piece.backing == Backing::Nothing { VmaFlags::HOLE } else { VmaFlags::empty() };
        Vma { end, protection: self.protection, sharing: self.sharing, flags: self.flags | hole, object }
    }
}

impl Memory {
    /// Maps, and says where and what the host has to do.
    pub fn map(&self, tid: Pid, request: &MapRequest, limits: &MemoryLimits) -> Result<Change, Errno> {
        if let Some((source, _)) = &request.source {
            self.register_with(&**source);
        }
        let pieces = request.pieces()?;
        let mut state = self.state.lock();
        let mut request = request.clone();
        request.flags |= state.lock_future;
        let start = state.place(request.address, request.len, request.placement)?;
        let range = start..start + request.len;
        state.check_limits(&range, &request.vma(range.end, 0, &whole(&request)), limits)?;
        let replaced = state.vmas.take(range.clone());
        state.keep(tid, replaced);
        self.tell_unmapped(&mut state);
        let calls = state.insert_pieces(&range, &request, &pieces);
        Ok(Change { calls, value: start, undo: Undo::Map(range) })
    }

    /// The host call that brings all pages of a range in, for MAP_POPULATE and MAP_LOCKED; a hint, like them.
    pub fn populate(range: Range<u64>, protection: Protection) -> HostCall {
        let advice = POPULATE[usize::from(protection.contains(Protection::WRITE))];
        HostCall::Advise { address: range.start, len: len(&range), advice: Advice(advice) }
    }
}

/// The whole request as if it were one piece.
fn whole(request: &MapRequest) -> MapPiece {
    MapPiece { len: request.len, backing: Backing::Anonymous, keep: None, fixed: None }
}

impl State {
    /// Adds what the pieces show from the start of a free range on, and says what the host has to do.
    pub fn insert_pieces(&mut self, range: &Range<u64>, request: &MapRequest, pieces: &[MapPiece]) -> Vec<HostCall> {
        let mut calls = Vec::with_capacity(pieces.len());
        let mut at = range.start;
        for piece in pieces {
            let end = (at + piece.len).min(range.end);
            let vma = request.vma(end, at - range.start, piece);
            calls.push(host_map(at..end, request.protection, piece.backing));
            self.vmas.insert(at, vma);
            at = end;
        }
        debug_assert_eq!(at, range.end, "a source must cover what it is asked for");
        calls
    }
}

/// The host call for one piece. What the file lacks is mapped without access.
pub fn host_map(range: Range<u64>, protection: Protection, backing: Backing) -> HostCall {
    let protection = if backing == Backing::Nothing { Protection::empty() } else { protection };
    HostCall::Map { address: range.start, len: len(&range), protection, backing }
}
