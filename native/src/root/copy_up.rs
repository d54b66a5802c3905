//! `tmpcopyup`: a tmpfs, or a bind mount of a new volume, that starts with what it covers.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid, chownat, fchmod, fchown, fstat, futimens,
    mkdirat, openat, readlinkat, statat, symlinkat,
};
use rustix::time::Timespec;

/// How deep a directory may nest: the copy recurses.
const DEPTH_MAX: u32 = 256;

/// Copies directories, files and links with owner, mode and times. Other kinds of files are left out, as in runc.
pub(crate) fn copy(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    copy_dir(&openat(from, ".", READ_DIR, Mode::empty())?, &openat(to, ".", READ_DIR, Mode::empty())?, DEPTH_MAX)
}

/// As [`copy`], and the directory's own owner, mode and times.
pub(crate) fn copy_all(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    copy(&from, &to)?;
    copy_attributes(&fstat(from)?, openat(to, ".", READ_DIR, Mode::empty())?)
}

const READ_DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn copy_dir(from: &OwnedFd, to: &OwnedFd, depth: u32) -> io::Result<()> {
    let depth = depth.checked_sub(1).ok_or_else(|| io::Error::other("directories nest too deep"))?;
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = Path::new(std::str::from_utf8(entry.file_name().to_bytes()).map_err(io::Error::other)?);
        if name != Path::new(".") && name != Path::new("..") {
            copy_entry(from, to, name, depth)?;
        }
    }
    Ok(())
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &Path, depth: u32) -> io::Result<()> {
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, Mode::from_raw_mode(0o700))?;
            let made = openat(to, name, READ_DIR, Mode::empty())?;
            copy_dir(&openat(from, name, READ_DIR, Mode::empty())?, &made, depth)?;
            copy_attributes(&stat, &made)
        }
        FileType::RegularFile => copy_file(from, to, name),
        FileType::Symlink => {
            symlinkat(readlinkat(from, name, Vec::new())?, to, name)?;
            let (uid, gid) = owner(&stat);
            Ok(chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
        }
        _ => Ok(()),
    }
}

fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &Path) -> io::Result<()> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut source = File::from(openat(from, name, read, Mode::empty())?);
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = File::from(openat(to, name, write, Mode::from_raw_mode(0o600))?);
    io::copy(&mut source, &mut target)?;
    copy_attributes(&fstat(&source)?, &target)
}

fn copy_attributes(stat: &Stat, to: impl AsFd) -> io::Result<()> {
    let (uid, gid) = owner(stat);
    fchown(&to, Some(uid), Some(gid))?;
    fchmod(&to, Mode::from_raw_mode(stat.st_mode))?;
    let time = |seconds, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds.try_into().unwrap_or(0) };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    Ok(futimens(to, &times)?)
}

fn owner(stat: &Stat) -> (Uid, Gid) {
    (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))
}
