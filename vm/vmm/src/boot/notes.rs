//! The notes of an ELF kernel (elf(5)): whether it is Linux, which takes either protocol.
//!
//! Entered by PVH, Linux first asks 255 CPUID leaves whether this is Xen, an exit each; the 64-bit protocol saves them.

use std::fs::File;
use std::os::unix::fs::FileExt;

const PROGRAM_HEADER_LEN: usize = 56;
/// Linux has 5.
const PROGRAM_HEADERS_MAX: u16 = 64;
const PT_NOTE: u32 = 4;
/// Linux has 500 bytes of them.
const NOTES_MAX: u64 = 64 << 10;
const LINUX: &[u8] = b"Linux\0";
/// `LINUX_ELFNOTE_BUILD_SALT` (include/linux/build-salt.h), in every kernel since 4.18.
const BUILD_SALT: u32 = 0x100;

/// True for a `vmlinux`; what cannot be parsed is not one.
pub fn is_linux(kernel: &File) -> bool {
    segments(kernel).is_some_and(|segments| segments.iter().any(|notes| has_note(notes, LINUX, BUILD_SALT)))
}

/// The contents of all note segments.
fn segments(kernel: &File) -> Option<Vec<Vec<u8>>> {
    let header = read(kernel, 0, 64)?;
    let (table, count) = (quad(&header, 32)?, half(&header, 56)?);
    let headers = read(kernel, table, PROGRAM_HEADER_LEN * usize::from(count.min(PROGRAM_HEADERS_MAX)))?;
    let notes = headers.chunks_exact(PROGRAM_HEADER_LEN).filter(|header| word(header, 0) == Some(PT_NOTE));
    notes.map(|header| read(kernel, quad(header, 8)?, quad(header, 32)?.min(NOTES_MAX).try_into().ok()?)).collect()
}

fn has_note(mut notes: &[u8], owner: &[u8], kind: u32) -> bool {
    while let Some(note) = Note::first(notes) {
        if (note.owner, note.kind) == (owner, kind) {
            return true;
        }
        notes = note.rest;
    }
    false
}

struct Note<'a> {
    owner: &'a [u8],
    kind: u32,
    rest: &'a [u8],
}

impl<'a> Note<'a> {
    /// The first of some notes. Name and contents are padded to four bytes.
    fn first(notes: &'a [u8]) -> Option<Self> {
        let len = |at| usize::try_from(word(notes, at)?).ok();
        let (name_len, contents_len, kind) = (len(0)?, len(4)?, word(notes, 8)?);
        let body = notes.get(12..)?;
        let end = name_len.checked_next_multiple_of(4)?.checked_add(contents_len.checked_next_multiple_of(4)?)?;
        Some(Note { owner: body.get(..name_len)?, kind, rest: body.get(end..)? })
    }
}

fn read(file: &File, at: u64, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..)?.get(..2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..)?.get(..4)?.try_into().ok()?))
}

fn quad(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..)?.get(..8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn note(owner: &[u8], kind: u32, contents: &[u8]) -> Vec<u8> {
        let mut bytes =
            [owner.len(), contents.len()].map(|len| u32::try_from(len).expect("short").to_le_bytes()).concat();
        bytes.extend(kind.to_le_bytes());
        for part in [owner, contents] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    /// A kernel of one note segment.
    fn kernel(notes: &[u8]) -> File {
        let mut image = vec![0; 64 + PROGRAM_HEADER_LEN];
        image[32] = 64;
        image[56] = 1;
        image[64] = 4;
        image[72] = 120;
        image[96..104].copy_from_slice(&(notes.len() as u64).to_le_bytes());
        let mut file = tempfile::tempfile().expect("file");
        file.write_all(&[image.as_slice(), notes].concat()).expect("write");
        file
    }

    fn check(notes: &[Vec<u8>], expected: bool) {
        assert_eq!(is_linux(&kernel(&notes.concat())), expected, "{notes:?}");
    }

    #[test]
    fn linux_is_known_by_its_note() {
        let (xen, linux) = (note(b"Xen\0", 18, &[1; 5]), note(b"Linux\0", BUILD_SALT, b"\0"));
        check(&[xen.clone(), linux.clone()], true);
        check(std::slice::from_ref(&linux), true);
        check(std::slice::from_ref(&xen), false);
        check(&[note(b"Linux\0", 1, b""), note(b"GNU\0", BUILD_SALT, b"")], false);
        check(&[xen[..8].to_vec()], false);
        check(&[vec![0xff; 40], linux], false);
        assert!(!is_linux(&tempfile::tempfile().expect("file")));
    }
}
