//! How much one layer may ask for.

use serde::{Deserialize, Serialize};

/// Limits on one layer; the table `[image.limits.layer]` of the config file. A layer beyond any of them is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most entries, parent directories that the tar leaves out included.
    pub entries_max: u64,
    /// Most bytes of the uncompressed tar stream, and of all files together (holes count).
    pub unpacked_bytes_max: u64,
    /// Most bytes of one file (holes count).
    pub file_bytes_max: u64,
    /// Longest path.
    pub path_bytes_max: usize,
    /// Deepest path, in components.
    pub path_depth_max: usize,
    /// Most bytes of xattrs of one file.
    pub xattr_bytes_max: usize,
    /// Most memory for names, link targets and xattrs.
    pub metadata_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries_max: 4_000_000,
            unpacked_bytes_max: 128 << 30,
            file_bytes_max: 128 << 30,
            path_bytes_max: 4095,
            path_depth_max: 255,
            xattr_bytes_max: 128 << 10,
            metadata_bytes_max: 1 << 30,
        }
    }
}
