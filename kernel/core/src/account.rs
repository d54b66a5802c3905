//! What an application makes the kernel keep: inodes, open files, locks, watches, messages, and all files in memory.
//!
//! It lies in the monitor's memory and in its pool, where the host charges nobody else for it, and who fills that would
//! take the whole sandbox along. So it is held to the sandbox's limit here, all of it together: as on Linux, where a
//! control group's limit counts what the kernel keeps for it. Sizes are what objects take with all that hangs on them,
//! rounded up.
//!
//! Files in memory leave a reserve to the rest: who has filled a file system can still run the program that removes
//! something from it.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::Errno;

/// How far objects may go beyond the limit when files have reached it: a part of the monitor's own room.
const RESERVE_BYTES: u64 = 16 << 20;

/// All memory of this kind.
pub static MEMORY: Budget = Budget::new();

/// Memory that is held to a limit.
#[derive(Debug)]
pub struct Budget {
    used_bytes: AtomicU64,
    limit_bytes: AtomicU64,
}

impl Budget {
    const fn new() -> Self {
        Self { used_bytes: AtomicU64::new(0), limit_bytes: AtomicU64::new(u64::MAX) }
    }

    /// Lets at most so much be taken from now on; what was taken stays.
    pub fn set_limit(&self, bytes: u64) {
        self.limit_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Takes some for files: `ENOMEM` at the limit.
    pub fn take(&self, bytes: u64) -> Result<(), Errno> {
        self.take_within(bytes, self.limit_bytes.load(Ordering::Relaxed))
    }

    /// Takes some for an object: `ENOMEM` at the end of the reserve.
    fn take_reserve(&self, bytes: u64) -> Result<(), Errno> {
        self.take_within(bytes, self.limit_bytes.load(Ordering::Relaxed).saturating_add(RESERVE_BYTES))
    }

    fn take_within(&self, bytes: u64, most: u64) -> Result<(), Errno> {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= most);
        self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map(drop).map_err(|_| Errno::ENOMEM)
    }

    /// Gives some back.
    pub fn give(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether an object can still be had.
    pub fn has_room(&self) -> bool {
        let most = self.limit_bytes.load(Ordering::Relaxed).saturating_add(RESERVE_BYTES);
        self.used_bytes.load(Ordering::Relaxed) < most
    }
}

/// What one object took of [`MEMORY`]; it is given back with the object.
#[derive(Debug, Default)]
pub struct Charge(u64);

impl Charge {
    /// For an object that takes so much: `ENOMEM` when there is not enough.
    pub fn new(bytes: usize) -> Result<Self, Errno> {
        let mut charge = Self::default();
        charge.grow(bytes)?;
        Ok(charge)
    }

    /// The object takes more.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Errno> {
        MEMORY.take_reserve(bytes as u64)?;
        self.0 += bytes as u64;
        Ok(())
    }

    /// The object takes less.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = self.0.min(bytes as u64);
        self.0 -= bytes;
        MEMORY.give(bytes);
    }

    /// The object takes so much in all, and cannot be refused it: it was asked for room before, or gives some back.
    pub fn set(&mut self, bytes: usize) {
        *self = Self(0);
        MEMORY.used_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.0 = bytes as u64;
    }
}

impl Clone for Charge {
    /// For a copy of the object, which cannot be refused.
    fn clone(&self) -> Self {
        MEMORY.used_bytes.fetch_add(self.0, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        MEMORY.give(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let budget = Budget::new();
        budget.set_limit(100);
        assert_eq!(budget.take(60), Ok(()));
        assert_eq!(budget.take(41), Err(Errno::ENOMEM));
        assert_eq!(budget.take(40), Ok(()));
        budget.give(60);
        assert_eq!(budget.take(u64::MAX), Err(Errno::ENOMEM));
        assert_eq!(budget.take(60), Ok(()));
    }

    #[test]
    fn a_lower_limit_takes_nothing_away() {
        let budget = Budget::new();
        assert_eq!(budget.take(100), Ok(()));
        budget.set_limit(50);
        assert_eq!(budget.take(1), Err(Errno::ENOMEM));
        budget.give(60);
        assert_eq!(budget.take(10), Ok(()));
    }

    #[test]
    fn objects_have_a_reserve_when_files_have_taken_all() {
        let budget = Budget::new();
        budget.set_limit(100);
        assert_eq!(budget.take(100), Ok(()));
        assert_eq!(budget.take(1), Err(Errno::ENOMEM));
        assert!(budget.has_room());
        assert_eq!(budget.take_reserve(RESERVE_BYTES), Ok(()));
        assert_eq!(budget.take_reserve(1), Err(Errno::ENOMEM));
        assert!(!budget.has_room());
    }
}
