//! tmpfs: files in the machine's pool, so that they can be mapped and shared (tmpfs(5)). Their data lies in memory, or
//! in a file of the host (`Store`): that is a writable layer on a disk.
//!
//! Lock order: a file's writers, its data, an inode's facts. A directory's names are locked alone, or with those of a
//! second directory during a rename, which the vfs serialises.

mod data;
mod directory;
mod node;
mod options;
mod seals;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicU64, Ordering};

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::account::MEMORY;
use crate::mm::PoolRange;
use crate::platform::{HostClock, Machine, Store};
use crate::vfs::{Filesystem, HandleForm, Inode, NewInode, NewKind, PAGE_BYTES, StatFs, Timestamp};

pub use node::Node;
pub use options::TmpfsOptions;
pub use seals::Seals;

/// `TMPFS_MAGIC`
const MAGIC: u32 = 0x0102_1994;

/// What all extended attributes of a tmpfs may take.
const XATTR_BYTES_MAX: u64 = 16 << 20;
/// What one of them takes beside its text.
const XATTR_OVERHEAD_BYTES: u64 = 64;

fn xattr_bytes(name: &[u8], value: &[u8]) -> u64 {
    (name.len() + value.len()) as u64 + XATTR_OVERHEAD_BYTES
}

/// A tmpfs.
#[derive(Debug)]
pub struct Tmpfs {
    shared: Arc<Shared>,
    root: Arc<Node>,
    options: Mutex<TmpfsOptions>,
    name: &'static str,
}

/// What all inodes of a tmpfs share.
#[derive(Debug)]
struct Shared {
    machine: Arc<dyn Machine>,
    /// Where data lies, unless that is memory.
    store: Option<Arc<dyn Store>>,
    bytes_max: AtomicU64,
    inodes_max: AtomicU64,
    bytes: AtomicU64,
    inodes: AtomicU64,
    xattr_bytes: AtomicU64,
    last_number: AtomicU64,
}

impl Tmpfs {
    /// An empty one.
    pub fn new(machine: &Arc<dyn Machine>, options: TmpfsOptions) -> Result<Arc<Self>, Errno> {
        Self::called("tmpfs", machine, options)
    }

    /// The same, for a file system of another name that is like it.
    pub fn called(name: &'static str, machine: &Arc<dyn Machine>, options: TmpfsOptions) -> Result<Arc<Self>, Errno> {
        Self::with(name, machine, None, options)
    }

    /// One whose files lie in a store, as many as fit.
    pub fn stored(
        machine: &Arc<dyn Machine>,
        store: &Arc<dyn Store>,
        options: TmpfsOptions,
    ) -> Result<Arc<Self>, Errno> {
        let options = TmpfsOptions { bytes: Some(store.bytes_max()), ..options };
        Self::with("tmpfs", machine, Some(store.clone()), options)
    }

    fn with(
        name: &'static str,
        machine: &Arc<dyn Machine>,
        store: Option<Arc<dyn Store>>,
        options: TmpfsOptions,
    ) -> Result<Arc<Self>, Errno> {
        let shared = Arc::new(Shared {
            machine: machine.clone(),
            store,
            bytes_max: AtomicU64::new(options.bytes.unwrap_or(u64::MAX)),
            inodes_max: AtomicU64::new(options.inodes.unwrap_or(u64::MAX)),
            bytes: AtomicU64::new(0),
            inodes: AtomicU64::new(0),
            xattr_bytes: AtomicU64::new(0),
            last_number: AtomicU64::new(0),
        });
        let TmpfsOptions { permissions, uid, gid, .. } = options;
        let root = Node::new(&shared, &NewInode { kind: NewKind::Directory, permissions, uid, gid })?;
        Ok(Arc::new(Self { shared, root, options: Mutex::new(options), name }))
    }

    /// One without limits of its own.
    pub fn unlimited(machine: &Arc<dyn Machine>) -> Arc<Self> {
        Self::new(machine, TmpfsOptions::default()).expect("nothing limits its first inode")
    }

    /// A regular file without a name: what memfd_create(2) and shared anonymous memory are.
    pub fn unnamed(&self, permissions: u32, uid: u32, gid: u32) -> Result<Arc<Node>, Errno> {
        let node = Node::new(&self.shared, &NewInode { kind: NewKind::Regular, permissions, uid, gid })?;
        node.lose_name();
        Ok(node)
    }
}

/// The file behind an inode, if it can have seals: `EINVAL` otherwise.
pub fn sealed_node(inode: &Arc<dyn Inode>) -> Result<Arc<Node>, Errno> {
    inode.downcast().map_err(|_| Errno::EINVAL)
}

impl Filesystem for Tmpfs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        // Without a limit of its own, as much as the machine has: installers refuse to write where nothing is free.
        let memory = self.shared.machine.info().memory_bytes;
        let free = |max: u64, used: &AtomicU64| (max, max.saturating_sub(used.load(Ordering::Relaxed)));
        let options = self.options.lock().clone();
        let (bytes, bytes_free) = free(options.bytes.unwrap_or(memory), &self.shared.bytes);
        let available = match &self.shared.store {
            Some(store) => bytes_free.min(store.host_free_bytes()?),
            None => bytes_free,
        };
        let (files, files_free) = free(options.inodes.unwrap_or(memory / PAGE_BYTES), &self.shared.inodes);
        let [blocks, blocks_free, blocks_available] = [bytes, bytes_free, available].map(|bytes| bytes / PAGE_BYTES);
        Ok(StatFs { blocks, blocks_free, blocks_available, files, files_free, ..StatFs::of(MAGIC) })
    }

    fn handles(&self) -> HandleForm {
        HandleForm::Number
    }

    fn options(&self) -> String {
        let (mut text, options) = (String::new(), self.options.lock().clone());
        if let Some(bytes) = options.bytes {
            let _infallible = write!(text, ",size={}k", bytes / 1024);
        }
        if let Some(inodes) = options.inodes {
            let _infallible = write!(text, ",nr_inodes={inodes}");
        }
        if options.permissions != 0o1777 {
            let _infallible = write!(text, ",mode={:o}", options.permissions);
        }
        text
    }

    /// Sizes can change as far as what is there leaves room; the root keeps its owner and mode.
    fn remount(&self, data: &[u8]) -> Result<(), Errno> {
        let mut options = self.options.lock();
        let new = options.clone().with(data)?;
        self.shared.resize(&new)?;
        (options.bytes, options.inodes) = (new.bytes, new.inodes);
        Ok(())
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.machine.now(HostClock::Realtime).into()
    }

    fn new_number(&self) -> Result<u64, Errno> {
        charge(&self.inodes, 1, self.inodes_max.load(Ordering::Relaxed))?;
        Ok(self.last_number.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// `EINVAL` when more is used already (`shmem_reconfigure` of Linux).
    fn resize(&self, options: &TmpfsOptions) -> Result<(), Errno> {
        let (bytes, inodes) = (options.bytes.unwrap_or(u64::MAX), options.inodes.unwrap_or(u64::MAX));
        if self.bytes.load(Ordering::Relaxed) > bytes || self.inodes.load(Ordering::Relaxed) > inodes {
            return Err(Errno::EINVAL);
        }
        self.bytes_max.store(bytes, Ordering::Relaxed);
        self.inodes_max.store(inodes, Ordering::Relaxed);
        Ok(())
    }

    fn release_number(&self) {
        self.inodes.fetch_sub(1, Ordering::Relaxed);
    }

    /// Extended attributes lie in the kernel's own memory.
    fn charge_xattr(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        let bytes = xattr_bytes(name, value);
        charge(&self.xattr_bytes, bytes, XATTR_BYTES_MAX)?;
        MEMORY.take(bytes).map_err(|_| Errno::ENOSPC).inspect_err(|_| {
            self.xattr_bytes.fetch_sub(bytes, Ordering::Relaxed);
        })
    }

    fn release_xattr(&self, name: &[u8], value: &[u8]) {
        let bytes = xattr_bytes(name, value);
        self.xattr_bytes.fetch_sub(bytes, Ordering::Relaxed);
        MEMORY.give(bytes);
    }

    /// A range for data, which counts for the size already.
    fn take(&self, bytes: u64) -> Result<Arc<PoolRange>, Errno> {
        let range = match &self.store {
            Some(store) => PoolRange::allocate_in(store, bytes),
            None => PoolRange::allocate(&self.machine, bytes),
        };
        range.map_err(|_| Errno::ENOSPC)
    }

    fn charge_bytes(&self, bytes: u64) -> Result<(), Errno> {
        charge(&self.bytes, bytes, self.bytes_max.load(Ordering::Relaxed))
    }

    fn release_bytes(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn charge(used: &AtomicU64, more: u64, max: u64) -> Result<(), Errno> {
    let fits = |used: u64| used.checked_add(more).filter(|sum| *sum <= max);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map(drop).map_err(|_| Errno::ENOSPC)
}
