//! Making files. They belong to the server's own uid, which nobody else has, until they are given to their owner.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, fstat, mkdirat, mknodat, openat, symlinkat, unlinkat,
};
use rustix::io::{Errno, Result};

use super::nodes::{open_regular, own_path, reopen};
use super::{Server, names};
use crate::protocol::{Access, Entry, Make, MakeKind};

impl Server {
    pub(super) fn make(&mut self, directory: u32, name: &[u8], make: &Make<'_>) -> Result<(Entry, Option<OwnedFd>)> {
        let name = names::checked(name)?;
        let directory = self.nodes.get(directory)?;
        let made = create(directory, &name, make)?;
        if let Err(errno) = self.give_away(&made, make) {
            let flags = if make.kind == MakeKind::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            // The first error is what matters; what is left then belongs to nobody else.
            let _ = unlinkat(directory, &name, flags);
            return Err(errno);
        }
        let data = (make.kind == MakeKind::Regular).then(|| open_regular(made.as_fd(), Access::ReadWrite));
        Ok((self.enter(made)?, data.transpose()?))
    }

    pub(super) fn make_unnamed(
        &mut self,
        directory: u32,
        permissions: u32,
        uid: u32,
        gid: u32,
    ) -> Result<(Entry, OwnedFd)> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = openat(self.nodes.get(directory)?, c".", flags, mode(permissions))?;
        let place = reopen_as_place(file.as_fd())?;
        self.give_away(&place, &Make { kind: MakeKind::Regular, permissions, uid, gid })?;
        Ok((self.enter(place)?, file))
    }

    /// Sets owner and permissions of what was made just now. The name may have been given to another file meanwhile,
    /// by somebody on the host: that one is left alone.
    fn give_away(&self, made: &OwnedFd, make: &Make<'_>) -> Result<()> {
        if fstat(made)?.st_uid != self.own_uid {
            return Err(Errno::STALE);
        }
        let (uid, gid) = (Uid::from_raw(make.uid), Gid::from_raw(make.gid));
        chownat(made, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
        let is_symlink = matches!(make.kind, MakeKind::Symlink(_));
        // A change of owner takes set-id bits away, and a default ACL may have taken more.
        if !is_symlink && fstat(made)?.st_mode & 0o7777 != make.permissions & 0o7777 {
            chmodat(rustix::fs::CWD, own_path(made.as_fd()), mode(make.permissions), AtFlags::empty())?;
        }
        Ok(())
    }
}

fn create(directory: BorrowedFd<'_>, name: &CString, make: &Make<'_>) -> Result<OwnedFd> {
    let node = |kind| mknodat(directory, name, kind, mode(make.permissions), 0);
    match make.kind {
        MakeKind::Regular => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
            return reopen_as_place(names::open(directory, name, flags, mode(make.permissions))?.as_fd());
        }
        MakeKind::Directory => mkdirat(directory, name, mode(make.permissions))?,
        MakeKind::Symlink(target) => symlinkat(target, directory, name)?,
        MakeKind::Fifo => node(FileType::Fifo)?,
        MakeKind::Socket => node(FileType::Socket)?,
        MakeKind::Whiteout => node(FileType::CharacterDevice)?,
    }
    names::find(directory, name)
}

fn reopen_as_place(file: BorrowedFd<'_>) -> Result<OwnedFd> {
    reopen(file, OFlags::PATH)
}

fn mode(permissions: u32) -> Mode {
    Mode::from_raw_mode(permissions & 0o7777)
}
