//! Which address a mapping gets.

use core::ops::Range;

use super::{PAGE, Placement, State, page_down};
use crate::Errno;

/// What a large page spans.
const HUGE: u64 = 2 << 20;
/// Where MAP_32BIT maps, as on Linux (find_start_end() of arch/x86/kernel/sys_x86_64.c).
const LOW: Range<u64> = 0x4000_0000..0x8000_0000;

impl State {
    /// The start of a range of `len` bytes.
    pub fn place(&mut self, hint: u64, len: u64, placement: Placement) -> Result<u64, Errno> {
        if len > self.bounds.end - self.bounds.start {
            return Err(Errno::ENOMEM);
        }
        match placement {
            Placement::Fixed => self.place_fixed(hint, len),
            Placement::FixedNoReplace => self.place_unless_mapped(hint, len),
            Placement::Anywhere => self.hinted(hint, len).or_else(|| self.anywhere(len)).ok_or(Errno::ENOMEM),
            Placement::Low => self.hinted(hint, len).or_else(|| self.low(len)).ok_or(Errno::ENOMEM),
        }
    }

    fn place_fixed(&self, address: u64, len: u64) -> Result<u64, Errno> {
        let end = address.checked_add(len).filter(|end| *end <= self.bounds.end).ok_or(Errno::ENOMEM)?;
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        // Below vm.mmap_min_addr.
        if address < self.bounds.start {
            return Err(Errno::EPERM);
        }
        debug_assert!(end > address);
        Ok(address)
    }

    fn place_unless_mapped(&self, address: u64, len: u64) -> Result<u64, Errno> {
        let address = self.place_fixed(address, len)?;
        if self.vmas.is_free(address..address + len) { Ok(address) } else { Err(Errno::EEXIST) }
    }

    /// Where the application would like it, if that is free.
    fn hinted(&self, hint: u64, len: u64) -> Option<u64> {
        if hint == 0 {
            return None;
        }
        let start = page_down(hint).max(self.bounds.start);
        let range = start..start.checked_add(len).filter(|end| *end <= self.bounds.end)?;
        let settled = self.avoided().iter().all(|other| other.end <= range.start || range.end <= other.start);
        (settled && self.vmas.is_free(range)).then_some(start)
    }

    /// From the top down, and above the top when nothing is left below, as Linux does.
    fn anywhere(&mut self, len: u64) -> Option<u64> {
        let align = if len.is_multiple_of(HUGE) { HUGE } else { PAGE };
        let avoid = self.avoided();
        let below = self.bounds.start..self.top;
        self.vmas
            .highest_gap(len, align, &below, &avoid)
            .or_else(|| self.vmas.highest_gap(len, PAGE, &self.bounds, &avoid))
    }

    fn low(&mut self, len: u64) -> Option<u64> {
        let avoid = self.avoided();
        self.vmas.highest_gap(len, PAGE, &LOW, &avoid)
    }
}
