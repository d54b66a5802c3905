//! The data of a regular file: extents of the pool, with holes between.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::{Seals, Shared};
use crate::Errno;
use crate::io::{Sink, Source};
use crate::mm::{MapPiece, Mappers, PoolRange};
use crate::platform::{Backing, Sharing};
use crate::vfs::{Allocation, Direction, PAGE_BYTES, WriteAt, Written};

/// A file never ends behind this, so that sums with a page stay in range.
const LEN_MAX: u64 = i64::MAX.cast_unsigned() - PAGE_BYTES;
/// A growing file takes at most this much ahead.
const AHEAD_BYTES_MAX: u64 = 1 << 20;

/// A file's data.
#[derive(Debug)]
pub struct Data {
    shared: Arc<Shared>,
    /// Held by whoever changes data or length, also while it copies from an application.
    writing: Mutex<()>,
    state: Mutex<State>,
    /// Told after the length or an extent changed, without a lock held.
    pub mappers: Arc<Mappers>,
}

#[derive(Debug, Default)]
struct State {
    len: u64,
    /// By their start in the file; page-aligned, never overlapping.
    extents: BTreeMap<u64, Extent>,
    seals: Seals,
}

#[derive(Clone, Debug)]
struct Extent {
    len: u64,
    range: Arc<PoolRange>,
    /// Where in the range it begins.
    skip: u64,
    charge: Charge,
}

/// Whether an extent counts for the size of its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charge {
    Counted,
    /// It was mapped as a hole where there was no room for all of it. Linux counts what is touched; only the host knows
    /// here.
    Uncounted,
}

/// A run of a file's bytes.
enum Run {
    Hole(u64),
    Data { range: Arc<PoolRange>, offset: u64, len: u64 },
}

fn round_up(bytes: u64) -> u64 {
    bytes.next_multiple_of(PAGE_BYTES)
}

fn small(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Data {
    pub fn new(shared: &Arc<Shared>) -> Self {
        let state = State { seals: Seals::SEAL, ..State::default() };
        Self { shared: shared.clone(), writing: Mutex::new(()), state: Mutex::new(state), mappers: Arc::default() }
    }

    pub fn len(&self) -> u64 {
        self.state.lock().len
    }

    /// Bytes taken, without those ahead of the end.
    pub fn taken_bytes(&self) -> u64 {
        let state = self.state.lock();
        let end = round_up(state.len);
        state.extents.iter().map(|(start, extent)| extent.len.min(end.saturating_sub(*start))).sum()
    }

    pub fn read(&self, sink: &mut dyn Sink, at: u64) -> Result<usize, Errno> {
        let mut done = 0;
        while sink.remaining() > 0 {
            let run = self.state.lock().run(at.saturating_add(done as u64));
            let step = match run {
                None => break,
                Some(Run::Hole(len)) => sink.put_zeros(small(len).min(sink.remaining())),
                Some(Run::Data { range: _range, offset, len }) => {
                    let len = small(len).min(sink.remaining());
                    sink.put_from_pool(self.shared.machine.pool(), offset, len)
                }
            };
            match step {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(done)
    }

    pub fn write(&self, source: &mut dyn Source, at: WriteAt) -> Result<Written, Errno> {
        let _writing = self.writing.lock();
        let start = self.check_write(at, source.remaining() as u64)?;
        let mut done = 0;
        while source.remaining() > 0 {
            let want = (source.remaining() as u64).min(LEN_MAX.saturating_sub(start + done));
            match self.write_run(source, start + done, want) {
                Ok(0) => break,
                Ok(count) => done += count as u64,
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(Written { count: small(done), end: start + done })
    }

    fn check_write(&self, at: WriteAt, len: u64) -> Result<u64, Errno> {
        let state = self.state.lock();
        let start = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => state.len,
        };
        if state.seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE) {
            return Err(Errno::EPERM);
        }
        if state.seals.contains(Seals::GROW) && start.saturating_add(len) > state.len {
            return Err(Errno::EPERM);
        }
        if len > 0 && start >= LEN_MAX { Err(Errno::EFBIG) } else { Ok(start) }
    }

    fn write_run(&self, source: &mut dyn Source, at: u64, want: u64) -> Result<usize, Errno> {
        let (range, offset, len) = {
            let mut state = self.state.lock();
            state.fill(&self.shared, at, want)?;
            match state.run_to(at, u64::MAX) {
                Some(Run::Data { range, offset, len }) => (range, offset, len.min(want)),
                _ => return Err(Errno::EIO),
            }
        };
        let count = source.take_into_pool(self.shared.machine.pool(), offset, small(len))?;
        drop(range);
        let mut state = self.state.lock();
        state.len = state.len.max(at + count as u64);
        Ok(count)
    }

    pub fn set_len(&self, len: u64) -> Result<(), Errno> {
        if len > LEN_MAX {
            return Err(Errno::EFBIG);
        }
        let _writing = self.writing.lock();
        let mut state = self.state.lock();
        let seal = if len < state.len { Seals::SHRINK } else { Seals::GROW };
        if len != state.len && state.seals.contains(seal) {
            return Err(Errno::EPERM);
        }
        if len < state.len {
            state.clear(&self.shared, len, LEN_MAX - len);
        }
        state.len = len;
        Ok(())
    }

    pub fn allocate(&self, what: Allocation, offset: u64, len: u64) -> Result<(), Errno> {
        let end = offset.checked_add(len).filter(|end| *end <= LEN_MAX).ok_or(Errno::EFBIG)?;
        let _writing = self.writing.lock();
        let mut state = self.state.lock();
        if matches!(what, Allocation::Punch | Allocation::Zero | Allocation::ZeroWithin) {
            if state.seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE) {
                return Err(Errno::EPERM);
            }
            state.clear(&self.shared, offset, len);
        }
        let longer = matches!(what, Allocation::Extend | Allocation::Zero) && end > state.len;
        if longer && state.seals.contains(Seals::GROW) {
            return Err(Errno::EPERM);
        }
        if what != Allocation::Punch {
            state.reserve(&self.shared, offset, end)?;
            state.fill_all(&self.shared, offset, end, take_reserved)?;
        }
        if longer {
            state.len = end;
        }
        Ok(())
    }

    /// Takes room for every hole, since what is mapped must be there.
    pub fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        let _writing = self.writing.lock();
        let mut state = self.state.lock();
        let end = offset.checked_add(len).ok_or(Errno::EOVERFLOW)?;
        let file_end = round_up(state.len).clamp(offset, end);
        state.fill_all(&self.shared, offset, file_end, take_somehow).map_err(|_| Errno::ENOMEM)?;
        let mut pieces = Vec::new();
        let mut at = offset;
        while let Some(Run::Data { range, offset, len }) = state.run_to(at, file_end) {
            pieces.push(MapPiece { len, backing: Backing::Pool { offset, sharing }, keep: Some(range), fixed: None });
            at += len;
        }
        if at < end {
            pieces.push(MapPiece { len: end - at, backing: Backing::Nothing, keep: None, fixed: None });
        }
        Ok(pieces)
    }

    pub fn find(&self, from: u64, what: Direction) -> Result<u64, Errno> {
        let state = self.state.lock();
        let mut at = from;
        loop {
            match (state.run(at), what) {
                (None, Direction::Hole) if at == state.len && from < at => return Ok(at),
                (None, _) => return Err(Errno::ENXIO),
                (Some(Run::Hole(_)), Direction::Hole) | (Some(Run::Data { .. }), Direction::Data) => return Ok(at),
                (Some(Run::Hole(len) | Run::Data { len, .. }), _) => at += len,
            }
        }
    }

    pub fn seals(&self) -> Seals {
        self.state.lock().seals
    }

    /// Lets seals be added.
    pub fn allow_sealing(&self) {
        self.state.lock().seals = Seals::empty();
    }

    pub fn add_seals(&self, seals: Seals) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.seals.contains(Seals::SEAL) {
            return Err(Errno::EPERM);
        }
        state.seals |= seals;
        Ok(())
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let extents = self.state.get_mut().extents.values();
        let taken: u64 = extents.filter(|extent| extent.charge == Charge::Counted).map(|extent| extent.len).sum();
        self.shared.release_bytes(taken);
    }
}

impl State {
    /// What is at an offset, up to the end of the file.
    fn run(&self, at: u64) -> Option<Run> {
        self.run_to(at, self.len)
    }

    fn run_to(&self, at: u64, end: u64) -> Option<Run> {
        let rest = end.checked_sub(at).filter(|rest| *rest > 0)?;
        if let Some((start, extent)) = self.extents.range(..=at).next_back()
            && at < start + extent.len
        {
            let within = at - start;
            let offset = extent.range.offset() + extent.skip + within;
            return Some(Run::Data { range: extent.range.clone(), offset, len: rest.min(extent.len - within) });
        }
        Some(Run::Hole(self.next_start(at).map_or(rest, |next| rest.min(next - at))))
    }

    fn next_start(&self, at: u64) -> Option<u64> {
        self.extents.range(at..).next().map(|(start, _)| *start)
    }

    /// Takes room at an offset, if there is none: for `want` bytes, or as much as is there before the next extent.
    fn fill(&mut self, shared: &Shared, at: u64, want: u64) -> Result<(), Errno> {
        if !matches!(self.run_to(at, u64::MAX), Some(Run::Hole(_))) {
            return Ok(());
        }
        let start = at - at % PAGE_BYTES;
        let room = self.next_start(at).map_or(u64::MAX, |next| next - start);
        let need = round_up(at - start + want).min(room);
        let ahead = if at >= self.len { self.len.next_power_of_two().min(AHEAD_BYTES_MAX) } else { 0 };
        let generous = round_up(need.max(ahead)).min(room);
        // Without room for all, what there is room for is written.
        let range = take(shared, generous)
            .or_else(|_| take(shared, need))
            .or_else(|errno| if need > PAGE_BYTES { take(shared, PAGE_BYTES) } else { Err(errno) })?;
        self.extents.insert(start, Extent::new(range, Charge::Counted));
        Ok(())
    }

    /// Takes room for every hole of a range: for all of a hole or nothing, so that what cannot fit does not
    /// use up what is left first.
    fn fill_all(&mut self, shared: &Shared, from: u64, to: u64, take: Take) -> Result<(), Errno> {
        let mut at = from;
        while let Some(run) = self.run_to(at, to) {
            match run {
                Run::Hole(len) => {
                    let start = at - at % PAGE_BYTES;
                    let extent = take(shared, round_up(at + len) - start)?;
                    at += len;
                    self.extents.insert(start, extent);
                }
                Run::Data { len, .. } => at += len,
            }
        }
        Ok(())
    }

    /// Has the host keep room for what a range has, where that is not memory.
    fn reserve(&self, shared: &Shared, from: u64, to: u64) -> Result<(), Errno> {
        let Some(store) = &shared.store else { return Ok(()) };
        let mut at = from;
        while let Some(run) = self.run_to(at, to) {
            at += match run {
                Run::Hole(len) => len,
                Run::Data { range: _range, offset, len } => {
                    store.reserve(offset, len)?;
                    len
                }
            };
        }
        Ok(())
    }

    /// Makes a range read as zero, and gives back the whole pages of it that nobody has mapped.
    fn clear(&mut self, shared: &Shared, from: u64, len: u64) {
        let to = from + len;
        let first = self.extents.range(..=from).next_back().map_or(from, |(start, _)| *start);
        let touched: Vec<u64> = self.extents.range(first..to).map(|(start, _)| *start).collect();
        for start in touched {
            self.clear_extent(shared, start, from, to);
        }
    }

    fn clear_extent(&mut self, shared: &Shared, start: u64, from: u64, to: u64) {
        let Some(extent) = self.extents.get(&start).cloned() else { return };
        let end = start + extent.len;
        let (from, to) = (from.max(start), to.min(end));
        if from >= to {
            return;
        }
        // One reference is the map's, one is ours, pieces of one range have more; further ones are mappings.
        let mapped = Arc::strong_count(&extent.range) > 2;
        let (hole_from, hole_to) = (round_up(from), if to == end { end } else { to - to % PAGE_BYTES });
        let base = extent.range.offset() + extent.skip;
        if mapped || hole_from >= hole_to {
            shared.machine.pool().zero(base + from - start, to - from);
            return;
        }
        let zero = |from: u64, to: u64| {
            if from < to {
                shared.machine.pool().zero(base + from - start, to - from);
            }
        };
        if hole_from > start || hole_to < end {
            zero(from, to);
        }
        self.extents.remove(&start);
        if extent.charge == Charge::Counted {
            shared.release_bytes(hole_to - hole_from);
        }
        if hole_from > start {
            self.extents.insert(start, Extent { len: hole_from - start, ..extent.clone() });
        }
        if hole_to < end {
            let skip = extent.skip + (hole_to - start);
            self.extents.insert(hole_to, Extent { len: end - hole_to, skip, ..extent });
        }
    }
}

impl Extent {
    fn new(range: Arc<PoolRange>, charge: Charge) -> Self {
        Self { len: range.len(), range, skip: 0, charge }
    }
}

/// How room for an extent is taken.
type Take = fn(&Shared, u64) -> Result<Extent, Errno>;

fn take_counted(shared: &Shared, len: u64) -> Result<Extent, Errno> {
    Ok(Extent::new(take(shared, len)?, Charge::Counted))
}

/// What the host has no room for is given back whole.
fn take_reserved(shared: &Shared, len: u64) -> Result<Extent, Errno> {
    let extent = take_counted(shared, len)?;
    if let Some(store) = &shared.store {
        store.reserve(extent.range.offset(), len).inspect_err(|_| shared.release_bytes(len))?;
    }
    Ok(extent)
}

fn take_somehow(shared: &Shared, len: u64) -> Result<Extent, Errno> {
    // A store has no more than it may have.
    take_counted(shared, len).or_else(|errno| match shared.store {
        Some(_) => Err(errno),
        None => Ok(Extent::new(shared.take(len)?, Charge::Uncounted)),
    })
}

fn take(shared: &Shared, len: u64) -> Result<Arc<PoolRange>, Errno> {
    shared.charge_bytes(len)?;
    shared.take(len).inspect_err(|_| shared.release_bytes(len))
}
