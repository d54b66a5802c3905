//! Where each file of a tar archive lies, so that an archive is read in any order and never unpacked.
//!
//! Names are only ever compared with names: nothing of them reaches a path on disk. Dialects: ustar, GNU long names,
//! and pax `path`, `linkpath` and `size`.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 512;
/// An archive of images has a handful of files for each layer.
const ENTRIES_MAX: usize = 100_000;
const EXTENSION_BYTES_MAX: u64 = 64 << 10;
/// docker save of old let layers share a tar by a symbolic link.
const LINKS_MAX: usize = 8;

/// Why a file is no tar archive.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is not a tar archive, or broken at byte {0}")]
    Malformed(u64),
    #[error("it ends within an entry at byte {0}")]
    Truncated(u64),
    #[error("it has more than {ENTRIES_MAX} entries")]
    TooMany,
}

/// The files of an archive by name.
#[derive(Debug)]
pub struct TarIndex {
    file: File,
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    File { offset: u64, bytes: u64 },
    Link(String),
}

/// What precedes an entry's own header.
#[derive(Default)]
struct Extensions {
    path: Option<String>,
    link: Option<String>,
    bytes: Option<u64>,
}

impl TarIndex {
    /// Reads all headers of `file`.
    pub fn read(file: File) -> Result<Self, IndexError> {
        let mut index = Self { file, entries: HashMap::new() };
        let length = index.file.metadata()?.len();
        let (mut at, mut extensions) = (0, Extensions::default());
        while let Some(header) = index.header(at, length)? {
            let data = at + BLOCK;
            let kind = header[156];
            let bytes = match (kind, extensions.bytes) {
                (b'x' | b'g' | b'L' | b'K', _) | (_, None) => {
                    number(&header[124..136]).ok_or(IndexError::Malformed(at))?
                }
                (_, Some(bytes)) => bytes,
            };
            let end = data.checked_add(bytes).and_then(|end| end.checked_next_multiple_of(BLOCK));
            let end = end.ok_or(IndexError::Malformed(at))?;
            if data + bytes > length {
                return Err(IndexError::Truncated(at));
            }
            match kind {
                b'x' => extensions.pax(&index.extension(data, bytes)?),
                b'L' => extensions.path = Some(name(&index.extension(data, bytes)?)),
                b'K' => extensions.link = Some(name(&index.extension(data, bytes)?)),
                b'g' => {}
                _ => index.add(&header, data, bytes, std::mem::take(&mut extensions))?,
            }
            at = end;
        }
        Ok(index)
    }

    /// A file of the archive: its bytes and how many.
    pub fn open(&self, name: &str) -> Option<(Section<'_>, u64)> {
        let mut name = normal(name);
        for _ in 0..LINKS_MAX {
            match self.entries.get(&name)? {
                Entry::File { offset, bytes } => {
                    return Some((Section { file: &self.file, at: *offset, end: offset + bytes }, *bytes));
                }
                Entry::Link(target) => name = resolve(&name, target),
            }
        }
        None
    }

    fn header(&self, at: u64, length: u64) -> Result<Option<[u8; 512]>, IndexError> {
        let mut block = [0; 512];
        if at >= length {
            return Ok(None);
        }
        match self.file.read_exact_at(&mut block, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(IndexError::Truncated(at)),
            other => other?,
        }
        if block == [0; 512] {
            return Ok(None);
        }
        let stored = number(&block[148..156]);
        let sum = |(at, byte): (usize, &u8)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte });
        let found: u64 = block.iter().enumerate().map(sum).sum();
        if stored == Some(found) { Ok(Some(block)) } else { Err(IndexError::Malformed(at)) }
    }

    fn extension(&self, at: u64, bytes: u64) -> Result<Vec<u8>, IndexError> {
        if bytes > EXTENSION_BYTES_MAX {
            return Err(IndexError::Malformed(at));
        }
        let mut text = vec![0; usize::try_from(bytes).map_err(|_| IndexError::Malformed(at))?];
        self.file.read_exact_at(&mut text, at)?;
        Ok(text)
    }

    fn add(&mut self, header: &[u8; 512], offset: u64, bytes: u64, extensions: Extensions) -> Result<(), IndexError> {
        let path = normal(&extensions.path.unwrap_or_else(|| header_path(header)));
        let link = || extensions.link.unwrap_or_else(|| name(&header[157..257]));
        let entry = match header[156] {
            b'0' | 0 | b'7' => Entry::File { offset, bytes },
            // The target of a hard link counts from the archive's root.
            b'1' => Entry::Link(format!("/{}", link())),
            b'2' => Entry::Link(link()),
            _ => return Ok(()),
        };
        if self.entries.len() >= ENTRIES_MAX {
            return Err(IndexError::TooMany);
        }
        self.entries.insert(path, entry);
        Ok(())
    }
}

impl Extensions {
    /// Records of the form `LENGTH KEY=VALUE\n`; what cannot be read is passed over, and then the entry is not found.
    fn pax(&mut self, mut records: &[u8]) {
        while let Some((key, value, rest)) = pax_record(records) {
            match key {
                b"path" => self.path = Some(name(value)),
                b"linkpath" => self.link = Some(name(value)),
                b"size" => self.bytes = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
                _ => {}
            }
            records = rest;
        }
    }
}

fn pax_record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &records[length..]))
}

/// Octal digits, or GNU's big-endian binary.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let (high, low) = rest.split_last_chunk::<8>()?;
        let small = *first == 0x80 && high.iter().all(|byte| *byte == 0);
        return small.then(|| u64::from_be_bytes(*low));
    }
    let text = std::str::from_utf8(field).ok()?;
    let text = text.split('\0').next().unwrap_or_default().trim();
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn name(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn header_path(header: &[u8; 512]) -> String {
    let prefix = if &header[257..263] == b"ustar\0" { name(&header[345..500]) } else { String::new() };
    let path = name(&header[..100]);
    if prefix.is_empty() { path } else { format!("{prefix}/{path}") }
}

/// Without `.`, doubled slashes, and `..` as far as there is something to go up from.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn resolve(from: &str, target: &str) -> String {
    let dir = from.rsplit_once('/').map_or("", |(dir, _)| dir);
    if target.starts_with('/') { normal(target) } else { normal(&format!("{dir}/{target}")) }
}

/// A part of a file as a reader.
#[derive(Debug)]
pub struct Section<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl io::Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..left], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn index(bytes: &[u8]) -> Result<TarIndex, IndexError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        TarIndex::read(file)
    }

    fn content(index: &TarIndex, name: &str) -> Option<String> {
        let (mut section, bytes) = index.open(name)?;
        let mut text = String::new();
        section.read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, bytes);
        Some(text)
    }

    fn sample() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |kind, path: &str, link: &str, data: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(data.len() as u64);
            match link {
                "" => builder.append_data(&mut header, path, data.as_bytes()).unwrap(),
                link => builder.append_link(&mut header, path, link).unwrap(),
            }
        };
        let long = "d/".repeat(80);
        add(tar::EntryType::Regular, "a/layer.tar", "", "first");
        add(tar::EntryType::Symlink, "b/layer.tar", "../a/layer.tar", "");
        add(tar::EntryType::Link, "c/layer.tar", "a/layer.tar", "");
        add(tar::EntryType::Symlink, "loop", "loop", "");
        add(tar::EntryType::Regular, &format!("{long}file"), "", "deep");
        add(tar::EntryType::Symlink, "out", "../../../etc/passwd", "");
        builder.into_inner().unwrap()
    }

    #[test]
    fn files_and_links_are_found() {
        let index = index(&sample()).unwrap();
        for name in ["a/layer.tar", "./a//layer.tar", "b/layer.tar", "c/layer.tar", "x/../a/layer.tar"] {
            assert_eq!(content(&index, name).as_deref(), Some("first"), "{name}");
        }
        assert_eq!(content(&index, &format!("{}file", "d/".repeat(80))).as_deref(), Some("deep"));
        for name in ["loop", "out", "etc/passwd", "a", ""] {
            assert!(index.open(name).is_none(), "{name}");
        }
    }

    #[test]
    fn pax_names_and_sizes_count() {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([("path", &b"real"[..]), ("size", &b"4"[..])]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(4);
        builder.append_data(&mut header, "other", &b"data"[..]).unwrap();
        let index = index(&builder.into_inner().unwrap()).unwrap();
        assert_eq!(content(&index, "real").as_deref(), Some("data"));
        assert!(index.open("other").is_none());
    }

    #[test]
    fn broken_archives_are_refused() {
        let good = sample();
        assert!(matches!(index(b"hello"), Err(IndexError::Truncated(0))));
        assert!(matches!(index(&[b'x'; 1024]), Err(IndexError::Malformed(0))));
        assert!(matches!(index(&good[..514]), Err(IndexError::Truncated(0))));
        // A checksum in GNU's binary form, for which its field is too short.
        let mut binary = good.clone();
        binary[148] = 0x80;
        assert!(matches!(index(&binary), Err(IndexError::Malformed(0))));
        let mut huge = good;
        huge[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert!(index(&huge).is_err());
    }
}
