//! The memory balloon: its configuration, its changes at run time, and the statistics it reports.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The body of `PUT /balloon`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BalloonConfig {
    /// How much memory the balloon takes from the guest, in MiB.
    pub amount_mib: u32,
    /// Whether the guest may take memory back instead of killing a process.
    pub deflate_on_oom: bool,
    /// How often the guest reports statistics, in seconds; 0 means never.
    #[serde(default)]
    pub stats_polling_interval_s: u16,
    /// Whether the host asks for hints of free pages. Not served yet.
    #[serde(default)]
    pub free_page_hinting: bool,
    /// Whether the guest reports free pages on its own.
    #[serde(default)]
    pub free_page_reporting: bool,
}

impl BalloonConfig {
    /// Checks the balloon against the guest's memory.
    ///
    /// # Errors
    /// See the variants of [`BalloonConfigError`].
    pub fn check(&self, mem_size_mib: usize) -> Result<(), BalloonConfigError> {
        if self.free_page_hinting {
            return Err(BalloonConfigError::HintingUnsupported);
        }
        check_amount(self.amount_mib, mem_size_mib)
    }
}

fn check_amount(amount_mib: u32, mem_size_mib: usize) -> Result<(), BalloonConfigError> {
    match usize::try_from(amount_mib) {
        Ok(amount) if amount <= mem_size_mib => Ok(()),
        _ => Err(BalloonConfigError::TooManyPagesRequested),
    }
}

/// The body of `PATCH /balloon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BalloonUpdate {
    /// The new size, in MiB.
    pub amount_mib: u32,
}

/// The body of `PATCH /balloon/statistics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BalloonStatsUpdate {
    /// The new interval in seconds. Statistics cannot be turned on or off while the guest runs.
    pub stats_polling_interval_s: u16,
}

/// The answer to `GET /balloon/statistics`: sizes of the device, then what the guest said (virtio 1.2, 5.5.6.3), where
/// it said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BalloonStats {
    /// The size that was asked for, in pages of 4 KiB.
    pub target_pages: u32,
    /// The size that the guest has given, in pages of 4 KiB.
    pub actual_pages: u32,
    /// The size that was asked for, in MiB.
    pub target_mib: u32,
    /// The size that the guest has given, in MiB.
    pub actual_mib: u32,
    /// Bytes swapped in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_in: Option<u64>,
    /// Bytes swapped out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_out: Option<u64>,
    /// Page faults that needed a disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major_faults: Option<u64>,
    /// Page faults that needed none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor_faults: Option<u64>,
    /// Bytes not used for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_memory: Option<u64>,
    /// Bytes in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_memory: Option<u64>,
    /// Bytes that new programs can have without swapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_memory: Option<u64>,
    /// Bytes of caches that can be dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_caches: Option<u64>,
    /// Huge pages handed out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hugetlb_allocations: Option<u64>,
    /// Huge pages that could not be handed out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hugetlb_failures: Option<u64>,
    /// Processes killed for lack of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kill: Option<u64>,
    /// Allocations that had to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alloc_stall: Option<u64>,
    /// Memory scanned in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub async_scan: Option<u64>,
    /// Memory scanned by who needed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_scan: Option<u64>,
    /// Memory reclaimed in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub async_reclaim: Option<u64>,
    /// Memory reclaimed by who needed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_reclaim: Option<u64>,
}

/// Why a balloon's configuration is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BalloonConfigError {
    /// There is no balloon.
    #[error("No balloon device found.")]
    DeviceNotFound,
    /// The balloon is larger than the guest.
    #[error("Amount of pages requested is too large.")]
    TooManyPagesRequested,
    /// Ours: hints of free pages are not served.
    #[error("Error creating the balloon device: free_page_hinting is not supported; use free_page_reporting.")]
    HintingUnsupported,
}
