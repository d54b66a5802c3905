//! Pax extended headers (pax(1), "pax Extended Header").

use std::collections::BTreeMap;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use stockade_erofs_writer::Timestamp;

use super::{super::TarError, header, number};

/// What pax records say about the next entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Timestamp>,
    /// By full name, such as `security.capability`.
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) sparse: PaxSparse,
}

/// GNU tar's records for sparse files, formats 0.0, 0.1 and 1.0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PaxSparse {
    pub(super) version: (Option<u64>, Option<u64>),
    pub(super) path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// Offsets and lengths in turn.
    pub(super) map: Option<Vec<u64>>,
}

impl Pax {
    /// Reads the records of a local header; a later record wins.
    pub(super) fn parse(&mut self, mut records: &[u8]) -> Result<(), TarError> {
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or(TarError::PaxRecord)?;
            self.set(key, value)?;
            records = rest;
        }
        Ok(())
    }

    /// What a global header says about every entry: not what can only be meant for one.
    pub(super) fn into_global(self) -> Self {
        Self { uid: self.uid, gid: self.gid, mtime: self.mtime, ..Self::default() }
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.insert(percent_decoded(name), value.to_vec());
            return Ok(());
        }
        if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
            let value = base64_decoded(value).ok_or(TarError::PaxValue("LIBARCHIVE.xattr"))?;
            self.xattrs.entry(percent_decoded(name)).or_insert(value);
            return Ok(());
        }
        match key.strip_prefix(b"GNU.sparse.") {
            Some(key) => self.sparse.set(key, value),
            None => self.set_standard(key, value),
        }
    }

    /// An empty value takes the record back. Other keys (names of owners, atime, comments, hdrcharset: names are
    /// bytes here) are of no use.
    fn set_standard(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        match key {
            b"path" => self.path = text(value),
            b"linkpath" => self.link = text(value),
            b"size" => self.size = parsed(value, "size", number::decimal)?,
            b"uid" => self.uid = parsed(value, "uid", owner)?,
            b"gid" => self.gid = parsed(value, "gid", owner)?,
            b"mtime" => self.mtime = parsed(value, "mtime", number::time)?,
            _ => {}
        }
        Ok(())
    }
}

impl PaxSparse {
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        match key {
            b"major" => self.version.0 = parsed(value, "GNU.sparse.major", number::decimal)?,
            b"minor" => self.version.1 = parsed(value, "GNU.sparse.minor", number::decimal)?,
            b"name" => self.path = text(value),
            b"size" | b"realsize" => self.size = parsed(value, "GNU.sparse.size", number::decimal)?,
            b"map" => self.map = parsed(value, "GNU.sparse.map", number_list)?,
            // Format 0.0 repeats these two, against pax's own rules.
            b"offset" | b"numbytes" => self.push(key == b"offset", value)?,
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, offset: bool, value: &[u8]) -> Result<(), TarError> {
        let map = self.map.get_or_insert_default();
        let value = number::decimal(value).filter(|_| map.len().is_multiple_of(2) == offset);
        map.push(value.ok_or(TarError::PaxValue("GNU.sparse.offset"))?);
        Ok(())
    }
}

/// `LENGTH KEY=VALUE\n`: key, value, and what follows.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().take(20).position(|&byte| byte == b' ')?;
    let bytes = usize::try_from(number::decimal(&records[..space])?).ok()?;
    let (record, rest) = records.split_at_checked(bytes)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest)).filter(|_| equals > 0)
}

fn text(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| value.to_vec())
}

fn parsed<T>(value: &[u8], key: &'static str, parse: impl Fn(&[u8]) -> Option<T>) -> Result<Option<T>, TarError> {
    if value.is_empty() { Ok(None) } else { parse(value).map(Some).ok_or(TarError::PaxValue(key)) }
}

fn owner(value: &[u8]) -> Option<u32> {
    header::owner_id(number::decimal(value)?)
}

fn number_list(value: &[u8]) -> Option<Vec<u64>> {
    value.split(|&byte| byte == b',').map(number::decimal).collect()
}

/// GNU tar writes `%` and `=` of an xattr's name as `%25` and `%3D`; libarchive encodes more bytes the same way.
fn percent_decoded(mut name: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(name.len());
    while let Some((&first, rest)) = name.split_first() {
        let escaped = rest.first_chunk::<2>().filter(|_| first == b'%').and_then(|digits| hex_byte(*digits));
        decoded.push(escaped.unwrap_or(first));
        name = if escaped.is_some() { &rest[2..] } else { rest };
    }
    decoded
}

fn hex_byte([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Base 64; libarchive leaves the padding out.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet::STANDARD, CONFIG).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_values() {
        assert_eq!(base64_decoded(b"aGVsbG8=").unwrap(), b"hello");
        assert_eq!(base64_decoded(b"aGVsbG8").unwrap(), b"hello");
        assert_eq!(base64_decoded(b"aGVs").unwrap(), b"hel");
        assert_eq!(base64_decoded(b"a!"), None);
        assert_eq!(percent_decoded(b"user.a%3Db%25%2"), b"user.a=b%%2");
    }

    #[test]
    fn refuses_malformed_records() {
        let check = |records: &[u8]| assert!(Pax::default().parse(records).is_err(), "{records:?}");
        check(b"x");
        check(b"5 a=b");
        check(b"99 path=x\n");
        check(b"0 path=x\n");
        check(b"3 =\n");
        check(b"8 path=x");
        check(b"10 size=x\n");
        check(b"99999999999999999999999 path=x\n");
    }
}
