//! Copies from and to applications. Most are small, and what the kernel knows of their address makes them cheap: some
//! need not ask the host at all ([`super::fixed`]), and for others it need not look at permissions again.

use super::fixed::Fixed;
use super::{Memory, Object, PAGE, State, VmaFlags};
use crate::platform::Protection;

/// How bytes are reached.
enum Way {
    /// A file has them too, from this offset on.
    Fixed(Fixed, u64),
    /// One mapping has them all, and may be used so.
    Mapped,
    /// The host will say.
    Unknown,
}

impl Memory {
    /// Copies from ranges (address and length), one after the other, and says how many bytes came: all, or those before
    /// the first that cannot be read.
    pub(crate) fn copy_in(&self, ranges: &[(u64, usize)], buffer: &mut [u8]) -> usize {
        match (ranges, self.way(ranges, Protection::READ)) {
            ([(_, len)], Way::Fixed(fixed, position)) if fixed.read(position, &mut buffer[..*len]) => *len,
            ([(address, len)], Way::Mapped) => self.space.read_mapped(*address, &mut buffer[..*len]),
            _ => self.space.read_ranges(ranges, buffer),
        }
    }

    /// Copies to ranges, one after the other, and says how many bytes went: all, or those before the first that cannot
    /// be written.
    pub(crate) fn copy_out(&self, ranges: &[(u64, usize)], bytes: &[u8]) -> usize {
        match (ranges, self.way(ranges, Protection::WRITE)) {
            ([(address, len)], Way::Mapped) => self.space.write_mapped(*address, &bytes[..*len]),
            _ => self.space.write_ranges(ranges, bytes),
        }
    }

    /// Whether a copy of the space can surely write there: of files, pages may be missing.
    pub(crate) fn copies_as_writable(&self, address: u64, len: u64) -> bool {
        let state = self.state.lock();
        let Some((_, vma)) = state.vmas.find(address) else { return false };
        let is_whole = address.checked_add(len).is_some_and(|end| end <= vma.end);
        let is_copied = vma.object.is_anonymous() && !vma.flags.contains(VmaFlags::NOT_FORKED);
        is_whole && is_copied && vma.protection.contains(Protection::WRITE)
    }

    /// Where there is much to copy, how it is reached does not count.
    fn way(&self, ranges: &[(u64, usize)], access: Protection) -> Way {
        match ranges {
            [(address, len)] if *len as u64 <= PAGE => self.state.lock().way(*address, *len, access),
            _ => Way::Unknown,
        }
    }
}

impl State {
    fn way(&self, address: u64, len: usize, access: Protection) -> Way {
        let Some((start, vma)) = self.vmas.find(address) else { return Way::Unknown };
        let is_whole = address.checked_add(len as u64).is_some_and(|end| end <= vma.end);
        if !is_whole || !vma.protection.contains(access) || vma.flags.contains(VmaFlags::HOLE) {
            return Way::Unknown;
        }
        match &vma.object {
            Object::Source { offset, fixed: Some(fixed), .. } if access == Protection::READ => {
                Way::Fixed(fixed.clone(), offset + (address - start))
            }
            _ => Way::Mapped,
        }
    }
}
