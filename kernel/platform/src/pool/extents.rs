//! Which parts of the pool are free: best fit, neighbours joined. Two indexes of the same extents, by offset and by
//! length.

use std::collections::{BTreeMap, BTreeSet};

/// Free extents of `0..total`.
#[derive(Debug)]
pub(super) struct Extents {
    by_offset: BTreeMap<u64, u64>,
    by_len: BTreeSet<(u64, u64)>,
    used: u64,
}

impl Extents {
    pub(super) fn new(total: u64) -> Self {
        let mut extents = Self { by_offset: BTreeMap::new(), by_len: BTreeSet::new(), used: 0 };
        if total > 0 {
            extents.insert(0, total);
        }
        extents
    }

    /// Takes the smallest extent that holds `len`, at its lowest end.
    pub(super) fn take(&mut self, len: u64) -> Option<u64> {
        let (whole, offset) = *self.by_len.range((len, 0)..).next()?;
        self.remove(offset, whole);
        if whole > len {
            self.insert(offset + len, whole - len);
        }
        self.used += len;
        Some(offset)
    }

    /// Gives an extent back.
    pub(super) fn give(&mut self, mut offset: u64, mut len: u64) {
        self.used = self.used.saturating_sub(len);
        if let Some((&before, &before_len)) = self.by_offset.range(..offset).next_back()
            && before + before_len == offset
        {
            self.remove(before, before_len);
            (offset, len) = (before, before_len + len);
        }
        if let Some(&after_len) = self.by_offset.get(&(offset + len)) {
            self.remove(offset + len, after_len);
            len += after_len;
        }
        self.insert(offset, len);
    }

    /// Bytes taken.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    fn insert(&mut self, offset: u64, len: u64) {
        self.by_offset.insert(offset, len);
        self.by_len.insert((len, offset));
    }

    fn remove(&mut self, offset: u64, len: u64) {
        self.by_offset.remove(&offset);
        self.by_len.remove(&(len, offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_neighbours_become_one() {
        let mut extents = Extents::new(100);
        let taken: Vec<u64> = (0..10).map(|_| extents.take(10).expect("room for ten")).collect();
        assert_eq!(extents.take(1), None);
        taken.iter().step_by(2).for_each(|offset| extents.give(*offset, 10));
        assert_eq!((extents.used(), extents.take(20)), (50, None));
        taken.iter().skip(1).step_by(2).for_each(|offset| extents.give(*offset, 10));
        assert_eq!((extents.used(), extents.take(100)), (0, Some(0)));
    }

    #[test]
    fn the_smallest_extent_that_fits_is_taken() {
        let mut extents = Extents::new(100);
        let (a, _b, c, _d) = (extents.take(30), extents.take(1), extents.take(10), extents.take(1));
        extents.give(a.expect("taken"), 30);
        extents.give(c.expect("taken"), 10);
        assert_eq!(extents.take(10), c);
    }
}
