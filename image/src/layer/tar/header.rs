//! The 512-byte header.

use super::{
    super::{TarError, stream::BLOCK_BYTES},
    number,
};

/// Header fields, undecoded where pax records may stand in for them.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: u8,
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    block: [u8; BLOCK_BYTES],
}

/// Which fields lie behind the first 257 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

impl Header {
    /// `None` for a block of zeros.
    pub(super) fn parse(block: [u8; BLOCK_BYTES]) -> Result<Option<Self>, TarError> {
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        check_checksum(&block)?;
        Ok(Some(Self { kind: block[156], path: path(&block), link: until_nul(&block[157..257]).to_vec(), block }))
    }

    pub(super) fn size(&self) -> Result<u64, TarError> {
        unsigned(&self.block[124..136], "size")
    }

    pub(super) fn permissions(&self) -> Result<u16, TarError> {
        let mode = number::field(&self.block[100..108]).ok_or(TarError::Number("mode"))?;
        u16::try_from(mode & 0o7777).map_err(|_| TarError::Number("mode"))
    }

    pub(super) fn uid(&self) -> Result<u32, TarError> {
        owner(&self.block[108..116], "uid")
    }

    pub(super) fn gid(&self) -> Result<u32, TarError> {
        owner(&self.block[116..124], "gid")
    }

    pub(super) fn mtime(&self) -> Result<i64, TarError> {
        number::field(&self.block[136..148]).ok_or(TarError::Number("mtime"))
    }

    pub(super) fn device(&self) -> Result<(i64, i64), TarError> {
        let number = |bytes| number::field(bytes).ok_or(TarError::Number("device"));
        Ok((number(&self.block[329..337])?, number(&self.block[337..345])?))
    }

    pub(super) fn block(&self) -> &[u8; BLOCK_BYTES] {
        &self.block
    }
}

/// An unsigned numeric field.
pub(super) fn unsigned(bytes: &[u8], name: &'static str) -> Result<u64, TarError> {
    number::field(bytes).and_then(|value| u64::try_from(value).ok()).ok_or(TarError::Number(name))
}

/// Bytes before the first NUL.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn owner(bytes: &[u8], name: &'static str) -> Result<u32, TarError> {
    unsigned(bytes, name).and_then(|value| owner_id(value).ok_or(TarError::Number(name)))
}

/// A user or group; the largest number of 32 bits means "none" to Linux.
pub(super) fn owner_id(value: u64) -> Option<u32> {
    u32::try_from(value).ok().filter(|&id| id != u32::MAX)
}

fn dialect(block: &[u8; BLOCK_BYTES]) -> Dialect {
    match (&block[257..265], &block[508..512]) {
        (b"ustar  \0", _) => Dialect::Gnu,
        ([b'u', b's', b't', b'a', b'r', 0, ..], b"tar\0") => Dialect::Star,
        ([b'u', b's', b't', b'a', b'r', 0, ..], _) => Dialect::Ustar,
        _ => Dialect::V7,
    }
}

fn path(block: &[u8; BLOCK_BYTES]) -> Vec<u8> {
    let name = until_nul(&block[..100]);
    let prefix = match dialect(block) {
        Dialect::Ustar => until_nul(&block[345..500]),
        Dialect::Star => until_nul(&block[345..476]),
        Dialect::V7 | Dialect::Gnu => b"",
    };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// Sums of unsigned bytes are the standard; some old tars summed signed ones.
fn check_checksum(block: &[u8; BLOCK_BYTES]) -> Result<(), TarError> {
    let expected = number::field(&block[148..156]).ok_or(TarError::Checksum)?;
    let summed = block.iter().enumerate().map(|(at, &byte)| if (148..156).contains(&at) { b' ' } else { byte });
    let (unsigned, signed) = summed
        .fold((0, 0), |(unsigned, signed), byte| (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed())));
    if expected == unsigned || expected == signed { Ok(()) } else { Err(TarError::Checksum) }
}
