//! What of a range of addresses is in memory (proc_pid_smaps(5)).

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

impl RangeUsage {
    /// Adds what falls on `len` bytes of another range, if all of it is used alike; whole KiB.
    pub fn add_share(&mut self, other: &RangeUsage, len: u64) {
        let whole = (other.end - other.start).max(1);
        let share = |bytes: u64| if len >= whole { bytes } else { (bytes * len / whole) & !0x3ff };
        self.resident += share(other.resident);
        self.proportional += share(other.proportional);
        self.shared_clean += share(other.shared_clean);
        self.shared_dirty += share(other.shared_dirty);
        self.private_clean += share(other.private_clean);
        self.private_dirty += share(other.private_dirty);
        self.referenced += share(other.referenced);
        self.anonymous += share(other.anonymous);
        self.huge += share(other.huge);
    }
}
