//! Compression of layers, told by their first bytes, because media types lie.

use std::io::{self, BufRead, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
const BZIP2: &[u8] = b"BZh";
/// zstd's skippable frames begin with 0x184d2a50 to 0x184d2a5f, little-endian.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];
const MAGIC_LEN_MAX: usize = 6;

/// A compression, by its magic number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    /// Not allowed in layers; a root file system may be imported from it.
    Xz,
    /// As xz.
    Bzip2,
}

impl Compression {
    /// Looks at the first bytes of a file.
    pub fn of(head: &[u8]) -> Self {
        let skippable = head.get(1..4) == Some(ZSTD_SKIPPABLE) && head[0] & 0xf0 == 0x50;
        match head {
            _ if head.starts_with(GZIP) => Self::Gzip,
            _ if head.starts_with(ZSTD) || skippable => Self::Zstd,
            _ if head.starts_with(XZ) => Self::Xz,
            _ if head.starts_with(BZIP2) => Self::Bzip2,
            _ => Self::None,
        }
    }

    /// What OCI's layer media type ends in.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => "+gzip",
            Self::Zstd => "+zstd",
            _ => "",
        }
    }
}

/// Undoes gzip (any number of members), zstd (any number of frames) or nothing.
pub fn decoder(mut compressed: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(MAGIC_LEN_MAX);
    compressed.by_ref().take(MAGIC_LEN_MAX as u64).read_to_end(&mut head)?;
    let compression = Compression::of(&head);
    let whole = Cursor::new(head).chain(compressed);
    Ok(match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(whole)?),
        Compression::Xz | Compression::Bzip2 => {
            let text = "it is compressed by xz or bzip2, which image layers must not be";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decoder(Cursor::new(bytes))?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn members_and_frames_follow_each_other() {
        assert_eq!(decoded([gzip(b"one "), gzip(b"two")].concat()).unwrap(), b"one two");
        let frame = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9][..], &frame(b"b")].concat();
        assert_eq!(decoded([frame(b"a"), skippable.clone()].concat()).unwrap(), b"ab");
        assert_eq!(decoded(skippable).unwrap(), b"b");
        assert_eq!(decoded(b"plain".to_vec()).unwrap(), b"plain");
        assert_eq!(decoded(Vec::new()).unwrap(), b"");
    }

    #[test]
    fn broken_streams_are_errors() {
        let mut cut = gzip(&[7; 10_000]);
        cut.truncate(cut.len() - 9);
        assert!(decoded(cut).is_err());
        let mut flipped = gzip(b"text");
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(decoded(flipped).is_err());
        assert!(decoded([gzip(b"x"), b"junk".to_vec()].concat()).is_err());
        assert!(decoded(b"\xfd7zXZ\0...".to_vec()).is_err());
        assert!(decoded(ZSTD.to_vec()).is_err());
    }
}
