//! The envelope of a state file.
//!
//! ```text
//! 0   magic, 8 bytes          12  patch, 2 bytes; zero, 2 bytes     24       payload: CBOR
//! 8   major, minor: 2 bytes   16  length of the payload, 8 bytes    24 + n   CRC-32C of all that is before
//! ```
//!
//! All numbers are little-endian. The sum finds damage, not malice: what the payload says is checked by whoever uses
//! it.

use std::{fmt, io};

const MAGIC: [u8; 8] = *b"\x89STKDVM\n";
const HEADER: usize = 24;
const SUM: usize = 4;

/// What this build writes. It reads every minor version up to its own.
pub const VERSION: Version = Version { major: 4, minor: 0, patch: 0 };

/// A version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Other ones cannot be read.
    pub major: u16,
    /// Later ones cannot be read.
    pub minor: u16,
    /// Of no consequence.
    pub patch: u16,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Why a file is no snapshot for this build.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Something else altogether.
    #[error("this is no snapshot of a microVM")]
    Magic,
    /// Of another build.
    #[error("the snapshot has format {0}, and this build reads {VERSION}")]
    Version(Version),
    /// Longer or shorter than it says.
    #[error("the snapshot is damaged: it has {found} bytes, and says that it has {said}")]
    Length {
        /// By its header.
        said: u64,
        /// In truth.
        found: u64,
    },
    /// Not what was written.
    #[error("the snapshot is damaged: its checksum is wrong")]
    Checksum,
    /// The sum is right and the content is not.
    #[error("the snapshot makes no sense")]
    Content(#[from] ciborium::de::Error<io::Error>),
}

/// A payload in its envelope.
pub fn seal(payload: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER + payload.len() + SUM);
    file.extend(MAGIC);
    for number in [VERSION.major, VERSION.minor, VERSION.patch, 0] {
        file.extend(number.to_le_bytes());
    }
    file.extend((payload.len() as u64).to_le_bytes());
    file.extend(payload);
    let sum = crc32c(&file);
    file.extend(sum.to_le_bytes());
    file
}

/// The payload of an undamaged file of a version that this build reads.
pub fn open(file: &[u8]) -> Result<&[u8], FormatError> {
    let version = version_of(file)?;
    if version.major != VERSION.major || version.minor > VERSION.minor {
        return Err(FormatError::Version(version));
    }
    let found = file.len() as u64;
    let header = file.first_chunk::<HEADER>().ok_or(FormatError::Length { said: HEADER as u64, found })?;
    let said = u64::from_le_bytes([16, 17, 18, 19, 20, 21, 22, 23].map(|at| header[at]));
    let said = said.saturating_add((HEADER + SUM) as u64);
    if said != found {
        return Err(FormatError::Length { said, found });
    }
    let (content, sum) = file.split_at(file.len() - SUM);
    if crc32c(content).to_le_bytes() != sum {
        return Err(FormatError::Checksum);
    }
    Ok(&content[HEADER..])
}

/// The version of a file, whether or not this build reads it.
pub fn version_of(file: &[u8]) -> Result<Version, FormatError> {
    let header = file.first_chunk::<16>().filter(|header| header.starts_with(&MAGIC)).ok_or(FormatError::Magic)?;
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    Ok(Version { major: half(8), minor: half(10), patch: half(12) })
}

const TABLE: [u32; 256] = table();

/// Castagnoli's polynomial, reflected (RFC 3720, B.4).
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    let mut first = 0;
    while index < 256 {
        let mut value: u32 = first;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0x82f6_3b78 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
        first += 1;
    }
    table
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        let [low, ..] = sum.to_le_bytes();
        sum >> 8 ^ TABLE[usize::from(low ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn what_is_sealed_can_be_opened() {
        for payload in [&b""[..], b"{}", &[7; 1000]] {
            assert_eq!(open(&seal(payload)).expect("undamaged"), payload);
        }
        assert_eq!(version_of(&seal(b"")).expect("a version").to_string(), "v4.0.0");
    }

    #[test]
    fn every_truncation_and_every_addition_is_refused() {
        let file = seal(b"a payload of some length");
        for len in 0..file.len() {
            assert!(open(&file[..len]).is_err(), "{len} bytes");
        }
        assert!(matches!(open(&[&file[..], &[0]].concat()), Err(FormatError::Length { .. })));
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let file = seal(b"a payload of some length");
        for bit in 0..8 * file.len() {
            let mut changed = file.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn other_versions_are_named() {
        let mut file = seal(b"{}");
        file[8] = 2;
        let error = open(&file).expect_err("another version").to_string();
        assert_eq!(error, "the snapshot has format v2.0.0, and this build reads v4.0.0");
        file[..12].copy_from_slice(&seal(b"")[..12]);
        file[10] = 1;
        assert!(matches!(open(&file), Err(FormatError::Version(Version { major: 4, minor: 1, patch: 0 }))));
        assert_eq!(version_of(&file).expect("a version").to_string(), "v4.1.0");
        assert!(matches!(open(b"\x7fELF and so on, at some length"), Err(FormatError::Magic)));
    }
}
