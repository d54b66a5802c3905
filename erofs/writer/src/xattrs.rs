//! Xattr areas, and the table of attributes that several inodes share.

use std::collections::HashMap;

use stockade_erofs::format::{XATTR_HEADER_BYTES, XATTR_ID_BYTES, XATTR_SHARED_MAX, XattrHeader, XattrPrefix};

use crate::{Xattrs, metadata};

type Attribute<'a> = (&'a [u8], &'a [u8]);

/// Attributes of more than one inode, stored once.
pub(crate) struct Shared<'a> {
    ids: HashMap<Attribute<'a>, u32>,
    bytes: Vec<u8>,
}

impl<'a> Shared<'a> {
    /// Collects them in the order of their first inode.
    pub(crate) fn collect(all: impl Iterator<Item = &'a Xattrs> + Clone) -> Self {
        let mut uses: HashMap<Attribute<'a>, u32> = HashMap::new();
        for attribute in all.clone().flat_map(Xattrs::iter) {
            *uses.entry(attribute).or_default() += 1;
        }
        let mut shared = Self { ids: HashMap::new(), bytes: Vec::new() };
        for attribute in all.flat_map(Xattrs::iter).filter(|attribute| uses[attribute] > 1) {
            shared.add(attribute);
        }
        shared
    }

    fn add(&mut self, attribute: Attribute<'a>) {
        // An identifier counts four-byte units; what it cannot count stays with its inodes.
        let Ok(id) = u32::try_from(self.bytes.len() / XATTR_ID_BYTES) else { return };
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.ids.entry(attribute) {
            vacant.insert(id);
            encode(&mut self.bytes, attribute);
        }
    }

    /// The table.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Size of an inode's area.
    pub(crate) fn area_bytes(&self, xattrs: &Xattrs) -> usize {
        if xattrs.is_empty() {
            return 0;
        }
        let (ids, own) = self.split(xattrs);
        let own: usize = own.iter().map(|&attribute| entry(attribute).total_bytes()).sum();
        XATTR_HEADER_BYTES + ids.len() * XATTR_ID_BYTES + own
    }

    /// An inode's area.
    pub(crate) fn area(&self, xattrs: &Xattrs) -> Vec<u8> {
        if xattrs.is_empty() {
            return Vec::new();
        }
        let (ids, own) = self.split(xattrs);
        let shared = u8::try_from(ids.len()).expect("split() keeps to the limit");
        let mut area = XattrHeader { shared }.encode().to_vec();
        ids.iter().for_each(|id| area.extend_from_slice(&id.to_le_bytes()));
        own.iter().for_each(|&attribute| encode(&mut area, attribute));
        area
    }

    fn split<'x>(&self, xattrs: &'x Xattrs) -> (Vec<u32>, Vec<Attribute<'x>>) {
        let (mut ids, mut own) = (Vec::new(), Vec::new());
        for attribute in xattrs.iter() {
            match self.ids.get(&attribute) {
                Some(&id) if ids.len() < XATTR_SHARED_MAX => ids.push(id),
                _ => own.push(attribute),
            }
        }
        (ids, own)
    }
}

fn entry((name, value): Attribute<'_>) -> stockade_erofs::format::XattrEntry {
    metadata::entry(name, value).expect("Xattrs::set() has checked it")
}

fn encode(out: &mut Vec<u8>, attribute: Attribute<'_>) {
    let (_, rest) = XattrPrefix::split(attribute.0).expect("Xattrs::set() has checked it");
    out.extend_from_slice(&entry(attribute).encode());
    out.extend_from_slice(rest);
    out.extend_from_slice(attribute.1);
    out.resize(out.len().next_multiple_of(XATTR_ID_BYTES), 0);
}
