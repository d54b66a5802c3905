//! From a tar stream, or a directory, to an EROFS image.

use std::{
    fmt::Write as _,
    io::{Read, Seek, Write},
    path::Path,
    thread,
};

use super::{
    ArchiveError, ConvertError, Limits, apply::Layer, archive::pipe, archive_directory, stream::Stream, tar::Archive,
};

/// Part of a blob's key in the store: rises whenever the same tar would give other bytes.
pub const CONVERTER_VERSION: u32 = 1;

/// A converted layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// SHA-256 of the tar stream, as `sha256:` and hexadecimal digits.
    pub diff_id: String,
    /// Length of the tar stream.
    pub tar_bytes: u64,
    /// Size of the image.
    pub blob_bytes: u64,
    /// Size of all files, holes included.
    pub unpacked_bytes: u64,
    /// Entries, with the directories that the tar left out.
    pub entries: u64,
    /// Xattrs left out: overlayfs's own, and those of namespaces that Linux has not.
    pub dropped_xattrs: u64,
}

/// Reads `tar` to its true end and writes its content to `blob`, which must be empty, as an EROFS image. Nothing is
/// synchronised to disk; on an error `blob` holds no valid image.
pub fn convert(tar: impl Read, blob: impl Write + Seek, limits: &Limits) -> Result<Converted, ConvertError> {
    let mut archive = Archive::new(Stream::new(tar, limits.unpacked_bytes_max).map_err(ConvertError::Thread)?);
    let mut layer = Layer::new(blob, limits)?;
    while let Some(entry) = archive.next()? {
        layer.apply(&entry, &mut archive)?;
    }
    let (digest, tar_bytes) = archive.finish()?;
    let counts = layer.counts();
    Ok(Converted {
        diff_id: diff_id(&digest),
        tar_bytes,
        blob_bytes: layer.finish(uuid(&digest))?.bytes,
        unpacked_bytes: counts.unpacked_bytes,
        entries: counts.entries,
        dropped_xattrs: counts.dropped_xattrs,
    })
}

/// Converts a directory of the host: archives it ([`archive_directory`]) and converts that tar, whose digest is the
/// diff ID.
pub fn convert_directory(
    directory: &Path,
    blob: impl Write + Seek,
    limits: &Limits,
) -> Result<Converted, ConvertError> {
    let (reader, writer) = pipe();
    thread::scope(|scope| {
        let archiver = scope.spawn(move || archive_directory(directory, writer));
        let converted = convert(reader, blob, limits);
        let archived = archiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (archived, converted) {
            // The converter gave up and dropped its end: its error is the cause.
            (Err(ArchiveError::Output(_)), Err(error)) => Err(error),
            (Err(error), _) => Err(error.into()),
            (Ok(()), converted) => converted,
        }
    })
}

fn diff_id(digest: &[u8; 32]) -> String {
    digest.iter().fold(String::from("sha256:"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A UUID of the free form (version 8, RFC 9562): overlayfs wants layers to differ in it.
fn uuid(digest: &[u8; 32]) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest[..16]);
    uuid[6] = (uuid[6] & 0x0f) | 0x80;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    uuid
}
