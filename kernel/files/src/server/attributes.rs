//! Changing attributes, and making changes last.

use std::ffi::CString;

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat, chownat, fsync,
    getxattr, listxattr, removexattr, setxattr, utimensat,
};
use rustix::io::{Errno, Result};

use super::Server;
use super::nodes::{Kind, kind, own_path, reopen};
use crate::protocol::{SetXattr, Times, VALUE_BYTES_MAX};

/// What a client sees and changes of a file's extended attributes: its own, and file capabilities, which are part of a
/// root file system, and access lists, by which the client checks permissions.
fn checked(name: &[u8]) -> Result<CString> {
    if !is_served(name) {
        return Err(Errno::OPNOTSUPP);
    }
    CString::new(name).map_err(|_| Errno::INVAL)
}

fn is_served(name: &[u8]) -> bool {
    let acl = [&b"system.posix_acl_access"[..], b"system.posix_acl_default"];
    name.starts_with(b"user.") || name == b"security.capability" || acl.contains(&name)
}

impl Server {
    pub(super) fn set_mode(&self, node: u32, permissions: u32) -> Result<()> {
        let mode = Mode::from_raw_mode(permissions & 0o7777);
        chmodat(CWD, own_path(self.nodes.get(node)?), mode, AtFlags::empty())
    }

    pub(super) fn set_owner(&self, node: u32, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        // The highest number means no change to chown(2), and is nobody's.
        if uid == Some(u32::MAX) || gid == Some(u32::MAX) {
            return Err(Errno::INVAL);
        }
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        chownat(self.nodes.get(node)?, c"", uid, gid, AtFlags::EMPTY_PATH)
    }

    pub(super) fn set_times(&self, node: u32, times: Times) -> Result<()> {
        let time = |time: Option<(i64, u32)>| match time {
            Some((tv_sec, nanos)) => Timespec { tv_sec, tv_nsec: nanos.into() },
            None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        };
        let times = Timestamps { last_access: time(times.atime), last_modification: time(times.mtime) };
        utimensat(CWD, own_path(self.nodes.get(node)?), &times, AtFlags::empty())
    }

    pub(super) fn xattr(&self, node: u32, name: &[u8]) -> Result<Vec<u8>> {
        let mut value = vec![0; VALUE_BYTES_MAX];
        let len = getxattr(own_path(self.nodes.get(node)?), &checked(name)?, &mut value[..])?;
        value.truncate(len);
        Ok(value)
    }

    pub(super) fn xattrs(&self, node: u32) -> Result<Vec<u8>> {
        let mut names = vec![0; VALUE_BYTES_MAX];
        let len = listxattr(own_path(self.nodes.get(node)?), &mut names[..])?;
        let served = names[..len].split_inclusive(|byte| *byte == 0).filter(|name| is_served(&name[..name.len() - 1]));
        Ok(served.flatten().copied().collect())
    }

    pub(super) fn set_xattr(&self, node: u32, name: &[u8], value: &[u8], how: SetXattr) -> Result<()> {
        let flags = match how {
            SetXattr::Any => XattrFlags::empty(),
            SetXattr::Create => XattrFlags::CREATE,
            SetXattr::Replace => XattrFlags::REPLACE,
        };
        setxattr(own_path(self.nodes.get(node)?), &checked(name)?, value, flags)
    }

    pub(super) fn remove_xattr(&self, node: u32, name: &[u8]) -> Result<()> {
        removexattr(own_path(self.nodes.get(node)?), &checked(name)?)
    }

    /// Devices and pipes have nothing to last.
    pub(super) fn sync(&self, node: u32) -> Result<()> {
        let file = self.nodes.get(node)?;
        match kind(file)? {
            Kind::Other => Ok(()),
            Kind::Directory => fsync(reopen(file, OFlags::RDONLY | OFlags::DIRECTORY)?),
            Kind::Regular => fsync(reopen(file, OFlags::RDONLY)?),
        }
    }
}
