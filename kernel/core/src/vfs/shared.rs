//! What all files of a kernel share.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use stockade_kernel_sync::Mutex;

use super::{
    Dentry, Device, Driver, FdTable, File, FileKind, FileObject, Filesystem, Hooks, Inode, LockOwner, Mount,
    MountNamespace, OpenFlags, Path, Protections, Superblock, Timestamp,
};
use crate::Errno;
use crate::fs::{Anonymous, AnonymousFs, Seals, Tmpfs};
use crate::pipe::Fifos;
use crate::platform::{HostClock, Machine};
use crate::task::Credentials;

/// Whether a file in memory can be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// F_ADD_SEALS works.
    Allowed,
    /// The same, and it can never be executed (MFD_NOEXEC_SEAL).
    NeverExecuted,
    /// It does not.
    Refused,
}

/// The kernel's side of all files.
#[derive(Debug)]
pub struct Vfs {
    machine: Arc<dyn Machine>,
    /// Where files without a path lie.
    internal: Arc<Mount>,
    hooks: Arc<Hooks>,
    protections: Protections,
    fifos: Fifos,
    pub(super) drivers: Mutex<BTreeMap<u32, Arc<dyn Driver>>>,
    /// Files in memory without a path, and where they lie.
    memory: Arc<Tmpfs>,
    memory_mount: Arc<Mount>,
    last_device: AtomicU32,
    last_inode: AtomicU64,
}

impl Vfs {
    /// Nothing is open yet.
    pub fn new(machine: &Arc<dyn Machine>) -> Self {
        let superblock = Superblock::new(Arc::new(AnonymousFs), Device::new(0, 1));
        let memory = Tmpfs::unlimited(machine);
        let memory_superblock = Superblock::new(memory.clone(), Device::new(0, 2));
        let vfs = Self {
            machine: machine.clone(),
            internal: MountNamespace::internal(&superblock),
            hooks: Arc::default(),
            protections: Protections::default(),
            fifos: Fifos::default(),
            drivers: Mutex::new(BTreeMap::new()),
            memory,
            memory_mount: MountNamespace::internal(&memory_superblock),
            last_device: AtomicU32::new(2),
            last_inode: AtomicU64::new(1),
        };
        crate::fs::dev::add_drivers(&vfs);
        vfs
    }

    /// Takes a file system into use.
    pub fn superblock(&self, filesystem: Arc<dyn Filesystem>) -> Arc<Superblock> {
        let minor = self.last_device.fetch_add(1, Ordering::Relaxed) + 1;
        Superblock::new(filesystem, Device::new(0, minor))
    }

    /// The time that files are marked with.
    pub fn now(&self) -> Timestamp {
        self.machine.now(HostClock::Realtime).into()
    }

    /// A number for an inode without a path.
    pub fn inode_number(&self) -> u64 {
        self.last_inode.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Opens a file without a path. `/proc/PID/fd` calls it `anon_inode:NAME`.
    pub fn open_anonymous(
        &self,
        name: &str,
        object: Arc<dyn FileObject>,
        flags: OpenFlags,
        owner: &Credentials,
    ) -> Result<Arc<File>, Errno> {
        let (uid, gid) = (owner.fsuid, owner.fsgid);
        let inode = Anonymous::new(self.inode_number(), FileKind::Regular, 0o600, uid, gid, self.now());
        let name = alloc::format!("anon_inode:{name}");
        self.open_inode(Arc::new(inode), name.as_bytes(), object, flags)
    }

    /// The machine below.
    pub fn machine(&self) -> &Arc<dyn Machine> {
        &self.machine
    }

    /// Opens a new file in memory (memfd_create(2)).
    pub fn open_memory(
        &self,
        name: &[u8],
        permissions: u32,
        sealing: Sealing,
        owner: &Credentials,
    ) -> Result<Arc<File>, Errno> {
        let node = self.memory.unnamed(permissions, owner.fsuid, owner.fsgid)?;
        if sealing != Sealing::Refused {
            node.allow_sealing()?;
        }
        if sealing == Sealing::NeverExecuted {
            node.add_seals(Seals::EXEC)?;
        }
        let name = [b"/memfd:".as_slice(), name, b" (deleted)"].concat();
        let path = Path { mount: self.memory_mount.clone(), dentry: Dentry::top(node.clone(), &name) };
        self.file(node, path, OpenFlags::READ_WRITE | OpenFlags::LARGE_FILE)
    }

    /// Opens a file without a path that has an inode of its own (`pipe:[7]`, `socket:[8]`).
    pub fn open_inode(
        &self,
        inode: Arc<dyn Inode>,
        name: &[u8],
        object: Arc<dyn FileObject>,
        flags: OpenFlags,
    ) -> Result<Arc<File>, Errno> {
        self.file(object, self.path_without_name(inode, name), flags)
    }

    /// The place of a file without a path: what a link of proc(5) can lead to.
    pub fn path_without_name(&self, inode: Arc<dyn Inode>, name: &[u8]) -> Path {
        Path { mount: self.internal.clone(), dentry: Dentry::top(inode, name) }
    }

    /// Opens what was found at a path.
    pub fn file(&self, object: Arc<dyn FileObject>, path: Path, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        File::new(object, path, flags, &self.hooks)
    }

    /// Locks on files, and watches.
    pub fn hooks(&self) -> &Arc<Hooks> {
        &self.hooks
    }

    /// What keeps users of one directory apart.
    pub fn protections(&self) -> &Protections {
        &self.protections
    }

    /// Named pipes in use.
    pub fn fifos(&self) -> &Fifos {
        &self.fifos
    }

    /// A descriptor of a table was closed: the record locks that the table has on the file end (fcntl(2)).
    pub fn closed(&self, file: &File, table: &FdTable) {
        self.hooks.locks.clear(file.path().key(), LockOwner::Table(table.id()), 0, u64::MAX);
    }

    /// Whether a path names a file without a path.
    pub fn is_internal(&self, path: &Path) -> bool {
        Arc::ptr_eq(&path.mount, &self.internal) || Arc::ptr_eq(&path.mount, &self.memory_mount)
    }
}
