//! Reading and writing the small files of a cgroup directory.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::str::FromStr;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::CgroupError;

/// Replaces a file's value. Never creates: an absent file means an absent feature.
pub(crate) fn write(dir: &Path, name: &str, value: &str) -> Result<(), CgroupError> {
    let path = dir.join(name);
    raw_write(&path, value).map_err(|source| CgroupError::File { verb: "write", path, source })
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
    std::fs::read_to_string(&path).map_err(|source| CgroupError::File { verb: "read", path, source })
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
