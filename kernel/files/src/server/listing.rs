//! Listings of directories, with facts about what they name: whoever lists a directory mostly looks at its files next.
//! The positions are the host's own, which stay valid whatever comes and goes.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, RawDir, RawDirEntry, SeekFrom, openat, seek};
use rustix::io::Result;

use super::Server;
use crate::protocol::{Attributes, Listed, Writer, push_listed};

/// What the host gives at once: with facts it takes at most six times as much.
const BATCH_BYTES: usize = 8 << 10;
/// A part of a listing with more than this is sent. One batch more still fits into a packet.
const PART_BYTES: usize = 64 << 10;
/// Positions above this mean the end: the client adds to them.
const POSITION_MAX: u64 = (i64::MAX - 8).cast_unsigned();

/// A directory that is being listed.
#[derive(Debug)]
pub(super) struct Listing {
    directory: OwnedFd,
    /// Where the host is in it.
    position: u64,
}

/// How far a listing got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    More,
    End,
}

impl Server {
    /// Lists a directory from its beginning. Only what has more to say gets a number.
    pub(super) fn begin_listing(&mut self, node: u32, out: &mut Writer) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(self.nodes.get(node)?, c".", flags, Mode::empty())?;
        let mut listing = Listing { directory, position: 0 };
        let mut entries = Writer::default();
        let number = match listing.read(0, &mut entries)? {
            Progress::End => None,
            Progress::More => Some(self.nodes.add_listing(listing)?),
        };
        out.optional(number, Writer::u32);
        out.0.append(&mut entries.0);
        Ok(())
    }

    pub(super) fn read_listing(&mut self, listing: u32, at: u64, out: &mut Writer) -> Result<()> {
        self.nodes.listing(listing)?.read(at, out).map(drop)
    }
}

impl Listing {
    fn read(&mut self, at: u64, out: &mut Writer) -> Result<Progress> {
        if at >= POSITION_MAX {
            return Ok(Progress::End);
        }
        if at != self.position {
            seek(&self.directory, SeekFrom::Start(at))?;
            self.position = at;
        }
        while out.0.len() < PART_BYTES {
            if self.read_batch(out)? == Progress::End {
                return Ok(Progress::End);
            }
        }
        Ok(Progress::More)
    }

    /// Adds what the host gives at once.
    fn read_batch(&mut self, out: &mut Writer) -> Result<Progress> {
        let mut buffer = [MaybeUninit::uninit(); BATCH_BYTES];
        let mut entries = RawDir::new(self.directory.as_fd(), &mut buffer);
        let mut progress = Progress::End;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            progress = Progress::More;
            self.position = entry.next_entry_cookie();
            push(out, &self.directory, &entry);
            if entries.is_buffer_empty() {
                break;
            }
        }
        Ok(progress)
    }
}

fn push(out: &mut Writer, directory: &OwnedFd, entry: &RawDirEntry<'_>) {
    let name = entry.file_name().to_bytes();
    if name == b"." || name == b".." {
        return;
    }
    let attributes = Attributes::at(directory, entry.file_name()).ok();
    // Some file systems do not say the type in a listing.
    let kind = attributes.map_or(entry.file_type().as_raw_mode(), |attributes| attributes.mode & TYPE);
    let next = entry.next_entry_cookie().min(POSITION_MAX);
    push_listed(out, &Listed { name, ino: entry.ino(), kind, next, attributes });
}

/// Bits of a mode that are its type (S_IFMT).
const TYPE: u32 = 0o170_000;
