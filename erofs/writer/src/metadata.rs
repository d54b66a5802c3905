//! What an inode carries besides its data.

use std::collections::BTreeMap;

use stockade_erofs::format::{NAME_BYTES_MAX, XattrEntry, XattrPrefix, encode_rdev, xattr_area_count};

use crate::XattrError;

/// Nanoseconds since the epoch, in two parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    secs: i64,
    nanos: u32,
}

impl Timestamp {
    /// A time; `None` if `nanos` makes up a second or more.
    pub fn new(secs: i64, nanos: u32) -> Option<Self> {
        (nanos < 1_000_000_000).then_some(Self { secs, nanos })
    }

    /// Whole seconds, rounded down.
    pub fn secs(self) -> i64 {
        self.secs
    }

    /// Nanoseconds above [`Self::secs`].
    pub fn nanos(self) -> u32 {
        self.nanos
    }
}

/// Owner, permissions, time and xattrs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits with setuid, setgid and sticky; other bits are ignored.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

/// A device number that fits Linux's 12 and 20 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device(u32);

impl Device {
    /// Device 0:0, which as a character device is overlayfs's whiteout.
    pub const WHITEOUT: Self = Self(0);

    /// A device number; `None` if it does not fit.
    pub fn new(major: u32, minor: u32) -> Option<Self> {
        encode_rdev(major, minor).map(Self)
    }

    pub(crate) fn packed(self) -> u32 {
        self.0
    }
}

/// The target of a symbolic link: 1 to 4095 bytes without NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymlinkTarget(Box<[u8]>);

impl SymlinkTarget {
    /// A target; `None` if Linux could not hold it.
    pub fn new(target: &[u8]) -> Option<Self> {
        let valid = (1..4096).contains(&target.len()) && !target.contains(&0);
        valid.then(|| Self(target.into()))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A file's extended attributes, by full name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xattrs {
    values: BTreeMap<Box<[u8]>, Box<[u8]>>,
    /// Size of all entries.
    bytes: usize,
}

impl Xattrs {
    /// Sets an attribute; the last value counts.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), XattrError> {
        let entry = entry(name, value)?;
        let bytes = self.bytes - self.size_of(name) + entry.total_bytes();
        xattr_area_count(stockade_erofs::format::XATTR_HEADER_BYTES + bytes).ok_or(XattrError::Total)?;
        self.values.insert(name.into(), value.into());
        self.bytes = bytes;
        Ok(())
    }

    /// The value of an attribute.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name).map(AsRef::as_ref)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Size on disk of all entries.
    pub fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    fn size_of(&self, name: &[u8]) -> usize {
        self.get(name).and_then(|value| entry(name, value).ok()).map_or(0, XattrEntry::total_bytes)
    }
}

/// The entry that stores an attribute.
pub(crate) fn entry(name: &[u8], value: &[u8]) -> Result<XattrEntry, XattrError> {
    let (prefix, rest) = XattrPrefix::split(name).ok_or(XattrError::Prefix)?;
    Ok(XattrEntry {
        // Linux's limit is on the full name.
        name_bytes: u8::try_from(rest.len()).ok().filter(|_| name.len() <= NAME_BYTES_MAX).ok_or(XattrError::Name)?,
        prefix: prefix as u8,
        value_bytes: u16::try_from(value.len()).map_err(|_| XattrError::Value)?,
    })
}
