//! The files that the client has numbers of. Each is open as a mere place (O_PATH), so that nothing can be read,
//! written or set off through it, and stays the same file whatever becomes of its name.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::{Errno, Result};

use super::listing::Listing;
use crate::protocol::{Access, ROOT};

/// What a number stands for.
#[derive(Debug)]
enum Held {
    File(OwnedFd),
    Listing(Listing),
}

/// All numbers.
#[derive(Debug)]
pub(super) struct Nodes {
    held: Vec<Option<Held>>,
    free: Vec<u32>,
}

impl Nodes {
    /// With a directory as the first.
    pub(super) fn new(root: OwnedFd) -> Result<Self> {
        match kind(root.as_fd())? {
            Kind::Directory => Ok(Self { held: vec![Some(Held::File(root))], free: Vec::new() }),
            _ => Err(Errno::NOTDIR),
        }
    }

    fn put(&mut self, held: Held) -> Result<u32> {
        if let Some(number) = self.free.pop() {
            self.held[index(number)] = Some(held);
            return Ok(number);
        }
        let number = u32::try_from(self.held.len()).map_err(|_| Errno::NFILE)?;
        self.held.push(Some(held));
        Ok(number)
    }

    /// One more file.
    pub(super) fn add(&mut self, file: OwnedFd) -> Result<u32> {
        self.put(Held::File(file))
    }

    /// One more listing.
    pub(super) fn add_listing(&mut self, listing: Listing) -> Result<u32> {
        self.put(Held::Listing(listing))
    }

    /// The file with a number.
    pub(super) fn get(&self, number: u32) -> Result<BorrowedFd<'_>> {
        match self.held.get(index(number)) {
            Some(Some(Held::File(file))) => Ok(file.as_fd()),
            _ => Err(Errno::STALE),
        }
    }

    /// The listing with a number.
    pub(super) fn listing(&mut self, number: u32) -> Result<&mut Listing> {
        match self.held.get_mut(index(number)) {
            Some(Some(Held::Listing(listing))) => Ok(listing),
            _ => Err(Errno::STALE),
        }
    }

    /// Lets a number go. The root stays.
    pub(super) fn forget(&mut self, number: u32) {
        if number == ROOT {
            return;
        }
        if self.held.get_mut(index(number)).and_then(Option::take).is_some() {
            self.free.push(number);
        }
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What a file is, as far as the server treats files differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Regular,
    Directory,
    Other,
}

pub(super) fn kind(file: BorrowedFd<'_>) -> Result<Kind> {
    Ok(match FileType::from_raw_mode(fstat(file)?.st_mode) {
        FileType::RegularFile => Kind::Regular,
        FileType::Directory => Kind::Directory,
        _ => Kind::Other,
    })
}

/// A path to a file of our own. It leads to the very file that is open, whatever its name is now: /proc is the jail's
/// own, and the number ours.
pub(super) fn own_path(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Opens a file again, for something else. The caller knows what it is: devices, pipes and sockets are never opened.
pub(super) fn reopen(file: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    openat(rustix::fs::CWD, own_path(file), flags, Mode::empty())
}

/// The data of a regular file.
pub(super) fn open_regular(file: BorrowedFd<'_>, access: Access) -> Result<OwnedFd> {
    if kind(file)? != Kind::Regular {
        return Err(Errno::INVAL);
    }
    reopen(file, if access == Access::ReadWrite { OFlags::RDWR } else { OFlags::RDONLY })
}
