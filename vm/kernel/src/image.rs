//! What a file that should be a kernel is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a kernel is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// vmlinux: ELF, entered by PVH or the 64-bit boot protocol.
    Elf,
    /// The boot protocol's compressed image.
    BzImage,
}

/// A kernel's facts, as its own file tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// How it is packed.
    pub format: Format,
    /// Its release, what `uname -r` says in the guest, where the file tells it.
    pub release: Option<String>,
}

/// No kernel for our machine.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Neither magic number is there.
    #[error("neither a vmlinux (ELF) nor a bzImage")]
    Unknown,
    /// ELF for another machine, or a module, or a program.
    #[error("an ELF file, but no Linux for x86-64: name the uncompressed vmlinux")]
    Foreign,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elf => "elf",
            Self::BzImage => "bzimage",
        })
    }
}

impl Image {
    /// Recognises a kernel.
    pub fn recognise(bytes: &[u8]) -> Result<Self, ImageError> {
        if bytes.starts_with(b"\x7fELF") {
            return Self::elf(bytes);
        }
        // Documentation/arch/x86/boot.rst: the header's magic number.
        if bytes.get(0x202..0x206) == Some(b"HdrS") {
            return Ok(Self { format: Format::BzImage, release: bz_release(bytes) });
        }
        Err(ImageError::Unknown)
    }

    fn elf(bytes: &[u8]) -> Result<Self, ImageError> {
        // 64 bits, little-endian; e_type EXEC or DYN; e_machine x86-64 (elf(5)).
        let is_program = bytes.get(4..6) == Some(&[2, 1])
            && matches!(bytes.get(16..18), Some([2 | 3, 0]))
            && bytes.get(18..20) == Some(&[62, 0]);
        match elf_release(bytes) {
            Some(release) if is_program => Ok(Self { format: Format::Elf, release: Some(release) }),
            _ => Err(ImageError::Foreign),
        }
    }
}

/// `linux_banner` (init/version-timestamp.c): "Linux version RELEASE (...".
fn elf_release(bytes: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    let releases = bytes.windows(BANNER.len()).enumerate().filter(|(_, window)| *window == BANNER);
    // Other strings begin so, with a format to fill in.
    releases.filter_map(|(at, _)| word(&bytes[at + BANNER.len()..])).find(|release| !release.starts_with('%'))
}

/// The header's `kernel_version` points to a string, counted from 0x200.
fn bz_release(bytes: &[u8]) -> Option<String> {
    let pointer = u16::from_le_bytes(bytes.get(0x20e..0x210)?.try_into().ok()?);
    if pointer == 0 { None } else { word(bytes.get(usize::from(pointer) + 0x200..)?) }
}

/// The printable word at the start.
fn word(bytes: &[u8]) -> Option<String> {
    let len = bytes.iter().take(128).position(|byte| !byte.is_ascii_graphic())?;
    let text = std::str::from_utf8(&bytes[..len]).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The least that passes for a vmlinux.
    pub(crate) fn vmlinux(release: &str) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend([2, 0, 62, 0]);
        bytes.extend(b"Linux version %s (%s)\0");
        bytes.extend(format!("Linux version {release} (me@here)\0").as_bytes());
        bytes
    }

    #[test]
    fn kernels_are_told_from_other_files() {
        let found = Image::recognise(&vmlinux("6.12.1-stockade")).unwrap();
        assert_eq!((found.format, found.release.as_deref()), (Format::Elf, Some("6.12.1-stockade")));
        let mut module = vmlinux("6.12.1");
        module[16] = 1;
        let program = vmlinux("6.12.1")[..20].to_vec();
        assert!(matches!(Image::recognise(&program), Err(ImageError::Foreign)));
        assert!(matches!(Image::recognise(&module), Err(ImageError::Foreign)));
        assert!(matches!(Image::recognise(b"\x7fELF"), Err(ImageError::Foreign)));
        assert!(matches!(Image::recognise(b"#!/bin/sh"), Err(ImageError::Unknown)));
    }

    #[test]
    fn a_bzimage_tells_its_release() {
        let mut bytes = vec![0; 0x300];
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        assert_eq!(Image::recognise(&bytes).unwrap().release, None);
        bytes[0x20e..0x210].copy_from_slice(&0x80_u16.to_le_bytes());
        bytes[0x280..0x28c].copy_from_slice(b"6.1-cloud (x");
        assert_eq!(Image::recognise(&bytes).unwrap().release.as_deref(), Some("6.1-cloud"));
        bytes[0x20e..0x210].copy_from_slice(&0xffff_u16.to_le_bytes());
        assert_eq!(Image::recognise(&bytes).unwrap().release, None);
    }
}
