//! Writes tar headers: ustar, with a pax header before it for all that ustar cannot say.

use std::io::{self, Write};

use super::super::to_u64;

const BLOCK_BYTES: usize = 512;
const PATH_BYTES_MAX: usize = 100;
/// Largest number of a field of eight bytes: seven octal digits.
const OWNER_MAX: u64 = 0o777_7777;
/// Largest number of a field of twelve bytes.
const SIZE_MAX: u64 = 0o777_7777_7777;

/// An entry to be written.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) kind: u8,
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) permissions: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: (i64, u32),
    pub(super) device: (u32, u32),
    pub(super) size: u64,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Size of a sparse file whose data begins with its map.
    pub(super) sparse_size: Option<u64>,
}

impl Header {
    /// Writes the header, or the two.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let records = self.pax_records();
        if !records.is_empty() {
            out.write_all(&block(b'x', b"pax", b"", [0o644, 0, 0, to_u64(records.len()), 0], (0, 0)))?;
            out.write_all(&records)?;
            pad(out, to_u64(records.len()))?;
        }
        let mtime = u64::try_from(self.mtime.0).unwrap_or_default();
        let numbers = [u64::from(self.permissions), self.uid.into(), self.gid.into(), self.size, mtime];
        out.write_all(&block(self.kind, &self.path, &self.link, numbers, self.device))
    }

    fn pax_records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        if let Some(size) = self.sparse_size {
            record(&mut records, b"GNU.sparse.major", b"1");
            record(&mut records, b"GNU.sparse.minor", b"0");
            record(&mut records, b"GNU.sparse.name", &self.path);
            record(&mut records, b"GNU.sparse.realsize", size.to_string().as_bytes());
        }
        text_record(&mut records, b"path", &self.path);
        text_record(&mut records, b"linkpath", &self.link);
        number_record(&mut records, b"size", self.size, SIZE_MAX);
        number_record(&mut records, b"uid", self.uid.into(), OWNER_MAX);
        number_record(&mut records, b"gid", self.gid.into(), OWNER_MAX);
        self.time_record(&mut records);
        for (name, value) in &self.xattrs {
            record(&mut records, &[b"SCHILY.xattr.", escaped(name).as_slice()].concat(), value);
        }
        records
    }

    fn time_record(&self, records: &mut Vec<u8>) {
        let time = match self.mtime {
            (0..=0o777_7777_7777, 0) => return,
            (secs @ ..0, nanos @ 1..) => format!("-{}.{:09}", -(secs + 1), 1_000_000_000 - nanos),
            (secs, nanos) => format!("{secs}.{nanos:09}"),
        };
        record(records, b"mtime", time.as_bytes());
    }
}

/// Zeros up to the next block behind `bytes` of data.
pub(super) fn pad(out: &mut impl Write, bytes: u64) -> io::Result<()> {
    let zeros = [0; BLOCK_BYTES];
    let missing = bytes.wrapping_neg() % to_u64(BLOCK_BYTES);
    out.write_all(&zeros[..usize::try_from(missing).unwrap_or_default()])
}

fn text_record(records: &mut Vec<u8>, key: &[u8], text: &[u8]) {
    if text.len() > PATH_BYTES_MAX || !text.is_ascii() {
        record(records, key, text);
    }
}

fn number_record(records: &mut Vec<u8>, key: &[u8], number: u64, max: u64) {
    if number > max {
        record(records, key, number.to_string().as_bytes());
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let body = key.len() + value.len() + 3;
    let digits = |number: usize| number.to_string().len();
    let guess = body + digits(body);
    let length = body + digits(guess);
    records.extend_from_slice(format!("{length} ").as_bytes());
    for part in [key, b"=", value, b"\n"] {
        records.extend_from_slice(part);
    }
}

/// As GNU tar does: an xattr's name may hold what ends a pax key.
fn escaped(name: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'%' => escaped.extend_from_slice(b"%25"),
            b'=' => escaped.extend_from_slice(b"%3D"),
            byte => escaped.push(byte),
        }
    }
    escaped
}

/// `numbers`: mode, uid, gid, size, mtime. What is too large for its field is in the pax header.
fn block(kind: u8, path: &[u8], link: &[u8], numbers: [u64; 5], device: (u32, u32)) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    let [mode, uid, gid, size, mtime] = numbers;
    put(&mut block, 0, &path[..path.len().min(PATH_BYTES_MAX)]);
    put(&mut block, 100, &octal::<8>(mode));
    put(&mut block, 108, &octal::<8>(uid));
    put(&mut block, 116, &octal::<8>(gid));
    put(&mut block, 124, &octal::<12>(size));
    put(&mut block, 136, &octal::<12>(mtime));
    put(&mut block, 148, b"        ");
    put(&mut block, 156, &[kind]);
    put(&mut block, 157, &link[..link.len().min(PATH_BYTES_MAX)]);
    put(&mut block, 257, b"ustar\x0000");
    put(&mut block, 329, &octal::<8>(device.0.into()));
    put(&mut block, 337, &octal::<8>(device.1.into()));
    let sum = block.iter().map(|&byte| u64::from(byte)).sum();
    put(&mut block, 148, &octal::<8>(sum));
    block
}

fn put(block: &mut [u8; BLOCK_BYTES], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Octal digits and a NUL; the low digits of a number that is too large.
fn octal<const WIDTH: usize>(mut number: u64) -> [u8; WIDTH] {
    let mut field = [b'0'; WIDTH];
    field[WIDTH - 1] = 0;
    for digit in field[..WIDTH - 1].iter_mut().rev() {
        *digit = b'0' + (number & 7).to_le_bytes()[0];
        number >>= 3;
    }
    field
}
