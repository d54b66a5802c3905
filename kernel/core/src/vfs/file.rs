//! Open file descriptions (open(2)).

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use stockade_kernel_sync::Mutex;

use super::{
    DirEntry, Emit, FileKind, FileObject, FileSignals, Hooks, InUse, Inode, LockOwner, OpenFlags, Path, PollEvents,
    Seeking, Telling, WatchMask, WriteAt,
};
use crate::Errno;
use crate::account::Charge;
use crate::io::{Sink, Source};
use crate::mm::{self, MapPiece, MappedName, Mappers};
use crate::platform::Sharing;
use crate::task::Credentials;
use crate::wait::Waiter;

/// An open file description: what descriptors that were duplicated share.
#[derive(Debug)]
pub struct File {
    id: u64,
    object: Arc<dyn FileObject>,
    path: Path,
    flags: AtomicU32,
    position: Mutex<u64>,
    signals: Arc<FileSignals>,
    hooks: Arc<Hooks>,
    usage: Mutex<Option<InUse>>,
    opener: Mutex<Weak<Credentials>>,
    _memory: Charge,
}

/// What one takes, with its object, and the name that it holds.
const FILE_BYTES: usize = 1536;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl File {
    /// Opens what was found at a path: `ENFILE` when the sandbox has no memory for more. Flags that only matter while
    /// opening are dropped.
    pub fn new(
        object: Arc<dyn FileObject>,
        path: Path,
        flags: OpenFlags,
        hooks: &Arc<Hooks>,
    ) -> Result<Arc<Self>, Errno> {
        let memory = Charge::new(FILE_BYTES).map_err(|_| Errno::ENFILE)?;
        let once = OpenFlags::CREATE
            | OpenFlags::EXCLUSIVE
            | OpenFlags::NO_CTTY
            | OpenFlags::TRUNCATE
            | OpenFlags::CLOSE_ON_EXEC;
        path.dentry.add_opened();
        Ok(Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            signals: FileSignals::new(&object),
            object,
            path,
            flags: AtomicU32::new(flags.difference(once).bits()),
            position: Mutex::new(0),
            hooks: hooks.clone(),
            usage: Mutex::new(None),
            opener: Mutex::default(),
            _memory: memory,
        }))
    }

    /// Notes with whose rights it was opened by a path.
    pub fn set_opener(&self, credentials: &Arc<Credentials>) {
        *self.opener.lock() = Arc::downgrade(credentials);
    }

    /// Whether it was opened by a path and with these very rights: the same process, unchanged since.
    pub fn was_opened_with(&self, credentials: &Arc<Credentials>) -> bool {
        core::ptr::eq(self.opener.lock().as_ptr(), Arc::as_ptr(credentials))
    }

    /// As long as it is open, its file is written or run.
    pub fn set_usage(&self, usage: Option<InUse>) {
        *self.usage.lock() = usage;
    }

    /// Somebody else says from now on that its file is written or run.
    pub fn take_usage(&self) -> Option<InUse> {
        self.usage.lock().take()
    }

    /// Its number; no other file of the kernel ever has it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What it is inside.
    pub fn object(&self) -> &Arc<dyn FileObject> {
        &self.object
    }

    /// What it is inside, if it is a `T`: a pipe, socket, epoll instance.
    pub fn downcast<T: FileObject>(&self) -> Option<&T> {
        let object: &dyn Any = &*self.object;
        object.downcast_ref()
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was opened.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.path.inode()
    }

    /// Access mode and status flags.
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Acquire))
    }

    /// Changes the status flags that can be changed.
    pub fn set_status(&self, flags: OpenFlags) {
        let changed = (self.flags() & !OpenFlags::CHANGEABLE) | (flags & OpenFlags::CHANGEABLE);
        let before = OpenFlags::from_bits_retain(self.flags.swap(changed.bits(), Ordering::AcqRel));
        if (before ^ changed).contains(OpenFlags::ASYNC) {
            self.tell_of_events(changed.contains(OpenFlags::ASYNC));
        }
        self.object.set_status(changed);
    }

    /// Whether calls fail with EAGAIN instead of waiting.
    pub fn is_nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::NONBLOCK)
    }

    /// Whether it stands for a place only (O_PATH).
    pub fn is_path_only(&self) -> bool {
        self.flags().contains(OpenFlags::PATH)
    }

    /// `EBADF` unless open for reading.
    pub fn check_readable(&self) -> Result<(), Errno> {
        if self.flags().reads() { Ok(()) } else { Err(Errno::EBADF) }
    }

    /// `EBADF` unless open for writing.
    pub fn check_writable(&self) -> Result<(), Errno> {
        if self.flags().writes() { Ok(()) } else { Err(Errno::EBADF) }
    }

    /// Reads at the position and moves it.
    pub fn read(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        self.check_readable()?;
        if self.object.seeking() != Seeking::Yes {
            return self.object.read(sink, 0);
        }
        let mut position = self.position.lock();
        let count = self.object.read(sink, *position)?;
        *position += count as u64;
        drop(position);
        self.note_access();
        Ok(count)
    }

    /// Reads at an offset.
    pub fn read_at(&self, sink: &mut dyn Sink, offset: u64) -> Result<usize, Errno> {
        self.check_readable()?;
        self.check_seekable()?;
        let count = self.object.read(sink, offset)?;
        self.note_access();
        Ok(count)
    }

    /// Writes at the position, or at the end (O_APPEND), and moves it.
    pub fn write(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        self.check_writable()?;
        if self.object.seeking() != Seeking::Yes {
            return Ok(self.object.write(source, WriteAt::Offset(0))?.count);
        }
        let mut position = self.position.lock();
        let at = if self.flags().contains(OpenFlags::APPEND) { WriteAt::End } else { WriteAt::Offset(*position) };
        let written = self.object.write(source, at)?;
        *position = written.end;
        Ok(written.count)
    }

    /// Writes at an offset, or at the end (O_APPEND, as Linux does).
    pub fn write_at(&self, source: &mut dyn Source, offset: u64) -> Result<usize, Errno> {
        self.check_writable()?;
        self.check_seekable()?;
        let append = self.flags().contains(OpenFlags::APPEND);
        let at = if append { WriteAt::End } else { WriteAt::Offset(offset) };
        Ok(self.object.write(source, at)?.count)
    }

    /// `ESPIPE` unless it has a position.
    pub fn check_seekable(&self) -> Result<(), Errno> {
        match self.object.seeking() {
            Seeking::No | Seeking::OnlyIgnored => Err(Errno::ESPIPE),
            Seeking::Yes | Seeking::Ignored => Ok(()),
        }
    }

    /// The position, to be read or changed; nothing else moves it meanwhile.
    pub fn with_position<T>(&self, change: impl FnOnce(&mut u64) -> Result<T, Errno>) -> Result<T, Errno> {
        change(&mut self.position.lock())
    }

    /// The position now.
    pub fn position(&self) -> u64 {
        *self.position.lock()
    }

    /// Writes at the end, wherever the position is.
    pub fn append(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        self.check_writable()?;
        Ok(self.object.write(source, WriteAt::End)?.count)
    }

    /// Lists a directory from a position on, `.` and `..` included.
    pub fn list(&self, from: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) -> Result<(), Errno> {
        if self.path.dentry.is_unlinked() {
            return Err(Errno::ENOENT);
        }
        let parent = || self.path.parent().map_or_else(|| self.inode().number(), |parent| parent.inode().number());
        let mut dot = |name: &[u8], ino, next| emit(&DirEntry { name, ino, kind: FileKind::Directory, next });
        if from < 1 && dot(b".", self.inode().number(), 1) == Emit::Full {
            return Ok(());
        }
        if from < 2 && dot(b"..", parent(), 2) == Emit::Full {
            return Ok(());
        }
        let at = from.saturating_sub(2);
        self.object.read_dir(at, &mut |entry| emit(&DirEntry { next: entry.next + 2, ..*entry }))
    }

    /// Signals about it.
    pub fn signals(&self) -> &Arc<FileSignals> {
        &self.signals
    }

    /// O_ASYNC changed.
    fn tell_of_events(&self, wanted: bool) {
        let Some(queue) = self.object.queue() else { return };
        let waiter: Arc<dyn Waiter> = self.signals.clone();
        self.signals.set_telling(if wanted { Telling::All } else { Telling::Urgent });
        if wanted {
            return queue.register(&waiter);
        }
        queue.deregister(&waiter);
        queue.register_for(&waiter, PollEvents::PRI);
    }

    /// Somebody owns it now (F_SETOWN), and hears of what is urgent.
    pub fn tell_of_urgent(&self) {
        let Some(queue) = self.object.queue() else { return };
        let waiter: Arc<dyn Waiter> = self.signals.clone();
        queue.register_for(&waiter, PollEvents::PRI);
    }

    fn note_access(&self) {
        let unkept = super::MountFlags::NO_ATIME | super::MountFlags::READ_ONLY;
        if !self.flags().contains(OpenFlags::NO_ATIME) && !self.path.mount.flags().intersects(unkept) {
            self.inode().accessed();
        }
    }
}

impl mm::Source for File {
    fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        self.object.map(offset, len, sharing)
    }

    fn mappers(&self) -> Option<Arc<Mappers>> {
        self.object.mappers()
    }

    fn is_sealed(&self) -> bool {
        self.object.is_sealed()
    }

    fn name(&self) -> MappedName {
        let key = self.path.key();
        let path = String::from_utf8_lossy(&self.path.full_text()).into_owned();
        MappedName { path, device: (key.device.major, key.device.minor), inode: key.ino }
    }

    fn sync(&self, _offset: u64, _len: u64) -> Result<(), Errno> {
        self.inode().sync()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.hooks.locks.clear_all(LockOwner::Flock(self.id));
        self.hooks.locks.clear_all(LockOwner::File(self.id));
        if !self.is_path_only() {
            let written = self.flags().writes();
            let mask = if written { WatchMask::CLOSE_WRITE } else { WatchMask::CLOSE_NOWRITE };
            self.hooks.watches.tell_file(&self.path, mask);
        }
        self.path.dentry.remove_opened();
        self.hooks.watches.file_unused(&self.path);
    }
}

/// The inside of a file opened with O_PATH.
#[derive(Debug)]
pub(super) struct PathOnly;

impl FileObject for PathOnly {}
