//! Parses tar: v7, ustar, pax, GNU (long names, sparse files), star. Where the dialects leave a choice it does as Go's
//! `archive/tar`, through which nearly every image was packed.

mod archive;
mod header;
mod number;
mod pax;
mod sparse;

pub(super) use archive::{Archive, Entry, EntryKind};
pub(super) use sparse::Segment;
