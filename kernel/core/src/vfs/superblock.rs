//! A file system in use.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::fmt::Debug;
use core::sync::atomic::{AtomicBool, Ordering};

use stockade_kernel_sync::Mutex;

use super::{Dentry, Device, HandleForm, Inode, StatFs};
use crate::Errno;

/// Whether looked-up names may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Names change only through the vfs.
    Names,
    /// Names come and go by themselves (proc): each is looked up every time.
    Nothing,
}

/// Whether a file system can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {
    /// It cannot.
    Yes,
    /// It can, through mounts that allow it.
    No,
}

/// A file system.
pub trait Filesystem: Debug + Send + Sync {
    /// Its name in /proc/filesystems.
    fn name(&self) -> &'static str;

    /// Its root directory.
    fn root(&self) -> Arc<dyn Inode>;

    /// Facts about it.
    fn statfs(&self) -> Result<StatFs, Errno>;

    /// Its own mount options, as /proc/mounts shows them, each with a comma before.
    fn options(&self) -> String {
        String::new()
    }

    /// Whether names may be kept.
    fn caching(&self) -> Caching {
        Caching::Names
    }

    /// What handles of its files are like.
    fn handles(&self) -> HandleForm {
        HandleForm::Identity
    }

    /// Makes it all last.
    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Changes its own options (mount(2) with MS_REMOUNT).
    fn remount(&self, _options: &[u8]) -> Result<(), Errno> {
        Ok(())
    }
}

/// A file system in use, with what the vfs knows of it.
#[derive(Debug)]
pub struct Superblock {
    filesystem: Arc<dyn Filesystem>,
    caching: Caching,
    device: Device,
    root: Arc<Dentry>,
    /// Held by renames between two directories.
    pub(super) renaming: Mutex<()>,
    recent: Mutex<Recent>,
    read_only: AtomicBool,
    /// Names that handles were made of.
    pub(super) handled: Mutex<BTreeMap<u64, Weak<Dentry>>>,
}

/// The names that were looked up last, by when.
#[derive(Debug, Default)]
struct Recent {
    last: u64,
    kept: BTreeMap<u64, Arc<Dentry>>,
}

/// Names kept for the next time; each takes about 250 bytes.
const RECENT_MAX: usize = 2048;

impl Superblock {
    /// Takes a file system into use under a device number that no other has.
    pub fn new(filesystem: Arc<dyn Filesystem>, device: Device) -> Arc<Self> {
        let root = Dentry::top(filesystem.root(), b"");
        let caching = filesystem.caching();
        let (renaming, recent, handled) = (Mutex::new(()), Mutex::default(), Mutex::default());
        let read_only = AtomicBool::new(false);
        Arc::new(Self { filesystem, caching, device, root, renaming, recent, read_only, handled })
    }

    /// The file system.
    pub fn filesystem(&self) -> &Arc<dyn Filesystem> {
        &self.filesystem
    }

    /// Whether nothing in it can be changed, through no mount.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Acquire)
    }

    /// Sets that.
    pub fn set_read_only(&self, read_only: ReadOnly) {
        self.read_only.store(read_only == ReadOnly::Yes, Ordering::Release);
    }

    /// Its `st_dev`.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Its root directory.
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    pub(super) fn caching(&self) -> Caching {
        self.caching
    }

    /// Keeps a name for a while.
    pub(super) fn remember(&self, dentry: &Arc<Dentry>) {
        let forgotten = {
            let mut recent = self.recent.lock();
            recent.last += 1;
            let now = recent.last;
            dentry.remembered.store(now, Ordering::Relaxed);
            recent.kept.insert(now, dentry.clone());
            if recent.kept.len() > RECENT_MAX { recent.kept.pop_first() } else { None }
        };
        // Outside the lock: it may be the last reference to a chain of directories.
        drop(forgotten);
    }

    /// A name is gone: what it stood for must not stay for its sake.
    pub(super) fn forget(&self, dentry: &Arc<Dentry>) {
        let forgotten = self.recent.lock().kept.remove(&dentry.remembered.load(Ordering::Relaxed));
        drop(forgotten);
    }
}
