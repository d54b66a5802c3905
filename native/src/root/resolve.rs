//! Paths inside a container's root.
//!
//! The image chooses the root's directories and links, and a volume's owner may change them while we work. So a path is
//! resolved once, by the kernel, with the root as its ceiling (openat2(2), RESOLVE_IN_ROOT), and everything after goes
//! through the descriptor: CVE-2021-30465, CVE-2023-27561 and their like lived between a check and a use of a string.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, mkdirat, openat, openat2, statx};
use rustix::io::Errno;
use stockade_sandbox::{Error, Result};

use crate::fail::{Context, invalid};

/// How many times openat2 is asked again when a rename elsewhere made it give up (EAGAIN, openat2(2)).
const RETRIES_MAX: u32 = 128;

/// A container's root directory: the mounted tree itself, not a path to it.
#[derive(Debug)]
pub(crate) struct Root {
    fd: OwnedFd,
}

/// Whether the last component may be a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    /// No component at all may be a link.
    Refuse,
}

impl Root {
    /// Takes the descriptor of a mounted root.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// The root itself.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens what is at `path`, links resolved inside the root.
    pub(crate) fn open(&self, path: &Path, flags: OFlags, links: Links) -> rustix::io::Result<OwnedFd> {
        let links = if links == Links::Refuse { ResolveFlags::NO_SYMLINKS } else { ResolveFlags::empty() };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | links;
        for _ in 0..RETRIES_MAX {
            match openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                answer => return answer,
            }
        }
        Err(Errno::AGAIN)
    }

    /// A handle on what is at `path`, if anything.
    pub(crate) fn find(&self, path: &Path) -> rustix::io::Result<Option<OwnedFd>> {
        match self.open(path, OFlags::PATH, Links::Follow) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// The directory at `path`, made with its parents where absent.
    pub(crate) fn make_dir(&self, path: &Path) -> Result<OwnedFd> {
        let components = clean(path);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let (mut dir, missing) = self.longest_existing(&components)?;
        for name in missing {
            match mkdirat(&dir, *name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Error::os(format!("make {} in the root", path.display()), errno)),
            }
            // Just made, so a link here is an attack or a dangling link of the image: neither is followed.
            dir = openat(&dir, *name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
                .at_with(|| format!("open {} in the root", path.display()))?;
        }
        Ok(dir)
    }

    /// The deepest existing directory on the way, and the names below it that are missing.
    fn longest_existing<'a>(&self, components: &'a [&'a OsStr]) -> Result<(OwnedFd, &'a [&'a OsStr])> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        for length in (0..=components.len()).rev() {
            let prefix: PathBuf = Path::new(".").join(components[..length].iter().collect::<PathBuf>());
            match self.open(&prefix, flags, Links::Follow) {
                Err(Errno::NOENT) => {}
                answer => {
                    let dir = answer.at_with(|| format!("open {} in the root", prefix.display()))?;
                    return Ok((dir, &components[length..]));
                }
            }
        }
        Err(invalid("the root directory is gone"))
    }

    /// What is at `path`; where nothing is, an empty file is made, with its parents.
    pub(crate) fn make_file(&self, path: &Path) -> Result<OwnedFd> {
        if let Some(found) = self.find(path).at_with(|| format!("open {} in the root", path.display()))? {
            return Ok(found);
        }
        self.make_own_file(path)
    }

    /// As `make_file`, but the last component must be no link.
    pub(crate) fn make_own_file(&self, path: &Path) -> Result<OwnedFd> {
        let (dir, name) = self.parent(path)?;
        own_file(&dir, &name, path)
    }

    /// The directory that holds `path`, made where absent, and the last name.
    pub(crate) fn parent(&self, path: &Path) -> Result<(OwnedFd, PathBuf)> {
        let components = clean(path);
        let (name, parents) = components.split_last().ok_or_else(|| invalid("the root itself is no device or file"))?;
        let dir = self.make_dir(&parents.iter().collect::<PathBuf>())?;
        Ok((dir, PathBuf::from(name)))
    }

    /// Whether a handle is on the root directory itself.
    pub(crate) fn is(&self, other: impl AsFd) -> Result<bool> {
        Ok(identity(&self.fd)? == identity(other)?)
    }
}

/// A handle on a file of a directory, made where nothing is. What is there is not opened: it may be a device. `path` is
/// its name for errors.
pub(super) fn own_file(dir: impl AsFd, name: &Path, path: &Path) -> Result<OwnedFd> {
    let what = || format!("open {} in the root", path.display());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(&dir, name, flags, Mode::from_raw_mode(0o644)) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Error::os(what(), errno)),
    }
    let file = openat(&dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).at_with(what)?;
    match file_type(&file)? {
        FileType::Symlink => Err(Error::Other(format!("{} is a symbolic link", path.display()))),
        _ => Ok(file),
    }
}

/// Mount, device and inode of what a handle refers to.
fn identity(fd: impl AsFd) -> Result<(u64, u32, u32, u64)> {
    let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
    let stat = statx(fd, c"", AtFlags::EMPTY_PATH, wanted).at("stat in the root")?;
    Ok((stat.stx_mnt_id, stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino))
}

/// A path's names without `.`; `..` goes up lexically and stops at the root, as in runc's cleaned paths.
fn clean(path: &Path) -> Vec<&OsStr> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => {
                names.pop();
            }
            _ => {}
        }
    }
    names
}

/// A path as the root's own names have it: absolute, without `.` and `..`, relative ones from the root.
pub(super) fn cleaned(path: &Path) -> PathBuf {
    [OsStr::new("/")].into_iter().chain(clean(path)).collect()
}

/// What kind of file a handle is on.
pub(crate) fn file_type(fd: impl AsFd) -> Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd).at("stat in the root")?.st_mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_lexically() {
        let check = |path: &str, expected: &str| assert_eq!(cleaned(Path::new(path)), Path::new(expected), "{path}");
        check("/proc", "/proc");
        check("proc", "/proc");
        check("./proc/", "/proc");
        check("/dev/../proc/.//sys", "/proc/sys");
        check("../../proc", "/proc");
        check("/a/..", "/");
        check("", "/");
    }
}
