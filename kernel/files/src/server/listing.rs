//! Listings of directories. The positions are the host's own, which stay valid whatever comes and goes.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, OFlags, RawDir, SeekFrom, seek, statat};
use rustix::io::{Errno, Result};

use super::Server;
use super::nodes::{Kind, kind, reopen};
use crate::protocol::{Listed, Writer, push_listed};

/// What the host gives at once. What is sent is no longer.
const BATCH_BYTES: usize = 32 << 10;
/// Positions above this mean the end: the client adds to them.
const POSITION_MAX: u64 = (i64::MAX - 8).cast_unsigned();

/// A directory that is being listed.
#[derive(Debug)]
pub(super) struct Listing {
    directory: OwnedFd,
    /// Where the host is in it.
    position: u64,
}

impl Server {
    pub(super) fn open_listing(&mut self, node: u32) -> Result<u32> {
        let directory = self.nodes.get(node)?;
        if kind(directory)? != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        let directory = reopen(directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
        self.nodes.add_listing(Listing { directory, position: 0 })
    }

    pub(super) fn read_listing(&mut self, listing: u32, at: u64, out: &mut Writer) -> Result<()> {
        self.nodes.listing(listing)?.read(at, out)
    }
}

impl Listing {
    fn read(&mut self, at: u64, out: &mut Writer) -> Result<()> {
        if at >= POSITION_MAX {
            return Ok(());
        }
        if at != self.position || at == 0 {
            seek(&self.directory, SeekFrom::Start(at))?;
            self.position = at;
        }
        // A batch may have been nothing but `.` and `..`.
        let sent = out.0.len();
        while out.0.len() == sent && self.read_batch(out)? {}
        Ok(())
    }

    /// Adds what the host gives at once; false at the end.
    fn read_batch(&mut self, out: &mut Writer) -> Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); BATCH_BYTES];
        let mut entries = RawDir::new(self.directory.as_fd(), &mut buffer);
        let mut found = false;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            found = true;
            self.position = entry.next_entry_cookie();
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let kind = file_type(self.directory.as_fd(), entry.file_name(), entry.file_type());
                let next = self.position.min(POSITION_MAX);
                push_listed(out, &Listed { name, ino: entry.ino(), kind: kind.as_raw_mode(), next });
            }
            if entries.is_buffer_empty() {
                break;
            }
        }
        Ok(found)
    }
}

/// Some file systems do not say it in a listing.
fn file_type(directory: BorrowedFd<'_>, name: &std::ffi::CStr, said: FileType) -> FileType {
    if said != FileType::Unknown {
        return said;
    }
    let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    found.map_or(FileType::RegularFile, |found| FileType::from_raw_mode(found.st_mode))
}
