//! What of a range of addresses is in memory (proc_pid_smaps(5)).

use core::ops::AddAssign;

/// Counts of one range, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of proc_pid_smaps(5)")]
pub struct RangeUsage {
    pub start: u64,
    pub end: u64,
    pub resident: u64,
    /// Shared pages divided by how many share them.
    pub proportional: u64,
    pub shared_clean: u64,
    pub shared_dirty: u64,
    pub private_clean: u64,
    pub private_dirty: u64,
    pub referenced: u64,
    pub anonymous: u64,
    /// In huge pages.
    pub huge: u64,
}

/// The counts of both; the range stays.
impl AddAssign for RangeUsage {
    fn add_assign(&mut self, other: Self) {
        self.resident += other.resident;
        self.proportional += other.proportional;
        self.shared_clean += other.shared_clean;
        self.shared_dirty += other.shared_dirty;
        self.private_clean += other.private_clean;
        self.private_dirty += other.private_dirty;
        self.referenced += other.referenced;
        self.anonymous += other.anonymous;
        self.huge += other.huge;
    }
}
