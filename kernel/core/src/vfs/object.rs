//! What can be done with an open file.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt::Debug;
use core::time::Duration;

use super::{FileKind, OpenFlags, PollEvents};
use crate::Errno;
use crate::io::{Sink, Source};
use crate::mm::{MapPiece, Mappers};
use crate::platform::Sharing;
use crate::task::Task;
use crate::wait::{SharedQueue, Stop};

/// Whether a file has a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeking {
    /// It is a stream: `ESPIPE`.
    No,
    /// It has one.
    Yes,
    /// lseek(2) answers 0 and changes nothing (/dev/null, terminals' drivers).
    Ignored,
    /// The same, but offsets are refused: `ESPIPE` (eventfd(2)).
    OnlyIgnored,
}

/// Where bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAt {
    /// From this offset.
    Offset(u64),
    /// At the end, wherever it is then.
    End,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes.
    pub count: usize,
    /// The offset behind them.
    pub end: u64,
}

/// Which way lseek(2) looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// SEEK_DATA
    Data,
    /// SEEK_HOLE
    Hole,
}

/// One name in a directory.
#[derive(Clone, Copy, Debug)]
pub struct DirEntry<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The inode's number.
    pub ino: u64,
    /// The inode's type.
    pub kind: FileKind,
    /// The position behind it, above 0.
    pub next: u64,
}

/// Whether a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// The entry was taken.
    More,
    /// There was no room for it.
    Full,
}

/// The inside of an open file. Reads and writes never wait: `EAGAIN` says that they would, and the queue is woken when
/// that changes. Dropping the last reference closes it.
pub trait FileObject: Any + Debug + Send + Sync {
    /// Reads from an offset, which streams ignore. 0 is the end.
    fn read(&self, _sink: &mut dyn Sink, _at: u64) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Writes.
    fn write(&self, _source: &mut dyn Source, _at: WriteAt) -> Result<Written, Errno> {
        Err(Errno::EINVAL)
    }

    /// Whether a write that may wait goes on until all is taken: streams of bytes.
    fn takes_all(&self) -> bool {
        false
    }

    /// Whether it has a position.
    fn seeking(&self) -> Seeking {
        Seeking::No
    }

    /// The next data or hole from an offset on: `ENXIO` when there is none.
    fn find(&self, _from: u64, _what: Direction) -> Result<u64, Errno> {
        Err(Errno::EINVAL)
    }

    /// What would not block now.
    fn poll(&self) -> PollEvents {
        PollEvents::READABLE | PollEvents::WRITABLE
    }

    /// Woken when [`Self::poll`] may say something else; `None` when it never does.
    fn queue(&self) -> Option<SharedQueue> {
        None
    }

    /// The file as a task sees it, where tasks see different things (signalfd(2)).
    fn seen_by(&self, _task: &Arc<Task>) -> Option<Arc<dyn FileObject>> {
        None
    }

    /// How long a call waits for these events; `None` for ever (SO_RCVTIMEO and SO_SNDTIMEO).
    fn time_limit(&self, _events: PollEvents) -> Option<Duration> {
        None
    }

    /// Reads when that time is over.
    fn late_read(&self, _sink: &mut dyn Sink) -> Result<usize, Errno> {
        Err(Errno::EAGAIN)
    }

    /// Whether a task may read or write now: a terminal stops processes in the background.
    fn check_access(&self, _task: &Arc<Task>, _events: PollEvents) -> Result<(), Stop> {
        Ok(())
    }

    /// The same for a request of ioctl(2).
    fn check_request(&self, _task: &Arc<Task>, _request: u32) -> Result<(), Stop> {
        Ok(())
    }

    /// ioctl(2).
    fn ioctl(&self, _task: &Arc<Task>, _request: u32, _argument: u64) -> Result<u64, Errno> {
        Err(Errno::ENOTTY)
    }

    /// What a mapping of `len` bytes from `offset` on shows; both are multiples of the page size. The pieces come in
    /// order and cover it all.
    fn map(&self, _offset: u64, _len: u64, _sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        Err(Errno::ENODEV)
    }

    /// Who is told when its pages change.
    fn mappers(&self) -> Option<Arc<Mappers>> {
        None
    }

    /// Whether shared mappings of it must not be writable.
    fn is_sealed(&self) -> bool {
        false
    }

    /// Lists a directory from a position on (0 or a [`DirEntry::next`]), without `.` and `..`.
    fn read_dir(&self, _at: u64, _emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }

    /// Lines of /proc/PID/fdinfo beyond those that every file has.
    fn describe(&self) -> String {
        String::new()
    }

    /// A task closed a descriptor of it (`flush` of Linux).
    fn closed_by(&self, _task: &Task) {}

    /// fcntl(2) F_SETFL changed these.
    fn set_status(&self, _flags: OpenFlags) {}
}
