//! The names of a directory, from all layers that it has.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::is_whiteout;
use super::lookup::{lookup_in, upper_number};
use super::node::Node;
use crate::Errno;
use crate::vfs::{DirEntry, Emit, FileKind, Inode};

/// Names with their inodes' numbers and types. All text lies in one buffer: directories can be large.
#[derive(Debug, Default)]
pub(super) struct Listing {
    text: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    end: usize,
    number: u64,
    kind: FileKind,
}

impl Listing {
    fn push(&mut self, name: &[u8], number: u64, kind: FileKind) {
        let start = self.text.len();
        self.text.extend_from_slice(name);
        self.entries.push(Entry { start, end: self.text.len(), number, kind });
    }

    /// Whether it has no names.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names from a place on, each with its inode's number and type.
    pub fn from(&self, place: usize) -> impl Iterator<Item = (&[u8], u64, FileKind)> {
        let entries = self.entries.get(place..).unwrap_or_default().iter();
        entries.map(|entry| (&self.text[entry.start..entry.end], entry.number, entry.kind))
    }

    fn sort(&mut self) {
        let text = &self.text;
        self.entries.sort_unstable_by_key(|entry| &text[entry.start..entry.end]);
    }
}

/// The names that one layer has in a directory.
pub(super) fn list(directory: &Arc<dyn Inode>) -> Result<Listing, Errno> {
    let mut names = Listing::default();
    directory.clone().layer()?.read_dir(0, &mut |entry: &DirEntry<'_>| {
        names.push(entry.name, entry.ino, entry.kind);
        Emit::More
    })?;
    Ok(names)
}

impl Node {
    /// All names of a directory, sorted.
    pub(super) fn all_names(&self) -> Result<Listing, Errno> {
        let parts = self.parts();
        let mut names = Listing::default();
        // What hides names of the layers that are still to come.
        let mut above = BTreeSet::new();
        let mut below = parts.lowers.len();
        if let Some(upper) = &parts.upper {
            for (name, _, _) in list(upper)?.from(0) {
                let Some(inode) = lookup_in(upper, name)? else { continue };
                if below > 0 {
                    above.insert(name.to_vec());
                }
                if !is_whiteout(&inode)? {
                    names.push(name, upper_number(&inode), inode.kind());
                }
            }
        }
        for lower in &parts.lowers {
            below -= 1;
            for (name, ino, kind) in list(&lower.inode)?.from(0) {
                if above.contains(name) {
                    continue;
                }
                let hides = kind == FileKind::Character
                    && lookup_in(&lower.inode, name)?.is_some_and(|inode| is_whiteout(&inode).unwrap_or(false));
                if below > 0 {
                    above.insert(name.to_vec());
                }
                if !hides {
                    names.push(name, lower.layer << 48 | ino, kind);
                }
            }
        }
        names.sort();
        Ok(names)
    }
}
