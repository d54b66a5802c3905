//! mremap(2).

use alloc::vec::Vec;
use core::ops::Range;

use super::map::host_map;
use super::unmap::unmap;
use super::vma::len;
use super::{Change, MapPiece, MapRequest, Memory, MemoryLimits, Object, Placement, State, Undo, Vma, VmaFlags};
use crate::Errno;
use crate::platform::{Backing, HostCall, Keep, Sharing};
use crate::task::Pid;

/// Where a mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemapTo {
    /// It stays.
    Here,
    /// It may move (MREMAP_MAYMOVE).
    Anywhere,
    /// It moves, there if that is free (MREMAP_DONTUNMAP).
    Near(u64),
    /// Exactly there (MREMAP_FIXED).
    Fixed(u64),
}

/// mremap(2): lengths are multiples of the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemapRequest {
    /// Start.
    pub from: u64,
    /// Bytes now; 0 makes a second mapping of something shared.
    pub old_len: u64,
    /// Bytes then.
    pub new_len: u64,
    /// Where.
    pub to: RemapTo,
    /// What becomes of the old range.
    pub keep: Keep,
}

impl RemapRequest {
    fn old(&self) -> Range<u64> {
        self.from..self.from + self.old_len
    }

    /// Bytes that it grows by.
    fn growth(&self) -> u64 {
        self.new_len.saturating_sub(self.old_len)
    }

    fn moves(&self) -> bool {
        matches!(self.to, RemapTo::Fixed(_)) || self.keep == Keep::Range
    }
}

impl Memory {
    /// Grows, shrinks or moves one mapping.
    pub fn remap(&self, tid: Pid, request: &RemapRequest, limits: &MemoryLimits) -> Result<Change, Errno> {
        let vma = {
            let state = self.state.lock();
            // Nothing that long fits anywhere; sums of what remains stay far from 64 bits.
            if request.new_len > state.bounds.end - state.bounds.start {
                return Err(Errno::ENOMEM);
            }
            state.to_be_remapped(request)?
        };
        if request.old_len == 0 {
            return self.duplicate(tid, &vma, request, limits);
        }
        let more = extension(&vma, request)?;
        let mut state = self.state.lock();
        // Another thread may have changed the map while the file was asked.
        state.to_be_remapped(request)?;
        let change = state.remap(tid, &vma, request, &more, limits);
        self.tell_unmapped(&mut state);
        change
    }

    fn duplicate(&self, tid: Pid, vma: &Vma, request: &RemapRequest, limits: &MemoryLimits) -> Result<Change, Errno> {
        let Object::Source { source, offset, .. } = &vma.object else { return Err(Errno::EINVAL) };
        let (address, placement) = match request.to {
            RemapTo::Here => return Err(Errno::EINVAL),
            RemapTo::Anywhere => (0, Placement::Anywhere),
            RemapTo::Near(hint) => (hint, Placement::Anywhere),
            RemapTo::Fixed(address) => (address, Placement::Fixed),
        };
        let copy = MapRequest {
            address,
            placement,
            len: request.new_len,
            protection: vma.protection,
            sharing: vma.sharing,
            flags: vma.flags - VmaFlags::HOLE,
            source: Some((source.clone(), *offset)),
        };
        self.map(tid, &copy, limits)
    }
}

/// What the file shows behind the old range, if it grows.
fn extension(vma: &Vma, request: &RemapRequest) -> Result<Vec<MapPiece>, Errno> {
    let growth = request.growth();
    match &vma.object {
        _ if growth == 0 => Ok(Vec::new()),
        Object::Anonymous => {
            Ok(alloc::vec![MapPiece { len: growth, backing: Backing::Anonymous, keep: None, fixed: None }])
        }
        Object::Source { source, offset, .. } => source.map(offset + request.old_len, growth, vma.sharing),
    }
}

impl State {
    /// The mapping that starts, or is cut to start, where the request does. `EFAULT` unless it is one mapping.
    fn to_be_remapped(&self, request: &RemapRequest) -> Result<Vma, Errno> {
        let (start, vma) = self.vmas.find(request.from).ok_or(Errno::EFAULT)?;
        let mut end = vma.end;
        let mut last = (start, vma);
        // Parts of a file that are there and parts that are not are one mapping to the application.
        while end < request.from + request.old_len {
            let next =
                self.vmas.find(end).filter(|(_, next)| last.1.continues_in(last.0, next)).ok_or(Errno::EFAULT)?;
            if next.1.flags - VmaFlags::HOLE != vma.flags - VmaFlags::HOLE || next.1.protection != vma.protection {
                return Err(Errno::EFAULT);
            }
            end = next.1.end;
            last = next;
        }
        if request.old_len == 0 && vma.sharing == Sharing::Private {
            return Err(Errno::EINVAL);
        }
        let mut vma = vma.clone();
        Ok(if request.from > start { vma.split_off(start, request.from) } else { vma })
    }

    fn remap(
        &mut self,
        tid: Pid,
        vma: &Vma,
        request: &RemapRequest,
        more: &[MapPiece],
        limits: &MemoryLimits,
    ) -> Result<Change, Errno> {
        if request.growth() == 0 && !request.moves() {
            return Ok(self.shrink(tid, request));
        }
        if !request.moves() && self.can_extend(request) {
            return self.extend(vma, request, more, limits);
        }
        if request.to == RemapTo::Here {
            return Err(Errno::ENOMEM);
        }
        self.relocate(tid, vma, request, more, limits)
    }

    fn shrink(&mut self, tid: Pid, request: &RemapRequest) -> Change {
        let tail = request.from + request.new_len..request.from + request.old_len;
        let calls = if tail.is_empty() { Vec::new() } else { alloc::vec![unmap(tail.clone())] };
        self.free(tid, tail);
        Change { calls, value: request.from, undo: Undo::Nothing }
    }

    /// Whether the range behind is free.
    fn can_extend(&self, request: &RemapRequest) -> bool {
        let added = request.from + request.old_len..request.from + request.new_len;
        let settled = self.avoided().iter().all(|other| other.end <= added.start || added.end <= other.start);
        settled && added.end <= self.bounds.end && self.vmas.is_free(added)
    }

    fn extend(
        &mut self,
        vma: &Vma,
        request: &RemapRequest,
        more: &[MapPiece],
        limits: &MemoryLimits,
    ) -> Result<Change, Errno> {
        let added = request.from + request.old_len..request.from + request.new_len;
        self.check_limits(&added, vma, limits)?;
        let calls = self.grown(vma, request, request.from, more);
        Ok(Change { calls, value: request.from, undo: Undo::Map(added) })
    }

    /// Adds what a mapping at `to` grows by. Zeros grow with their mapping on the host, so that they stay one there.
    fn grown(&mut self, vma: &Vma, request: &RemapRequest, to: u64, more: &[MapPiece]) -> Vec<HostCall> {
        let added = to + request.old_len..to + request.new_len;
        let source = match &vma.object {
            Object::Anonymous => None,
            Object::Source { source, offset, .. } => Some((source.clone(), offset + request.old_len)),
        };
        let whole = MapRequest {
            address: added.start,
            len: len(&added),
            placement: Placement::Fixed,
            protection: vma.protection,
            sharing: vma.sharing,
            flags: vma.flags - VmaFlags::HOLE,
            source,
        };
        let calls = self.insert_pieces(&added, &whole, more);
        if whole.source.is_some() {
            return calls;
        }
        let from = request.from;
        let (from_len, to_len) = (request.old_len, request.new_len);
        alloc::vec![HostCall::Remap { from, from_len, to, to_len, keep: request.keep }]
    }

    fn relocate(
        &mut self,
        tid: Pid,
        vma: &Vma,
        request: &RemapRequest,
        more: &[MapPiece],
        limits: &MemoryLimits,
    ) -> Result<Change, Errno> {
        let to = match request.to {
            RemapTo::Fixed(address) => self.place(address, request.new_len, Placement::Fixed)?,
            RemapTo::Near(hint) => self.place(hint, request.new_len, Placement::Anywhere)?,
            RemapTo::Here | RemapTo::Anywhere => self.place(0, request.new_len, Placement::Anywhere)?,
        };
        let added = to..to + if request.keep == Keep::Range { request.new_len } else { request.growth() };
        self.check_limits(&added, vma, limits)?;
        let mut calls = Vec::new();
        let kept = request.old_len.min(request.new_len);
        if kept < request.old_len {
            let tail = request.from + kept..request.from + request.old_len;
            calls.push(unmap(tail.clone()));
            self.free(tid, tail);
        }
        let request = RemapRequest { old_len: kept, ..*request };
        let replaced = self.vmas.take(to..to + request.new_len);
        self.keep(tid, replaced);
        let from = self.vmas.take(request.old());
        calls.extend(self.put_moved(&from, &request, to));
        if request.growth() > 0 {
            let grown = self.grown(vma, &request, to, more);
            if vma.object.is_anonymous() {
                calls.pop();
            }
            calls.extend(grown);
        }
        self.leave_old(tid, &from, &request);
        Ok(Change { calls, value: to, undo: Undo::Remap { from, to: to..to + request.new_len } })
    }

    /// Inserts what was taken out of the old range at the new one.
    fn put_moved(&mut self, from: &[(u64, Vma)], request: &RemapRequest, to: u64) -> Vec<HostCall> {
        let mut calls = Vec::with_capacity(from.len());
        for (start, vma) in from {
            let at = to + (start - request.from);
            let bytes = vma.end - start;
            let mut moved = vma.clone();
            moved.end = at + bytes;
            moved.flags.remove(VmaFlags::HEAP | VmaFlags::STACK);
            calls.push(HostCall::Remap { from: *start, from_len: bytes, to: at, to_len: bytes, keep: request.keep });
            self.vmas.insert(at, moved);
        }
        calls
    }

    /// The old range stays with nothing in it, or settles.
    fn leave_old(&mut self, tid: Pid, from: &[(u64, Vma)], request: &RemapRequest) {
        match request.keep {
            Keep::Range => from.iter().for_each(|(start, vma)| self.vmas.insert(*start, vma.clone())),
            Keep::Nothing => self.reserve(tid, request.old()),
        }
    }
}

impl Object {
    /// Whether it is zeros of its own.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Object::Anonymous)
    }
}

/// The host call that maps a piece anew.
pub fn map_again(range: Range<u64>, vma: &Vma, backing: Backing) -> HostCall {
    host_map(range, vma.protection, backing)
}
