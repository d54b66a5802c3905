//! Small extents that were freed: the next of their length is taken from here. Each program that starts and ends takes
//! and frees some pages; to zero one is cheaper than to give it back to the host, get another and map it.

use std::collections::BTreeMap;

/// The longest extent that is kept, and the bytes of all.
const EXTENT_BYTES_MAX: u64 = 16 << 10;
const BYTES_MAX: u64 = 128 << 10;

/// Extents, by their length. What they hold is not zero.
#[derive(Debug, Default)]
pub(super) struct Kept {
    by_len: BTreeMap<u64, Vec<u64>>,
    bytes: u64,
}

impl Kept {
    /// Keeps an extent; false when it is too long or there are enough.
    pub(super) fn keep(&mut self, offset: u64, len: u64) -> bool {
        if len > EXTENT_BYTES_MAX || self.bytes + len > BYTES_MAX {
            return false;
        }
        self.by_len.entry(len).or_default().push(offset);
        self.bytes += len;
        true
    }

    /// One of exactly this length.
    pub(super) fn take(&mut self, len: u64) -> Option<u64> {
        let offset = self.by_len.get_mut(&len)?.pop()?;
        self.bytes -= len;
        Some(offset)
    }

    /// All of them, with their lengths.
    pub(super) fn take_all(&mut self) -> Vec<(u64, u64)> {
        self.bytes = 0;
        let all = std::mem::take(&mut self.by_len);
        all.into_iter().flat_map(|(len, offsets)| offsets.into_iter().map(move |offset| (offset, len))).collect()
    }

    /// Bytes of all.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_small_extents_are_kept() {
        let mut kept = Kept::default();
        assert!(!kept.keep(0, EXTENT_BYTES_MAX + 4096));
        let count = BYTES_MAX / 4096;
        assert!((0..count).all(|page| kept.keep(page * 4096, 4096)) && !kept.keep(count * 4096, 4096));
        assert_eq!(
            (kept.take(8192), kept.take(4096), kept.bytes()),
            (None, Some((count - 1) * 4096), BYTES_MAX - 4096)
        );
        assert_eq!(u64::try_from(kept.take_all().len()), Ok(count - 1));
        assert_eq!((kept.take(4096), kept.bytes()), (None, 0));
    }
}
