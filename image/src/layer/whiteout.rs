//! OCI whiteouts (image-spec, layer.md): deletions written as names.

use super::Refusal;

const PREFIX: &[u8] = b".wh.";
const RESERVED_PREFIX: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What the last name of an entry's path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// An ordinary file.
    Plain(&'a [u8]),
    /// Hide that name of the layers below.
    Whiteout(&'a [u8]),
    /// Hide all that the layers below have in this directory.
    Opaque,
    /// aufs's own bookkeeping (`.wh..wh.plnk` and others): of no meaning here.
    Ignored,
}

impl<'a> Name<'a> {
    /// `depth` is the number of directories above the name.
    pub(super) fn classify(name: &'a [u8], depth: usize) -> Result<Self, Refusal> {
        match name.strip_prefix(PREFIX) {
            None => Ok(Self::Plain(name)),
            // An opaque root hides every layer below: overlayfs would not honour it there.
            Some(_) if name == OPAQUE && depth == 0 => Err(Refusal::WhiteoutOfRoot),
            Some(_) if name == OPAQUE => Ok(Self::Opaque),
            Some(_) if name.starts_with(RESERVED_PREFIX) => Ok(Self::Ignored),
            Some(b"" | b".") if depth == 0 => Err(Refusal::WhiteoutOfRoot),
            Some(b"" | b"." | b"..") => Err(Refusal::WhiteoutName),
            Some(hidden) => Ok(Self::Whiteout(hidden)),
        }
    }
}

/// Whether a directory in a path bears a whiteout's name.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

/// Whether it belongs to aufs's bookkeeping.
pub(super) fn is_ignored(name: &[u8]) -> bool {
    name.starts_with(RESERVED_PREFIX)
}
