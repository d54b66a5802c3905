//! `tmpcopyup`: a tmpfs, or a bind mount of a new volume (`fill`), that starts with what it covers.
//!
//! The copy stays on the one mount that it starts on, and takes nothing from the kernel's own file systems. It keeps
//! owners, modes, times, hard links, file capabilities, ACLs and user attributes.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, FsWord, Gid, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat, Timestamps, Uid,
    XattrFlags, chownat, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, fstatfs, futimens, linkat, mkdirat,
    mknodat, openat, openat2, readlinkat, statat, symlinkat,
};
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::time::Timespec;

/// How deep a directory may nest: the copy recurses.
pub(super) const DEPTH_MAX: u32 = 256;
/// The kernel's own bound on the names of a file's attributes, and on a value (xattr(7)).
const XATTR_BYTES_MAX: usize = 64 << 10;
/// File systems that are views of the kernel (linux/magic.h): proc, sysfs, cgroup, cgroup2.
const KERNEL_VIEWS: [FsWord; 4] = [PROC_SUPER_MAGIC, 0x6265_6572, 0x0027_e0eb, 0x6367_7270];

/// Copies what is in a directory.
pub(crate) fn copy(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    if is_view_of_the_kernel(&from)? {
        return Ok(());
    }
    let (from, to) = (openat(from, ".", READ_DIR, Mode::empty())?, openat(to, ".", READ_DIR, Mode::empty())?);
    Copier { to: &to, linked: HashMap::new() }.directory(&from, &to, Path::new(""), DEPTH_MAX)
}

/// Whether a directory's file system has files of the kernel's, of which nothing may be copied.
pub(super) fn is_view_of_the_kernel(dir: impl AsFd) -> io::Result<bool> {
    Ok(KERNEL_VIEWS.contains(&fstatfs(dir)?.f_type))
}

pub(super) const READ_DIR: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const READ_FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// One copy under way.
struct Copier<'a> {
    to: &'a OwnedFd,
    /// Where the first name of a file with several was copied to, by device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl Copier<'_> {
    fn directory(&mut self, from: &OwnedFd, to: &OwnedFd, path: &Path, depth: u32) -> io::Result<()> {
        let depth = depth.checked_sub(1).ok_or_else(|| io::Error::other("directories nest too deep"))?;
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
            if name != Path::new(".") && name != Path::new("..") {
                self.entry(from, to, &path.join(name), depth)?;
            }
        }
        Ok(())
    }

    /// Copies what is at the last name of `path`.
    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, path: &Path, depth: u32) -> io::Result<()> {
        let name = path.file_name().map(Path::new).ok_or(io::ErrorKind::InvalidFilename)?;
        let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                mkdirat(to, name, Mode::from_raw_mode(0o700))?;
                let Some(source) = open_on_mount(from, name, READ_DIR)? else { return Ok(()) };
                let made = openat(to, name, READ_DIR, Mode::empty())?;
                self.directory(&source, &made, path, depth)?;
                copy_attributes(&source, &made)
            }
            _ if self.link(to, path, name, &stat)? => Ok(()),
            FileType::RegularFile => copy_file(from, to, name),
            FileType::Symlink => {
                symlinkat(readlinkat(from, name, Vec::new())?, to, name)?;
                chown(to, name, &stat)
            }
            FileType::Socket | FileType::Unknown => Ok(()),
            kind => make_node(to, name, kind, &stat),
        }
    }

    /// Links to the copy of another name of the same file, if there is one.
    fn link(&mut self, to: &OwnedFd, path: &Path, name: &Path, stat: &Stat) -> io::Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino)) else {
            self.linked.insert((stat.st_dev, stat.st_ino), path.to_owned());
            return Ok(false);
        };
        let parent = Path::new(".").join(first.parent().unwrap_or(Path::new("")));
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let parent = openat2(self.to, parent, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?;
        match linkat(parent, first.file_name().unwrap_or_default(), to, name, AtFlags::empty()) {
            // The first name was left out, or the target's file system has no more links to give: a copy of its own.
            Err(Errno::NOENT | Errno::MLINK | Errno::PERM) => Ok(false),
            answer => answer.map(|()| true).map_err(Into::into),
        }
    }
}

/// Opens an entry; `None` if something is mounted there.
pub(super) fn open_on_mount(dir: &OwnedFd, name: impl Arg, flags: OFlags) -> io::Result<Option<OwnedFd>> {
    match openat2(dir, name, flags, Mode::empty(), ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS) {
        Err(Errno::XDEV) => Ok(None),
        answer => answer.map(Some).map_err(Into::into),
    }
}

fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &Path) -> io::Result<()> {
    let Some(source) = open_on_mount(from, name, READ_FILE)? else { return Ok(()) };
    let mut source = File::from(source);
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = File::from(openat(to, name, write, Mode::from_raw_mode(0o600))?);
    io::copy(&mut source, &mut target)?;
    copy_attributes(&source, &target)
}

/// A fifo or a device, under the caller's umask of 0. Devices that a user namespace must not make are left out.
fn make_node(to: &OwnedFd, name: &Path, kind: FileType, stat: &Stat) -> io::Result<()> {
    match mknodat(to, name, kind, Mode::from_raw_mode(stat.st_mode), stat.st_rdev) {
        Err(Errno::PERM) if kind != FileType::Fifo => Ok(()),
        Err(errno) => Err(errno.into()),
        Ok(()) => chown(to, name, stat),
    }
}

fn chown(to: &OwnedFd, name: &Path, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(stat);
    Ok(chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The owner first: a change of it takes set-user-id bits and capabilities away (chown(2)). The mode before ACLs, whose
/// mask it is.
pub(super) fn copy_attributes(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let stat = fstat(&from)?;
    let (uid, gid) = owner(&stat);
    fchown(&to, Some(uid), Some(gid))?;
    fchmod(&to, Mode::from_raw_mode(stat.st_mode))?;
    copy_xattrs(&from, &to)?;
    Ok(futimens(to, &times(&stat))?)
}

/// A file's times.
pub(super) fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds.try_into().unwrap_or(0) };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

fn copy_xattrs(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let mut names = vec![0; XATTR_BYTES_MAX];
    let length = match flistxattr(&from, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        answer => answer?,
    };
    for name in names[..length].split_inclusive(|byte| *byte == 0).filter(|name| is_kept(name)) {
        copy_xattr(&from, &to, CStr::from_bytes_with_nul(name).map_err(io::Error::other)?)?;
    }
    Ok(())
}

/// Those with a meaning of their own to the image. Labels are the target's file system's, `trusted` is overlayfs's.
fn is_kept(name: &[u8]) -> bool {
    let exact: [&[u8]; 3] = [b"security.capability\0", b"system.posix_acl_access\0", b"system.posix_acl_default\0"];
    exact.contains(&name) || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

/// A target that cannot hold an attribute goes without, as with `cp --preserve`.
fn copy_xattr(from: impl AsFd, to: impl AsFd, name: &CStr) -> io::Result<()> {
    let mut value = vec![0; XATTR_BYTES_MAX];
    let length = match fgetxattr(from, name, &mut value[..]) {
        Err(Errno::NODATA) => return Ok(()),
        answer => answer?,
    };
    match fsetxattr(to, name, &value[..length], XattrFlags::empty()) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn owner(stat: &Stat) -> (Uid, Gid) {
    (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

    use rustix::fs::{CWD, getxattr, open, setxattr};

    use super::*;

    fn directory(path: &Path) -> OwnedFd {
        open(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("open a directory")
    }

    /// Copies `from` to a new directory.
    fn copied(from: &Path) -> tempfile::TempDir {
        let to = tempfile::tempdir().expect("temporary directory");
        super::super::fill::fill(directory(from), directory(to.path())).expect("copy");
        to
    }

    #[test]
    fn names_need_not_be_utf8() {
        let from = tempfile::tempdir().expect("temporary directory");
        let name = Path::new(OsStr::from_bytes(b"latin-\xe9"));
        fs::create_dir(from.path().join(name)).expect("directory");
        fs::write(from.path().join(name).join(name), "content").expect("file");
        let to = copied(from.path());
        assert_eq!(fs::read(to.path().join(name).join(name)).expect("the copy"), b"content");
    }

    #[test]
    fn hard_links_stay_links() {
        let from = tempfile::tempdir().expect("temporary directory");
        fs::create_dir_all(from.path().join("sub/deep")).expect("directories");
        fs::write(from.path().join("one"), "").expect("file");
        for other in ["sub/two", "sub/deep/three"] {
            fs::hard_link(from.path().join("one"), from.path().join(other)).expect("link");
        }
        let to = copied(from.path());
        let inode = |name: &str| fs::metadata(to.path().join(name)).map(|m| (m.ino(), m.nlink())).expect("stat");
        assert!(inode("one").1 == 3 && inode("one") == inode("sub/two") && inode("one") == inode("sub/deep/three"));
    }

    #[test]
    fn nodes_are_made_not_read() {
        let from = tempfile::tempdir().expect("temporary directory");
        mknodat(CWD, from.path().join("fifo"), FileType::Fifo, Mode::RUSR, 0).expect("fifo");
        let null = rustix::fs::makedev(1, 3);
        mknodat(CWD, from.path().join("null"), FileType::CharacterDevice, Mode::RUSR, null).expect("device");
        std::os::unix::fs::chown(from.path().join("fifo"), Some(33), None).expect("chown");
        let to = copied(from.path());
        let fifo = fs::metadata(to.path().join("fifo")).expect("the fifo");
        assert!(fifo.file_type().is_fifo() && fifo.uid() == 33 && fifo.permissions().mode() & 0o777 == 0o400);
        assert_eq!(fs::metadata(to.path().join("null")).expect("the device").rdev(), null);
    }

    #[test]
    fn capabilities_and_attributes_are_kept() {
        let from = tempfile::tempdir().expect("temporary directory");
        let file = from.path().join("file");
        fs::write(&file, "").expect("file");
        std::os::unix::fs::chown(&file, Some(33), Some(34)).expect("chown");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).expect("chmod");
        // VFS_CAP_REVISION_2, effective, permitted CAP_NET_RAW (linux/capability.h).
        let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        setxattr(&file, "security.capability", &capability, XattrFlags::empty()).expect("set the capability");
        let has_user = setxattr(&file, "user.note", b"kept", XattrFlags::empty()).is_ok();
        let to = copied(from.path());
        let (copy, mut value) = (to.path().join("file"), [0; 64]);
        let stat = fs::metadata(&copy).expect("stat");
        assert_eq!((stat.uid(), stat.gid(), stat.mode() & 0o7777), (33, 34, 0o4755));
        let length = getxattr(&copy, "security.capability", &mut value[..]).expect("the capability");
        assert_eq!(value[..length], capability);
        if has_user {
            let length = getxattr(&copy, "user.note", &mut value[..]).expect("the attribute");
            assert_eq!(&value[..length], b"kept");
        }
    }

    #[test]
    fn views_of_the_kernel_are_not_copied() {
        for view in ["/proc/sys/fs", "/sys/class"] {
            let to = copied(Path::new(view));
            assert_eq!(fs::read_dir(to.path()).expect("list").count(), 0, "{view}");
        }
    }
}
