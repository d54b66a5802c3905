//! All mappings of an address space, by address.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use super::{PAGE, Vma, VmaFlags};
use crate::account::Charge;

/// How far below a mapping that grows down nothing is placed (Linux's stack_guard_gap).
const GUARD_BYTES: u64 = 256 * PAGE;

/// What of the first stack counts; the rest of it is only reserved.
const STACK_COUNTED_BYTES: u64 = 132 << 10;

/// Mappings by start; none overlap.
#[derive(Clone, Debug, Default)]
pub struct Vmas {
    map: BTreeMap<u64, Vma>,
    memory: Charge,
    sizes: Sizes,
    searched: Searched,
}

/// What the searches for room found, so that the next one does not begin at the top.
#[derive(Clone, Debug, Default)]
struct Searched {
    /// Where they looked.
    bounds: Range<u64>,
    /// From here up no gap is longer than `hole`.
    top: u64,
    hole: u64,
}

impl Searched {
    /// Begins at the top.
    fn new(bounds: &Range<u64>) -> Self {
        Self { bounds: bounds.clone(), top: bounds.end, hole: 0 }
    }
}

/// Bytes of all mappings.
#[derive(Clone, Copy, Debug, Default)]
struct Sizes {
    stack: u64,
    others: u64,
    /// The most that counted at once.
    peak: u64,
}

impl Sizes {
    fn of(&mut self, vma: &Vma) -> &mut u64 {
        if vma.flags.contains(VmaFlags::STACK) { &mut self.stack } else { &mut self.others }
    }

    fn counted(&self) -> u64 {
        self.others + self.stack.min(STACK_COUNTED_BYTES)
    }
}

/// What each takes.
const VMA_BYTES: usize = 256;

impl Vmas {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.map.len()
    }

    /// What counts for RLIMIT_AS.
    pub fn total_bytes(&self) -> u64 {
        self.sizes.counted()
    }

    /// The most that this ever was.
    pub fn peak_bytes(&self) -> u64 {
        self.sizes.peak
    }

    /// Forgets what was there before.
    pub fn forget_peak(&mut self) {
        self.sizes.peak = self.sizes.counted();
    }

    /// All, by rising address.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Vma)> {
        self.map.iter().map(|(start, vma)| (*start, vma))
    }

    /// The one that contains an address.
    pub fn find(&self, address: u64) -> Option<(u64, &Vma)> {
        let (start, vma) = self.map.range(..=address).next_back()?;
        (vma.end > address).then_some((*start, vma))
    }

    /// The first one that starts above an address.
    pub fn next_above(&self, address: u64) -> Option<(u64, &Vma)> {
        self.map.range(address.checked_add(1)?..).next().map(|(start, vma)| (*start, vma))
    }

    /// The last one that ends at or below an address.
    pub fn last_below(&self, address: u64) -> Option<(u64, &Vma)> {
        self.map.range(..address).next_back().map(|(start, vma)| (*start, vma))
    }

    /// Those that have an address in the range, each cut to it.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, &Vma)> {
        let first = self.find(range.start).map_or(range.start, |(start, _)| start);
        let end = range.end.max(first);
        self.map.range(first..end).map(move |(start, vma)| ((*start).max(range.start)..vma.end.min(range.end), vma))
    }

    /// Whether nothing is mapped in the range.
    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.within(range).next().is_none()
    }

    /// Where the first address of the range that is not mapped lies; `None` when all is.
    pub fn first_gap(&self, range: Range<u64>) -> Option<u64> {
        let mut at = range.start;
        for (part, _) in self.within(range.clone()) {
            if part.start > at {
                return Some(at);
            }
            at = part.end;
        }
        (at < range.end).then_some(at)
    }

    /// Makes an address a border, if it lies inside a mapping.
    fn split(&mut self, at: u64) {
        let Some((start, vma)) = self.map.range_mut(..at).next_back() else { return };
        if vma.end > at {
            let rest = vma.split_off(*start, at);
            self.map.insert(at, rest);
        }
    }

    /// Takes out what is mapped in the range.
    pub fn take(&mut self, range: Range<u64>) -> Vec<(u64, Vma)> {
        let end = range.end;
        let taken = self.lift(range);
        if !taken.is_empty() {
            self.search_again(end);
        }
        taken
    }

    /// There is room now below an address: searches begin at the mapping above it, or at the top where a guard may
    /// reach that far down.
    fn search_again(&mut self, from: u64) {
        let top = self.searched.bounds.end;
        let next = self.map.range(from..).next().map_or(top, |(start, _)| *start);
        let mut near = self.map.range(next..=next.saturating_add(GUARD_BYTES));
        let guarded = near.any(|(_, vma)| vma.flags.contains(VmaFlags::GROWS_DOWN));
        self.searched.top = if guarded { top } else { self.searched.top.max(next).min(top) };
    }

    /// The same where all of it comes back.
    fn lift(&mut self, range: Range<u64>) -> Vec<(u64, Vma)> {
        self.split(range.start);
        self.split(range.end);
        let starts: Vec<u64> = self.map.range(range).map(|(start, _)| *start).collect();
        let taken: Vec<(u64, Vma)> = starts.into_iter().filter_map(|start| self.map.remove_entry(&start)).collect();
        taken.iter().for_each(|(start, vma)| *self.sizes.of(vma) -= vma.end - start);
        self.settle();
        taken
    }

    /// Adds a mapping where nothing is mapped, and joins it with its neighbours.
    pub fn insert(&mut self, start: u64, vma: Vma) {
        let end = vma.end;
        if vma.flags.contains(VmaFlags::GROWS_DOWN) {
            self.searched = Searched::default();
        }
        *self.sizes.of(&vma) += end - start;
        self.sizes.peak = self.sizes.peak.max(self.sizes.counted());
        self.map.insert(start, vma);
        self.join(end);
        self.join(start);
        self.settle();
    }

    /// Counts what they take now; whether there is room was asked before.
    fn settle(&mut self) {
        self.memory.set(self.map.len() * VMA_BYTES);
    }

    /// Joins the mappings that meet at an address, if they can be one.
    fn join(&mut self, at: u64) {
        let Some(next) = self.map.get(&at) else { return };
        let Some((start, before)) = self.map.range(..at).next_back() else { return };
        if before.end != at || !before.merges_with(*start, next) {
            return;
        }
        let start = *start;
        if let (Some(next), Some(before)) = (self.map.remove(&at), self.map.get_mut(&start)) {
            before.merge(next);
        }
    }

    /// Changes every mapping in the range, split at its borders.
    pub fn update(&mut self, range: Range<u64>, mut change: impl FnMut(&mut Vma)) {
        for (start, mut vma) in self.lift(range) {
            change(&mut vma);
            self.insert(start, vma);
        }
    }

    /// The highest start of `len` free bytes in `bounds`, aligned, clear of `avoid`.
    pub fn highest_gap(&mut self, len: u64, align: u64, bounds: &Range<u64>, avoid: &[Range<u64>]) -> Option<u64> {
        let known = &self.searched;
        let same = known.bounds == *bounds;
        let mut searched = if same && len > known.hole { known.clone() } else { Searched::new(bounds) };
        let found = self.search(&mut searched, |gap| fit(len, align, gap, avoid));
        if !same || searched.top <= self.searched.top {
            self.searched = searched;
        }
        found
    }

    /// Offers gaps from the top down until one fits.
    fn search(&self, searched: &mut Searched, fits: impl Fn(Range<u64>) -> Option<u64>) -> Option<u64> {
        let first = searched.bounds.start;
        for (start, vma) in self.map.range(..searched.top).rev() {
            let gap = vma.end.max(first)..searched.top;
            let hole = gap.end.saturating_sub(gap.start);
            if let Some(found) = fits(gap) {
                return Some(found);
            }
            let guard = if vma.flags.contains(VmaFlags::GROWS_DOWN) { GUARD_BYTES } else { 0 };
            searched.hole = searched.hole.max(hole);
            searched.top = searched.top.min(start.saturating_sub(guard));
            if searched.top <= first {
                return None;
            }
        }
        fits(first..searched.top)
    }
}

/// The highest aligned start of `len` bytes in a gap, clear of `avoid`.
fn fit(len: u64, align: u64, gap: Range<u64>, avoid: &[Range<u64>]) -> Option<u64> {
    let mut top = gap.end;
    loop {
        let start = top.checked_sub(len)? & !(align - 1);
        if start < gap.start {
            return None;
        }
        match avoid
            .iter()
            .filter(|other| other.start < start + len && start < other.end)
            .min_by_key(|other| other.start)
        {
            Some(blocked) => top = blocked.start,
            None => return Some(start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::Object;
    use crate::platform::{Protection, Sharing};

    fn vma(end: u64, protection: Protection) -> Vma {
        Vma { end, protection, sharing: Sharing::Private, flags: VmaFlags::empty(), object: Object::Anonymous }
    }

    fn map(ranges: &[(u64, u64)]) -> Vmas {
        let mut map = Vmas::default();
        ranges.iter().for_each(|(start, end)| map.insert(*start, vma(*end, Protection::READ)));
        map
    }

    fn ranges(map: &Vmas) -> Vec<(u64, u64)> {
        map.iter().map(|(start, vma)| (start, vma.end)).collect()
    }

    #[test]
    fn neighbours_join_when_alike() {
        let mut map = map(&[(0x1000, 0x2000), (0x3000, 0x4000), (0x2000, 0x3000)]);
        assert_eq!(ranges(&map), [(0x1000, 0x4000)]);
        map.update(0x2000..0x3000, |vma| vma.protection = Protection::WRITE);
        assert_eq!(ranges(&map), [(0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0x4000)]);
        map.update(0x2000..0x3000, |vma| vma.protection = Protection::READ);
        assert_eq!(ranges(&map), [(0x1000, 0x4000)]);
    }

    #[test]
    fn taking_splits_at_both_ends() {
        let mut map = map(&[(0x1000, 0x9000)]);
        let taken = map.take(0x3000..0x5000);
        assert_eq!((taken[0].0, taken[0].1.end), (0x3000, 0x5000));
        assert_eq!(ranges(&map), [(0x1000, 0x3000), (0x5000, 0x9000)]);
        assert_eq!(map.first_gap(0x2000..0x6000), Some(0x3000));
        assert_eq!(map.first_gap(0x5000..0x9000), None);
        assert!(map.is_free(0x3000..0x5000) && !map.is_free(0x2fff..0x5000));
    }

    #[test]
    fn the_most_that_was_mapped_is_kept() {
        let mut map = map(&[(0x1000, 0x9000)]);
        map.take(0x3000..0x5000);
        map.update(0x1000..0x2000, |vma| vma.protection = Protection::WRITE);
        assert_eq!((map.total_bytes(), map.peak_bytes()), (0x6000, 0x8000));
        let stack = Vma { flags: VmaFlags::STACK, ..vma(0x80_0000, Protection::WRITE) };
        map.insert(0x10_0000, stack);
        assert_eq!(map.peak_bytes(), 0x6000 + STACK_COUNTED_BYTES);
        map.take(0..0x9000);
        map.forget_peak();
        assert_eq!((map.total_bytes(), map.peak_bytes()), (STACK_COUNTED_BYTES, STACK_COUNTED_BYTES));
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a list of one range is meant")]
    fn the_highest_gap_is_found() {
        let mut map = map(&[(0x3000, 0x4000), (0x6000, 0x7000)]);
        let mut gap = |len, align, avoid: &[Range<u64>]| map.highest_gap(len, align, &(0x1000..0x8000), avoid);
        assert_eq!(gap(0x1000, PAGE, &[]), Some(0x7000));
        assert_eq!(gap(0x2000, PAGE, &[]), Some(0x4000));
        assert_eq!(gap(0x1000, PAGE, &[0x7000..0x8000, 0x5000..0x6000]), Some(0x4000));
        assert_eq!(gap(0x2000, PAGE, &[0x5000..0x6000]), Some(0x1000));
        assert_eq!(gap(0x3000, PAGE, &[]), None);
        assert_eq!(gap(0x1000, 0x4000, &[]), Some(0x4000));
    }

    #[test]
    fn a_search_that_goes_on_finds_what_a_new_one_does() {
        let bounds = 0x1000..0x20_0000;
        let mut map = Vmas::default();
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (seed >> 33) % below
        };
        for round in 0..20_000 {
            let (at, len) = (random(0x200) * PAGE, (random(6) + 1) * PAGE);
            let avoided = at..at + len;
            match random(5) {
                0 => drop(map.take(at..at + len)),
                1 => map.update(at..at + len, |vma| vma.protection = Protection::WRITE),
                kind => {
                    let avoid = if kind == 2 { core::slice::from_ref(&avoided) } else { &[] };
                    let mut fresh = Vmas { searched: Searched::default(), ..map.clone() };
                    let found = map.highest_gap(len, PAGE, &bounds, avoid);
                    assert_eq!(found, fresh.highest_gap(len, PAGE, &bounds, avoid), "round {round}");
                    let flags = if random(9) == 0 { VmaFlags::GROWS_DOWN } else { VmaFlags::empty() };
                    if let Some(start) = found {
                        map.insert(start, Vma { flags, ..vma(start + len, Protection::READ) });
                    }
                }
            }
        }
    }
}
