//! What of a process's mappings is in memory. The host counts by its own mappings; where one of those is several of
//! ours, the pages of each are looked at.

use alloc::vec::Vec;
use core::ops::{Add, Range};

use crate::mm::{Memory, PAGE};
use crate::platform::RangeUsage;

/// Of a longer mapping of the host, each part has its share by size.
const PAGES_MAX: u64 = 1 << 20;
/// Pages that are looked at at once.
const CHUNK_PAGES: u64 = 1 << 13;

/// Words of proc_pid_pagemap(5).
const PRESENT: u64 = 1 << 63;
const OF_FILE: u64 = 1 << 61;
const EXCLUSIVE: u64 = 1 << 56;

/// The host's counts of a process.
#[derive(Debug)]
pub(super) struct Usage<'a> {
    memory: &'a Memory,
    /// By rising address.
    ranges: Vec<RangeUsage>,
    /// Those of the range that was divided last.
    pages: Option<Pages>,
}

impl<'a> Usage<'a> {
    pub fn of(memory: &'a Memory) -> Self {
        Self { memory, ranges: memory.space().usage(), pages: None }
    }

    /// What is in memory of a range.
    pub fn within(&mut self, range: &Range<u64>) -> RangeUsage {
        let first = self.ranges.partition_point(|whole| whole.end <= range.start);
        let mut sum = RangeUsage::default();
        for index in first..self.ranges.len() {
            let whole = self.ranges[index];
            if whole.start >= range.end {
                break;
            }
            let part = whole.start.max(range.start)..whole.end.min(range.end);
            sum += if part == (whole.start..whole.end) { whole } else { self.part(&whole, &part) };
        }
        sum
    }

    fn part(&mut self, whole: &RangeUsage, part: &Range<u64>) -> RangeUsage {
        if whole.resident == 0 {
            return RangeUsage::default();
        }
        let known = self.pages.take().filter(|pages| pages.start == whole.start);
        let pages = self.pages.insert(known.unwrap_or_else(|| Pages::look(self.memory, whole)));
        share(whole, &pages.count(part), &pages.count(&(whole.start..whole.end)))
    }
}

/// The pages of one mapping of the host; none where it is too long or does not tell.
#[derive(Debug)]
struct Pages {
    start: u64,
    kinds: Vec<Kind>,
    /// How many of those in [`Kind::Unsure`] are in memory, of how many.
    sure: (u64, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Absent,
    PrivateAnonymous,
    PrivateFile,
    SharedFile,
    /// Anonymous and shared, or the page of zeros, which does not count.
    Unsure,
}

impl Kind {
    fn of(word: u64) -> Self {
        match (word & PRESENT, word & OF_FILE, word & EXCLUSIVE) {
            (0, ..) => Kind::Absent,
            (_, 0, 0) => Kind::Unsure,
            (_, 0, _) => Kind::PrivateAnonymous,
            (_, _, 0) => Kind::SharedFile,
            _ => Kind::PrivateFile,
        }
    }
}

impl Pages {
    fn look(memory: &Memory, whole: &RangeUsage) -> Self {
        let kinds = kinds(memory, whole).unwrap_or_default();
        let count = |wanted: fn(Kind) -> bool| kinds.iter().filter(|kind| wanted(**kind)).count() as u64;
        let unsure = count(|kind| kind == Kind::Unsure);
        let known = count(|kind| !matches!(kind, Kind::Unsure | Kind::Absent));
        let there = (whole.resident / PAGE).saturating_sub(known).min(unsure);
        Self { start: whole.start, kinds, sure: (there, unsure) }
    }

    fn count(&self, part: &Range<u64>) -> Weights {
        let [first, last] = [part.start, part.end].map(|address| (address - self.start) / PAGE);
        if self.kinds.is_empty() {
            return Weights::alike(last - first);
        }
        let index = |page: u64| usize::try_from(page).unwrap_or(usize::MAX).min(self.kinds.len());
        let counted = self.kinds[index(first)..index(last)].iter().fold(Weights::default(), |sum, kind| sum + *kind);
        let (there, of) = self.sure;
        Weights { unsure: counted.unsure * there / of.max(1), ..counted }
    }
}

fn kinds(memory: &Memory, whole: &RangeUsage) -> Option<Vec<Kind>> {
    let pages = (whole.end - whole.start) / PAGE;
    if pages > PAGES_MAX {
        return None;
    }
    let mut kinds = Vec::with_capacity(usize::try_from(pages).ok()?);
    let mut words = Vec::new();
    for first in (0..pages).step_by(usize::try_from(CHUNK_PAGES).ok()?) {
        words.resize(usize::try_from((pages - first).min(CHUNK_PAGES)).ok()?, 0);
        memory.space().page_map(whole.start + first * PAGE, &mut words).ok()?;
        kinds.extend(words.iter().map(|word| Kind::of(*word)));
    }
    Some(kinds)
}

/// Pages of each kind.
#[derive(Clone, Copy, Debug, Default)]
struct Weights {
    private_anonymous: u64,
    private_file: u64,
    shared_file: u64,
    unsure: u64,
}

impl Weights {
    fn alike(pages: u64) -> Self {
        Self { private_anonymous: pages, private_file: pages, shared_file: pages, unsure: pages }
    }

    fn private(&self) -> u64 {
        self.private_anonymous + self.private_file
    }

    fn shared(&self) -> u64 {
        self.unsure + self.shared_file
    }

    fn anonymous(&self) -> u64 {
        self.private_anonymous + self.unsure
    }

    fn all(&self) -> u64 {
        self.private() + self.shared()
    }
}

impl Add<Kind> for Weights {
    type Output = Self;

    fn add(mut self, kind: Kind) -> Self {
        match kind {
            Kind::Absent => {}
            Kind::PrivateAnonymous => self.private_anonymous += 1,
            Kind::PrivateFile => self.private_file += 1,
            Kind::SharedFile => self.shared_file += 1,
            Kind::Unsure => self.unsure += 1,
        }
        self
    }
}

/// What falls on a part of a range of the host's, in whole KiB.
fn share(whole: &RangeUsage, part: &Weights, all: &Weights) -> RangeUsage {
    // A range of reserved addresses has more pages than fit beside its bytes.
    let of = |bytes: u64, weight: fn(&Weights) -> u64| {
        let product = u128::from(bytes) * u128::from(weight(part));
        u64::try_from(product / u128::from(weight(all).max(1))).unwrap_or(bytes) & !0x3ff
    };
    let private = of(whole.private_clean + whole.private_dirty, Weights::private);
    let shared = whole.proportional.saturating_sub(whole.private_clean + whole.private_dirty);
    RangeUsage {
        start: 0,
        end: 0,
        resident: of(whole.resident, Weights::all),
        proportional: private + of(shared, Weights::shared),
        shared_clean: of(whole.shared_clean, Weights::shared),
        shared_dirty: of(whole.shared_dirty, Weights::shared),
        private_clean: of(whole.private_clean, Weights::private),
        private_dirty: of(whole.private_dirty, Weights::private),
        referenced: of(whole.referenced, Weights::all),
        anonymous: of(whole.anonymous, Weights::anonymous),
        huge: of(whole.huge, Weights::anonymous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: RangeUsage = RangeUsage {
        start: 0x1000,
        end: 0x9000,
        resident: 5 * PAGE,
        proportional: 4 * PAGE,
        shared_clean: 0,
        shared_dirty: 2 * PAGE,
        private_clean: 0,
        private_dirty: 3 * PAGE,
        referenced: 5 * PAGE,
        anonymous: 5 * PAGE,
        huge: 0,
    };

    fn pages(words: &[u64], sure: (u64, u64)) -> Pages {
        Pages { start: 0x1000, kinds: words.iter().map(|word| Kind::of(*word)).collect(), sure }
    }

    fn counts(pages: &Pages, part: Range<u64>) -> [u64; 5] {
        let found = share(&WHOLE, &pages.count(&part), &pages.count(&(0x1000..0x9000)));
        let RangeUsage { resident, proportional, shared_dirty, private_dirty, anonymous, .. } = found;
        [resident, proportional, shared_dirty, private_dirty, anonymous].map(|bytes| bytes / PAGE)
    }

    #[test]
    fn each_part_has_the_pages_that_lie_in_it() {
        let (own, both) = (PRESENT | EXCLUSIVE, PRESENT);
        let seen = pages(&[0, own, own, both, 0, 0, own, both], (2, 2));
        assert_eq!(counts(&seen, 0x1000..0x2000), [0; 5]);
        assert_eq!(counts(&seen, 0x2000..0x4000), [2, 2, 0, 2, 2]);
        assert_eq!(counts(&seen, 0x4000..0x7000), [1, 0, 1, 0, 1]);
        assert_eq!(counts(&seen, 0x1000..0x9000), [5, 4, 2, 3, 5]);
    }

    #[test]
    fn pages_of_zeros_do_not_count() {
        let whole = RangeUsage { resident: PAGE, anonymous: PAGE, private_dirty: PAGE, ..RangeUsage::default() };
        let seen = pages(&[PRESENT | EXCLUSIVE, PRESENT, PRESENT], (0, 2));
        let of = |part| share(&whole, &seen.count(&part), &seen.count(&(0x1000..0x4000))).resident;
        assert_eq!([of(0x1000..0x2000), of(0x2000..0x4000)], [PAGE, 0]);
    }

    #[test]
    fn as_many_addresses_as_there_are_can_be_divided() {
        let whole = RangeUsage { end: 1 << 47, resident: 1 << 34, ..RangeUsage::default() };
        let silent = Pages { start: 0, kinds: Vec::new(), sure: (0, 0) };
        let half = share(&whole, &silent.count(&(0..1 << 46)), &silent.count(&(0..1 << 47)));
        assert_eq!(half.resident, 1 << 33);
    }

    #[test]
    fn where_nothing_is_told_a_part_has_its_share_by_size() {
        let silent = pages(&[], (0, 0));
        assert_eq!(counts(&silent, 0x1000..0x5000), [2, 2, 1, 1, 2]);
    }
}
