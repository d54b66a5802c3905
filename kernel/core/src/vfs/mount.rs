//! Mounts: which file system shows where (mount_namespaces(7)). All are private; nothing propagates.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use linux_raw_sys::general as abi;
use stockade_kernel_sync::Mutex;

use super::{Dentry, Path, Superblock};
use crate::Errno;

bitflags::bitflags! {
    /// What a mount allows; the bits of mount(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// Nothing can be changed.
        const READ_ONLY = abi::MS_RDONLY;
        /// Setuid and setgid bits and file capabilities mean nothing.
        const NO_SUID = abi::MS_NOSUID;
        /// Device nodes cannot be opened.
        const NO_DEV = abi::MS_NODEV;
        /// Nothing can be executed.
        const NO_EXEC = abi::MS_NOEXEC;
        /// Times of access are not kept.
        const NO_ATIME = abi::MS_NOATIME;
        /// Those of directories are not.
        const NO_DIR_ATIME = abi::MS_NODIRATIME;
        /// They are kept when they lag behind the others.
        const RELATIVE_ATIME = abi::MS_RELATIME;
        /// They are kept always.
        const STRICT_ATIME = abi::MS_STRICTATIME;
        /// No symbolic link is followed.
        const NO_SYMLINK_FOLLOW = abi::MS_NOSYMFOLLOW;
    }
}

impl MountFlags {
    /// With [`Self::RELATIVE_ATIME`] unless something else is said of times.
    pub fn with_default_times(self) -> Self {
        if self.intersects(Self::NO_ATIME | Self::STRICT_ATIME) { self } else { self | Self::RELATIVE_ATIME }
    }
}

/// The number of a mount in mountinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountId(pub u32);

impl MountId {
    /// The number that no other mount ever has (statmount(2)). Ours never come again anyway.
    pub fn unique(self) -> u64 {
        u64::from(self.0) + (1 << 31)
    }
}

/// A file system, or a part of it, that shows at a point.
#[derive(Debug)]
pub struct Mount {
    id: MountId,
    superblock: Arc<Superblock>,
    root: Arc<Dentry>,
    flags: AtomicU32,
    source: Vec<u8>,
    point: Mutex<Option<Path>>,
    bindable: AtomicBool,
    expiry: AtomicU8,
    /// It shows nowhere, and can be put somewhere (fsmount(2), open_tree(2)).
    floating: AtomicBool,
}

/// [`Mount::expires`]: it was not asked for yet, or used since.
const IN_USE: u8 = 0;
/// It was asked for.
const MARKED: u8 = 1;
/// The same, and somebody entered the mount once since: whoever asks again.
const ENTERED: u8 = 2;

impl Mount {
    /// It may not be shown elsewhere too (MS_UNBINDABLE).
    pub fn forbid_binding(&self) {
        self.bindable.store(false, Ordering::Relaxed);
    }

    /// It may be shown elsewhere too.
    pub fn allow_binding(&self) {
        self.bindable.store(true, Ordering::Relaxed);
    }

    /// Whether it may be shown elsewhere too.
    pub fn is_bindable(&self) -> bool {
        self.bindable.load(Ordering::Relaxed)
    }

    /// Asks, by a look-up that ends at the mount, whether nobody used it since the last time (MNT_EXPIRE).
    pub fn expires(&self) -> bool {
        self.expiry.swap(MARKED, Ordering::Relaxed) == ENTERED
    }

    fn note_entry(&self) {
        let now = self.expiry.load(Ordering::Relaxed);
        if now != IN_USE {
            self.expiry.store(if now == MARKED { ENTERED } else { IN_USE }, Ordering::Relaxed);
        }
    }

    /// Its number.
    pub fn id(&self) -> MountId {
        self.id
    }

    /// The file system.
    pub fn superblock(&self) -> &Arc<Superblock> {
        &self.superblock
    }

    /// What it shows.
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// What it allows.
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Acquire))
    }

    /// Changes what it allows.
    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::Release);
    }

    /// What mount(2) called the source.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Where it shows; `None` for the first mount of a namespace, and for one that was taken away.
    pub fn point(&self) -> Option<Path> {
        self.point.lock().clone()
    }

    /// `EROFS` unless names and data can be changed.
    pub fn check_writable(&self) -> Result<(), Errno> {
        if self.shown_flags().contains(MountFlags::READ_ONLY) { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// What it allows, by its file system too.
    pub fn shown_flags(&self) -> MountFlags {
        let read_only = if self.superblock.is_read_only() { MountFlags::READ_ONLY } else { MountFlags::empty() };
        self.flags() | read_only
    }

    /// Whether it was never put anywhere.
    pub fn is_floating(&self) -> bool {
        self.floating.load(Ordering::Acquire)
    }
}

impl Drop for Mount {
    /// Lets go of the mounts below one after the other: a high stack must not recurse.
    fn drop(&mut self) {
        let mut below = self.point.get_mut().take();
        while let Some(Path { mount, .. }) = below {
            below = Arc::into_inner(mount).and_then(|mut mount| mount.point.get_mut().take());
        }
    }
}

/// All mounts that a set of tasks sees.
#[derive(Debug)]
pub struct MountNamespace {
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    root: Arc<Mount>,
    /// By the mount and the dentry that they cover.
    by_point: BTreeMap<(MountId, usize), Arc<Mount>>,
}

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// /proc/sys/fs/mount-max: copying a tree into itself doubles it each time.
const MOUNTS_MAX: usize = 100_000;

fn new_mount(superblock: &Arc<Superblock>, root: &Arc<Dentry>, flags: MountFlags, source: &[u8]) -> Arc<Mount> {
    Arc::new(Mount {
        id: MountId(NEXT_ID.fetch_add(1, Ordering::Relaxed)),
        superblock: superblock.clone(),
        root: root.clone(),
        flags: AtomicU32::new(flags.bits()),
        source: source.to_vec(),
        point: Mutex::new(None),
        bindable: AtomicBool::new(true),
        expiry: AtomicU8::new(IN_USE),
        floating: AtomicBool::new(false),
    })
}

/// One more mount of what is at a path.
fn copy(from: &Path) -> Result<Arc<Mount>, Errno> {
    let mount = &from.mount;
    if !mount.is_bindable() {
        return Err(Errno::EINVAL);
    }
    Ok(new_mount(mount.superblock(), &from.dentry, mount.flags(), mount.source()))
}

impl MountNamespace {
    /// A namespace with one mount.
    pub fn new(superblock: &Arc<Superblock>, flags: MountFlags, source: &[u8]) -> Arc<Self> {
        let root = new_mount(superblock, superblock.root(), flags, source);
        Arc::new(Self { table: Mutex::new(Table { root, by_point: BTreeMap::new() }) })
    }

    /// The mount without files of a kernel's pipes, sockets and other files without a path.
    pub fn internal(superblock: &Arc<Superblock>) -> Arc<Mount> {
        new_mount(superblock, superblock.root(), MountFlags::empty(), b"none")
    }

    /// The first mount's root.
    pub fn root(&self) -> Path {
        Path::root_of(&self.table.lock().root)
    }

    /// Goes from a point to the root of what is mounted there, through all that is mounted on each other.
    pub fn cross(&self, path: &mut Path) -> bool {
        let mut crossed = false;
        while path.dentry.has_mounts() {
            let Some(mount) = self.table.lock().at(path) else { break };
            mount.note_entry();
            *path = Path::root_of(&mount);
            crossed = true;
        }
        crossed
    }

    /// Mounts a file system on a directory or file.
    pub fn mount(
        &self,
        at: &Path,
        superblock: &Arc<Superblock>,
        flags: MountFlags,
        source: &[u8],
    ) -> Result<Arc<Mount>, Errno> {
        self.attach(at, new_mount(superblock, superblock.root(), flags, source))
    }

    /// Shows what is at one path at another too (MS_BIND).
    pub fn bind(&self, from: &Path, at: &Path) -> Result<Arc<Mount>, Errno> {
        self.attach(at, copy(from)?)
    }

    /// The same with all mounts below (MS_BIND | MS_REC).
    pub fn bind_all(&self, from: &Path, at: &Path) -> Result<Arc<Mount>, Errno> {
        let below = self.below(&from.mount);
        self.table.lock().check_room(below.len() + 1)?;
        let top = self.bind(from, at)?;
        self.copy_below(from, below, &top)?;
        Ok(top)
    }

    /// Copies mounts that lie below a path to below a copy of its mount.
    fn copy_below(&self, from: &Path, below: Vec<Arc<Mount>>, top: &Arc<Mount>) -> Result<(), Errno> {
        let mut copies = BTreeMap::from([(from.mount.id(), top.clone())]);
        for mount in below {
            let Some(point) = mount.point().filter(|_| mount.is_bindable()) else { continue };
            let inside = point.mount.id() != from.mount.id() || from.dentry.is_above(&point.dentry);
            let Some(parent) = copies.get(&point.mount.id()).filter(|_| inside).cloned() else { continue };
            let copy = new_mount(mount.superblock(), mount.root(), mount.flags(), mount.source());
            copies.insert(mount.id(), copy.clone());
            self.attach(&Path { mount: parent, dentry: point.dentry }, copy)?;
        }
        Ok(())
    }

    /// A mount that shows nowhere yet (fsmount(2)).
    pub fn float(&self, superblock: &Arc<Superblock>, flags: MountFlags, source: &[u8]) -> Arc<Mount> {
        let mount = new_mount(superblock, superblock.root(), flags, source);
        mount.floating.store(true, Ordering::Release);
        mount
    }

    /// A copy of what is at a path that shows nowhere yet (open_tree(2)).
    pub fn copy_floating(&self, from: &Path) -> Result<Arc<Mount>, Errno> {
        let mount = copy(from)?;
        mount.floating.store(true, Ordering::Release);
        Ok(mount)
    }

    /// The same with all mounts below.
    pub fn copy_all_floating(&self, from: &Path) -> Result<Arc<Mount>, Errno> {
        let below = self.below(&from.mount);
        self.table.lock().check_room(below.len())?;
        let top = self.copy_floating(from)?;
        self.copy_below(from, below, &top).inspect_err(|_| self.sink(&top))?;
        Ok(top)
    }

    /// Puts a mount that shows nowhere to its place.
    pub fn settle(&self, mount: &Arc<Mount>, at: &Path) -> Result<(), Errno> {
        if at.dentry.is_unlinked() {
            return Err(Errno::ENOENT);
        }
        let mut table = self.table.lock();
        if at.is_below(&Path::root_of(mount)) {
            return Err(Errno::ELOOP);
        }
        table.check_room(1)?;
        if !mount.floating.swap(false, Ordering::AcqRel) {
            return Err(Errno::EINVAL);
        }
        table.attach(at, mount);
        Ok(())
    }

    /// Nobody can put a mount that shows nowhere to a place any more: takes what lies on it away.
    pub fn sink(&self, mount: &Arc<Mount>) {
        if mount.floating.swap(false, Ordering::AcqRel) {
            let below = self.below(mount);
            let mut table = self.table.lock();
            for child in below.iter().rev() {
                table.detach(child);
            }
            // Before the last references of what was taken away go.
            drop(table);
        }
    }

    fn attach(&self, at: &Path, mount: Arc<Mount>) -> Result<Arc<Mount>, Errno> {
        if at.dentry.is_unlinked() {
            return Err(Errno::ENOENT);
        }
        let mut table = self.table.lock();
        table.check_room(1)?;
        table.attach(at, &mount);
        Ok(mount)
    }

    /// Takes a mount away (umount2(2)): `EBUSY` while it is used or has mounts below.
    pub fn unmount(&self, mount: &Arc<Mount>) -> Result<(), Errno> {
        let mut table = self.table.lock();
        if table.children(mount).next().is_some() || Arc::ptr_eq(&table.root, mount) {
            return Err(Errno::EBUSY);
        }
        // One reference is the table's, one the caller's.
        if Arc::strong_count(mount) > 2 {
            return Err(Errno::EBUSY);
        }
        table.detach(mount).ok_or(Errno::EINVAL)
    }

    /// Takes a mount and all below away from the tree; files in use stay usable (MNT_DETACH).
    pub fn detach(&self, mount: &Arc<Mount>) -> Result<(), Errno> {
        let below = self.below(mount);
        let mut table = self.table.lock();
        if Arc::ptr_eq(&table.root, mount) {
            return Err(Errno::EINVAL);
        }
        for child in below.iter().rev() {
            table.detach(child);
        }
        table.detach(mount).ok_or(Errno::EINVAL)
    }

    /// Moves a mount to another point (MS_MOVE).
    pub fn relocate(&self, mount: &Arc<Mount>, to: &Path) -> Result<(), Errno> {
        let mut table = self.table.lock();
        // With the table locked: two that move below each other would be a circle.
        if to.is_below(&Path::root_of(mount)) {
            return Err(Errno::ELOOP);
        }
        table.detach(mount).ok_or(Errno::EINVAL)?;
        table.attach(to, mount);
        Ok(())
    }

    /// Puts a mount between another one and its point (MOVE_MOUNT_BENEATH): it shows when that one goes.
    pub fn slip_beneath(&self, mount: &Arc<Mount>, top: &Arc<Mount>) -> Result<(), Errno> {
        let mut table = self.table.lock();
        let (root, upper) = (Path::root_of(mount), Path::root_of(top));
        let point = top.point().ok_or(Errno::EINVAL)?;
        if table.at(&root).is_some() || root.is_below(&upper) {
            return Err(Errno::EINVAL);
        }
        if upper.is_below(&root) {
            return Err(Errno::ELOOP);
        }
        table.check_room(1)?;
        if !mount.floating.swap(false, Ordering::AcqRel) {
            table.detach(mount).ok_or(Errno::EINVAL)?;
        }
        table.detach(top).ok_or(Errno::EINVAL)?;
        table.attach(&point, mount);
        table.attach(&root, top);
        Ok(())
    }

    /// Makes a mount the root and hangs the old root at a point below it (pivot_root(2)). The caller checked both.
    pub fn pivot(&self, new_root: &Arc<Mount>, put_old: &Path) -> Result<(), Errno> {
        let mut table = self.table.lock();
        table.detach(new_root).ok_or(Errno::EINVAL)?;
        let old = core::mem::replace(&mut table.root, new_root.clone());
        // The point on the new root itself, where it was and where the old root goes now, stays valid.
        table.attach(put_old, &old);
        Ok(())
    }

    /// Whether a mount is part of this namespace.
    pub fn contains(&self, mount: &Arc<Mount>) -> bool {
        let table = self.table.lock();
        Arc::ptr_eq(&table.root, mount) || table.by_point.values().any(|other| Arc::ptr_eq(other, mount))
    }

    /// All mounts, each before those that lie on it.
    pub fn all(&self) -> Vec<Arc<Mount>> {
        let root = self.table.lock().root.clone();
        let mut all = self.below(&root);
        all.insert(0, root);
        all
    }

    /// All mounts below one, each before those that lie on it.
    pub fn below(&self, top: &Arc<Mount>) -> Vec<Arc<Mount>> {
        let table = self.table.lock();
        let mut found: Vec<Arc<Mount>> = table.children(top).cloned().collect();
        let mut next = 0;
        while let Some(mount) = found.get(next).cloned() {
            found.extend(table.children(&mount).cloned());
            next += 1;
        }
        found
    }
}

impl Table {
    fn at(&self, point: &Path) -> Option<Arc<Mount>> {
        self.by_point.get(&key(point)).cloned()
    }

    fn children<'a>(&'a self, mount: &Arc<Mount>) -> impl Iterator<Item = &'a Arc<Mount>> + use<'a> {
        self.by_point.range((mount.id, 0)..=(mount.id, usize::MAX)).map(|(_, child)| child)
    }

    /// `ENOSPC` unless so many more fit.
    fn check_room(&self, more: usize) -> Result<(), Errno> {
        if self.by_point.len().saturating_add(more) > MOUNTS_MAX { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    fn attach(&mut self, at: &Path, mount: &Arc<Mount>) {
        let mut at = at.clone();
        while let Some(upper) = self.at(&at) {
            at = Path::root_of(&upper);
        }
        at.dentry.add_mount();
        self.by_point.insert(key(&at), mount.clone());
        *mount.point.lock() = Some(at);
    }

    fn detach(&mut self, mount: &Arc<Mount>) -> Option<()> {
        let point = mount.point.lock().take()?;
        point.dentry.remove_mount();
        self.by_point.remove(&key(&point)).map(drop)
    }
}

fn key(point: &Path) -> (MountId, usize) {
    (point.mount.id, Arc::as_ptr(&point.dentry).addr())
}
