//! Extended attributes.

use alloc::{vec, vec::Vec};

use super::{Image, Inode, ReadError, Source};
use crate::format::{XATTR_ENTRY_BYTES, XATTR_HEADER_BYTES, XATTR_ID_BYTES, XattrEntry, XattrHeader, XattrPrefix};

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// The full name, such as `security.capability`.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// Iterates over an inode's xattrs: the shared ones, then its own. Ends after the first error; passes over prefixes
/// that the format does not number, as the kernel does.
#[derive(Debug)]
pub struct Xattrs<'a, S> {
    image: &'a Image<S>,
    nid: u64,
    shared: core::ops::Range<u64>,
    inline: core::ops::Range<u64>,
}

impl<S: Source> Image<S> {
    /// The xattrs of an inode.
    pub fn xattrs(&self, inode: &Inode) -> Result<Xattrs<'_, S>, ReadError> {
        let (nid, start, bytes) = (inode.nid, inode.xattrs_offset(), inode.xattrs_bytes());
        if bytes == 0 {
            return Ok(Xattrs { image: self, nid, shared: 0..0, inline: 0..0 });
        }
        let header = XattrHeader::decode(&self.array(nid, start)?);
        let shared = start + XATTR_HEADER_BYTES as u64;
        let inline = shared + u64::from(header.shared) * XATTR_ID_BYTES as u64;
        let end = start + bytes as u64;
        if inline > end {
            return Err(ReadError::Corrupt { nid, what: "its shared xattrs do not fit" });
        }
        Ok(Xattrs { image: self, nid, shared: shared..inline, inline: inline..end })
    }

    /// The value of one xattr.
    pub fn xattr(&self, inode: &Inode, name: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let found = self.xattrs(inode)?.find(|xattr| xattr.as_ref().map_or(true, |xattr| xattr.name == name));
        Ok(found.transpose()?.map(|xattr| xattr.value))
    }
}

impl<S: Source> Iterator for Xattrs<'_, S> {
    type Item = Result<Xattr, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.advance().transpose()? {
                Ok(None) => {}
                Ok(Some(xattr)) => return Some(Ok(xattr)),
                Err(error) => {
                    (self.shared, self.inline) = (0..0, 0..0);
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<S: Source> Xattrs<'_, S> {
    /// Outer `None` at the end, inner for an entry of an unknown prefix.
    fn advance(&mut self) -> Result<Option<Option<Xattr>>, ReadError> {
        if !self.shared.is_empty() {
            let id = u32::from_le_bytes(self.image.array(self.nid, self.shared.start)?);
            self.shared.start += XATTR_ID_BYTES as u64;
            let offset = self.image.xattr_offset(id);
            let entry = self.entry(offset)?;
            return self.body(offset, entry).map(Some);
        }
        if self.inline.is_empty() {
            return Ok(None);
        }
        let offset = self.inline.start;
        let entry = self.entry(offset)?;
        let total = entry.total_bytes() as u64;
        if total > self.inline.end - offset {
            return Err(ReadError::Corrupt { nid: self.nid, what: "an xattr does not fit" });
        }
        self.inline.start += total;
        self.body(offset, entry).map(Some)
    }

    fn entry(&self, offset: u64) -> Result<XattrEntry, ReadError> {
        Ok(XattrEntry::decode(&self.image.array(self.nid, offset)?))
    }

    fn body(&self, offset: u64, entry: XattrEntry) -> Result<Option<Xattr>, ReadError> {
        let Some(prefix) = XattrPrefix::decode(entry.prefix) else { return Ok(None) };
        let name_bytes = usize::from(entry.name_bytes);
        let mut body = vec![0; name_bytes + usize::from(entry.value_bytes)];
        self.image.fill(self.nid, offset + XATTR_ENTRY_BYTES as u64, &mut body)?;
        let value = body.split_off(name_bytes);
        Ok(Some(Xattr { name: [prefix.text().as_bytes(), &body].concat(), value }))
    }
}
