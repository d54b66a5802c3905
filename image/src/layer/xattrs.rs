//! Which xattrs of a tar reach the image.

use stockade_erofs_writer::{XattrError, Xattrs};

use super::{Limits, Refusal, error::text, to_u64};

/// overlayfs's mark on a directory that hides what lies below it.
pub(super) const OPAQUE_NAME: &[u8] = b"trusted.overlay.opaque";
/// Its value.
pub(super) const OPAQUE_VALUE: &[u8] = b"y";

/// overlayfs acts on these: from an image they could redirect a directory or the data of a file to another one below.
const OVERLAY_PREFIXES: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// The xattrs of an entry that are kept, and how many were dropped: overlayfs's own, and those in namespaces that
/// Linux has not (other tools ignore its EOPNOTSUPP there).
pub(super) fn keep(all: &[(Vec<u8>, Vec<u8>)], limits: &Limits) -> Result<(Xattrs, u64), Refusal> {
    let (mut kept, mut dropped) = (Xattrs::default(), 0);
    for (name, value) in all {
        if OVERLAY_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            dropped += 1;
            continue;
        }
        match kept.set(name, value) {
            Ok(()) => {}
            Err(XattrError::Prefix) => dropped += 1,
            Err(source) => return Err(Refusal::Xattr { name: text(name), source }),
        }
    }
    match kept.size_bytes() > limits.xattr_bytes_max {
        true => Err(Refusal::Limit { limit: "xattr_bytes_max", max: to_u64(limits.xattr_bytes_max) }),
        false => Ok((kept, dropped)),
    }
}
