//! Reading and writing the small files of a cgroup directory.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::str::FromStr;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::CgroupError;

/// Replaces a file's value. Never creates: an absent file means an absent feature.
pub(crate) fn write(dir: &Path, name: &str, value: &str) -> Result<(), CgroupError> {
    let path = dir.join(name);
    raw_write(&path, value).map_err(|source| CgroupError::File { verb: "write", path, source })
}

/// Writes values to one file, each by a call of its own.
pub(crate) fn write_each<'a>(dir: &Path, name: &str, values: impl Iterator<Item = &'a str>) -> Result<(), CgroupError> {
    let path = dir.join(name);
    let file = open_for_write(&path)?;
    for value in values {
        retry_on_intr(|| rustix::io::write(&file, value.as_bytes()))
            .map_err(|error| CgroupError::file("write", &path, error))?;
    }
    Ok(())
}

/// As [`write`], with an absent file told apart.
pub(super) fn write_if_present(dir: &Path, name: &str, value: &str) -> Result<Presence, CgroupError> {
    match write(dir, name, value) {
        Err(error) if error.is(Errno::NOENT) => Ok(Presence::Absent),
        other => other.map(|()| Presence::Present),
    }
}

/// Whether a file was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    Absent,
}

fn raw_write(path: &Path, value: &str) -> io::Result<()> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC, Mode::empty())?;
    retry_on_intr(|| rustix::io::write(&file, value.as_bytes()))?;
    Ok(())
}

pub(super) fn open_for_write(path: &Path) -> Result<OwnedFd, CgroupError> {
    rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| CgroupError::file("open", path, error))
}

pub(crate) fn read(dir: &Path, name: &str) -> Result<String, CgroupError> {
    let path = dir.join(name);
    raw_read(&path).map_err(|source| CgroupError::File { verb: "read", path, source })
}

/// These files have no size to ask for and mostly fit one read; `std` would make five calls for three.
fn raw_read(path: &Path) -> io::Result<String> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::with_capacity(4096);
    while retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes)))? > 0 {
        bytes.reserve(4096);
    }
    String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// `None` when the file, or the whole cgroup, is not there (ENODEV: removed while open).
pub(super) fn read_if_present(dir: &Path, name: &str) -> Result<Option<String>, CgroupError> {
    match read(dir, name) {
        Err(error) if error.is_gone() || error.is(Errno::OPNOTSUPP) => Ok(None),
        other => other.map(Some),
    }
}

/// A file of one number; `max` and negative values are `u64::MAX`, an absent file is `None`.
pub(super) fn number(dir: &Path, name: &str) -> Result<Option<u64>, CgroupError> {
    Ok(read_if_present(dir, name)?.map(|text| parse_number(&text)))
}

pub(super) fn parse_number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(u64::MAX)
}

/// The lines `key value` of a flat keyed file.
pub(super) fn keyed<T: FromStr>(text: &str) -> impl Iterator<Item = (&str, T)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

/// One key of a flat keyed file.
pub(super) fn keyed_value(text: &str, wanted: &str) -> Option<u64> {
    keyed(text).find(|(key, _)| *key == wanted).map(|(_, value)| value)
}
