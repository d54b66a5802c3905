//! Names in directories: the only way from one file to another.

use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, linkat, openat2, renameat_with, unlinkat};
use rustix::io::{Errno, Result};

use super::Server;
use super::nodes::{self, Kind};
use crate::protocol::{NAME_BYTES_MAX, Removal, RenameHow};

/// Nothing leads out of a directory: no link of any kind is followed, and there is no `..` in a name.
const STAY: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_SYMLINKS);

/// One part of a path that names an entry of a directory.
pub(super) fn checked(name: &[u8]) -> Result<CString> {
    let leaves = name == b"." || name == b".." || name.contains(&b'/');
    if name.is_empty() || leaves {
        return Err(Errno::INVAL);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    CString::new(name).map_err(|_| Errno::INVAL)
}

/// What has a name, itself: a link is not followed, a device or pipe not opened.
pub(super) fn find(directory: BorrowedFd<'_>, name: &CString) -> Result<OwnedFd> {
    open(directory, name, OFlags::PATH, Mode::empty())
}

/// The same, with a file of the client's choice for what it is opened for.
pub(super) fn open(directory: BorrowedFd<'_>, name: &CString, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    openat2(directory, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode, STAY)
}

impl Server {
    pub(super) fn link(&self, node: u32, directory: u32, name: &[u8]) -> Result<()> {
        let name = checked(name)?;
        let file = self.nodes.get(node)?;
        if nodes::kind(file)? == Kind::Directory {
            return Err(Errno::PERM);
        }
        let flags = AtFlags::SYMLINK_FOLLOW;
        linkat(rustix::fs::CWD, nodes::own_path(file), self.nodes.get(directory)?, &name, flags)
    }

    pub(super) fn remove(&self, directory: u32, name: &[u8], what: Removal) -> Result<()> {
        let flags = if what == Removal::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        unlinkat(self.nodes.get(directory)?, &checked(name)?, flags)
    }

    pub(super) fn rename(&self, from: u32, name: &[u8], to: u32, to_name: &[u8], how: RenameHow) -> Result<()> {
        let flags = match how {
            RenameHow::Replace => RenameFlags::empty(),
            RenameHow::Exchange => RenameFlags::EXCHANGE,
            RenameHow::Whiteout => RenameFlags::WHITEOUT,
        };
        let (from, to) = (self.nodes.get(from)?, self.nodes.get(to)?);
        renameat_with(from, &checked(name)?, to, &checked(to_name)?, flags)
    }
}
