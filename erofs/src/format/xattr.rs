//! Extended attributes: an area behind the inode, and entries shared by several inodes elsewhere.

use super::{put, u16_at};

/// Size of the area's header.
pub const XATTR_HEADER_BYTES: usize = 12;
/// Size of an entry without name and value, and its alignment.
pub const XATTR_ENTRY_BYTES: usize = 4;
/// Size of the reference to a shared entry.
pub const XATTR_ID_BYTES: usize = 4;
/// Most shared entries of one inode.
pub const XATTR_SHARED_MAX: usize = 255;

const SHARED_COUNT_AT: usize = 4;

/// Size of the xattr area for an inode's `xattr_count`.
pub fn xattr_area_bytes(count: u16) -> usize {
    match count {
        0 => 0,
        count => XATTR_HEADER_BYTES + XATTR_ID_BYTES * (usize::from(count) - 1),
    }
}

/// The `xattr_count` for an area of that size, header included; `None` if it is too large.
pub fn xattr_area_count(bytes: usize) -> Option<u16> {
    match bytes.checked_sub(XATTR_HEADER_BYTES) {
        None => Some(0),
        Some(body) => u16::try_from(body.div_ceil(XATTR_ID_BYTES) + 1).ok(),
    }
}

/// The header of an inode's xattr area; `shared` references follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XattrHeader {
    /// Number of shared entries.
    pub shared: u8,
}

impl XattrHeader {
    /// Reads the record.
    pub fn decode(record: &[u8; XATTR_HEADER_BYTES]) -> Self {
        Self { shared: record[SHARED_COUNT_AT] }
    }

    /// The record as it lies on disk.
    pub fn encode(self) -> [u8; XATTR_HEADER_BYTES] {
        let mut record = [0; XATTR_HEADER_BYTES];
        record[SHARED_COUNT_AT] = self.shared;
        record
    }
}

/// The head of an entry; name and value follow it, then padding to four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XattrEntry {
    /// Length of the name without its prefix.
    pub name_bytes: u8,
    /// Number of the prefix.
    pub prefix: u8,
    /// Length of the value.
    pub value_bytes: u16,
}

impl XattrEntry {
    /// Reads the record.
    pub fn decode(record: &[u8; XATTR_ENTRY_BYTES]) -> Self {
        Self { name_bytes: record[0], prefix: record[1], value_bytes: u16_at(record, 2) }
    }

    /// The record as it lies on disk.
    pub fn encode(self) -> [u8; XATTR_ENTRY_BYTES] {
        let mut record = [self.name_bytes, self.prefix, 0, 0];
        put(&mut record, 2, self.value_bytes.to_le_bytes());
        record
    }

    /// Size with name, value and padding.
    pub fn total_bytes(self) -> usize {
        let unpadded = XATTR_ENTRY_BYTES + usize::from(self.name_bytes) + usize::from(self.value_bytes);
        unpadded.next_multiple_of(XATTR_ENTRY_BYTES)
    }
}

/// The name prefixes that the format numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum XattrPrefix {
    /// `user.`
    User = 1,
    /// `system.posix_acl_access`, a whole name.
    AclAccess = 2,
    /// `system.posix_acl_default`, a whole name.
    AclDefault = 3,
    /// `trusted.`
    Trusted = 4,
    /// `security.`
    Security = 6,
}

impl XattrPrefix {
    const ALL: [Self; 5] = [Self::User, Self::AclAccess, Self::AclDefault, Self::Trusted, Self::Security];

    /// The prefix for a number on disk.
    pub fn decode(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&prefix| prefix as u8 == byte)
    }

    /// The text.
    pub fn text(self) -> &'static str {
        match self {
            Self::User => "user.",
            Self::AclAccess => "system.posix_acl_access",
            Self::AclDefault => "system.posix_acl_default",
            Self::Trusted => "trusted.",
            Self::Security => "security.",
        }
    }

    /// Splits a full name; `None` if the format has no number for it.
    pub fn split(name: &[u8]) -> Option<(Self, &[u8])> {
        let (prefix, rest) =
            Self::ALL.into_iter().find_map(|prefix| Some((prefix, name.strip_prefix(prefix.text().as_bytes())?)))?;
        let whole = matches!(prefix, Self::AclAccess | Self::AclDefault);
        (whole == rest.is_empty()).then_some((prefix, rest))
    }
}
