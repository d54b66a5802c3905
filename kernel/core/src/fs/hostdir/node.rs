//! Inodes.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use stockade_kernel_sync::{Mutex, MutexGuard};

use super::file::HostFileObject;
use super::held::Held;
use super::listing::HostListing;
use super::names::Names;
use super::{Shared, TRUST};
use crate::Errno;
use crate::platform::{FileAccess, HostFacts, HostFile};
use crate::vfs::acl::{ACCESS, DEFAULT};
use crate::vfs::{
    Allocation, Caller, Changes, FileKind, FileObject, Inode, LinkTarget, NewInode, Opening, Rename, Stat, XattrSet,
};

/// A file, directory, link, ... of the host.
#[derive(Debug)]
pub(super) struct Node {
    me: Weak<Node>,
    pub(super) shared: Arc<Shared>,
    /// Locked while the host is asked what it is.
    pub(super) held: Mutex<Held>,
    key: (u64, u64),
    number: u64,
    kind: FileKind,
    facts: Mutex<Facts>,
    /// A directory's.
    pub(super) names: Mutex<Names>,
    data: Mutex<Data>,
    /// Held by a write, so that others see all of it or nothing.
    writing: Mutex<()>,
}

/// What the host said.
#[derive(Debug, Default)]
struct Facts {
    /// When a name led here.
    named: Duration,
    /// When it was asked for, and the renames before.
    stat: Option<(Duration, u64, Stat)>,
    /// When it was asked for an access list, and whether there was one.
    acl: Option<(Duration, bool)>,
    /// Where a symbolic link leads, which never changes.
    target: Option<Vec<u8>>,
    /// It lost a name.
    unlinked: bool,
}

/// A regular file that is open on the host. Once it is open for writing it is read through that too: on some file
/// systems what was opened for reading before shows the old data.
#[derive(Debug, Default)]
struct Data {
    read: Option<Arc<dyn HostFile>>,
    write: Option<Arc<dyn HostFile>>,
    users: u32,
    /// Whether it is among the idle files, or was when its last user left.
    resting: bool,
}

impl Data {
    fn best(&self) -> Option<&Arc<dyn HostFile>> {
        self.write.as_ref().or(self.read.as_ref())
    }
}

impl Node {
    pub(super) fn new(shared: &Arc<Shared>, held: Held, key: (u64, u64), number: u64, kind: FileKind) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            shared: shared.clone(),
            held: Mutex::new(held),
            key,
            number,
            kind,
            facts: Mutex::default(),
            names: Mutex::default(),
            data: Mutex::default(),
            writing: Mutex::default(),
        })
    }

    pub(super) fn file_kind(&self) -> FileKind {
        self.kind
    }

    pub(super) fn weak(&self) -> Weak<Self> {
        self.me.clone()
    }

    /// The number of a file of the same device.
    pub(super) fn number_of(&self, ino: u64) -> u64 {
        self.shared.number(self.key.0, ino)
    }

    /// A name led here, and the host said this about it.
    pub(super) fn learn(&self, stat: Stat) {
        self.learn_at(self.shared.now(), self.shared.renames(), stat);
    }

    /// The same, as it was then.
    pub(super) fn learn_at(&self, at: Duration, renames: u64, stat: Stat) {
        let mut facts = self.facts.lock();
        facts.named = at;
        facts.stat = Some((at, renames, stat));
    }

    /// A listing said this about it, unless anything changed since.
    pub(super) fn hear(&self, at: Duration, renames: u64, changes: u64, stat: Stat) {
        let mut facts = self.facts.lock();
        if self.shared.changes() == changes {
            facts.stat = Some((at, renames, stat));
        }
    }

    /// A name led here then.
    pub(super) fn found_at(&self, at: Duration) {
        let mut facts = self.facts.lock();
        facts.named = facts.named.max(at);
    }

    /// The host was asked what it is: the file that was known, or another one with its name. The next walk asks again
    /// what that is called.
    pub(super) fn identified(&self, found: &HostFacts) {
        if (found.device, found.stat.ino) == self.key {
            return self.learn(found.stat);
        }
        self.shared.disown(self.key, self);
        self.learn_at(Duration::ZERO, 0, found.stat);
    }

    /// Its name leads elsewhere.
    pub(super) fn distrust(&self) {
        self.facts.lock().named = Duration::ZERO;
    }

    /// It changed.
    pub(super) fn changed(&self) {
        let mut facts = self.facts.lock();
        self.shared.count_change();
        facts.stat = None;
        facts.acl = None;
    }

    /// It came open.
    pub(super) fn adopt(&self, file: Arc<dyn HostFile>) {
        self.begin_use();
        self.data.lock().write = Some(file);
        self.end_use();
    }

    pub(super) fn write_lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock()
    }

    /// The data, for reading or for both; opened unless it is.
    pub(super) fn file(&self, access: FileAccess) -> Result<Arc<dyn HostFile>, Errno> {
        let known = {
            let data = self.data.lock();
            if access == FileAccess::Read { data.best().cloned() } else { data.write.clone() }
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let file = self.shared.directory.open(self.id()?, access)?;
        let mut data = self.data.lock();
        let place = if access == FileAccess::Read { &mut data.read } else { &mut data.write };
        // Somebody may have been faster; all shall use one.
        Ok(place.get_or_insert(file).clone())
    }

    /// The file if it was opened for writing.
    pub(super) fn written_file(&self) -> Option<Arc<dyn HostFile>> {
        self.data.lock().write.clone()
    }

    /// One more open file.
    pub(super) fn begin_use(&self) {
        self.data.lock().users += 1;
    }

    /// One open file less.
    pub(super) fn end_use(&self) {
        let rests = {
            let mut data = self.data.lock();
            data.users = data.users.saturating_sub(1);
            let rests = data.users == 0 && !data.resting;
            data.resting |= rests;
            rests
        };
        if rests {
            self.shared.rest(self.me.clone());
        }
    }

    /// It waited longest among the idle files.
    pub(super) fn make_room(&self) {
        self.data.lock().resting = false;
        self.close_if_idle();
    }

    /// Closes it on the host unless somebody has it open.
    pub(super) fn close_if_idle(&self) {
        let closed = {
            let mut data = self.data.lock();
            if data.users > 0 || data.best().is_none() {
                return;
            }
            (data.read.take(), data.write.take())
        };
        self.changed();
        drop(closed);
    }

    /// Does something with the data, for which it need not be open.
    fn with_file<T>(&self, act: impl FnOnce(&dyn HostFile) -> Result<T, Errno>) -> Result<T, Errno> {
        if self.kind != FileKind::Regular {
            return Err(Errno::EINVAL);
        }
        self.begin_use();
        let result = self.file(FileAccess::ReadWrite).and_then(|file| act(&*file));
        self.end_use();
        result
    }

    /// The host's facts as this file system's.
    fn shown(&self, stat: Stat) -> Stat {
        Stat { ino: self.number, ..stat }
    }

    fn known_stat(&self) -> Option<Stat> {
        let (at, renames, stat) = self.facts.lock().stat?;
        let fresh = self.shared.now().saturating_sub(at) < TRUST && renames == self.shared.renames();
        fresh.then_some(stat)
    }

    fn ask_stat(&self) -> Result<Stat, Errno> {
        let id = self.id()?;
        // Asking what it is may have told.
        if let Some(known) = self.known_stat() {
            return Ok(known);
        }
        let (now, renames, changes) = (self.shared.now(), self.shared.renames(), self.shared.changes());
        let stat = self.shared.directory.stat(id)?;
        self.hear(now, renames, changes, stat);
        Ok(stat)
    }

    /// A name came, went or leads elsewhere.
    fn names_changed(&self, name: &[u8]) {
        self.names.lock().touch(name);
        self.changed();
    }

    fn check_directory(&self) -> Result<(), Errno> {
        if self.kind == FileKind::Directory { Ok(()) } else { Err(Errno::ENOTDIR) }
    }
}

impl Inode for Node {
    fn number(&self) -> u64 {
        self.number
    }

    fn kind(&self) -> FileKind {
        self.kind
    }

    fn is_current(&self) -> bool {
        let named = self.facts.lock().named;
        self.shared.now().saturating_sub(named) < TRUST
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let said = match self.known_stat() {
            Some(known) => known,
            None => self.ask_stat()?,
        };
        let open = self.data.lock().best().cloned();
        match open {
            // What is open the machine sees as it is now, but not by whose ids it is whose.
            Some(open) => Ok(self.shown(Stat { uid: said.uid, gid: said.gid, ..open.stat()? })),
            None => Ok(self.shown(said)),
        }
    }

    fn open(self: Arc<Self>, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        match self.kind {
            FileKind::Directory => Ok(Arc::new(HostListing::new(self))),
            FileKind::Regular if opening.flags.writes() => HostFileObject::open(self, FileAccess::ReadWrite),
            FileKind::Regular => HostFileObject::open(self, FileAccess::Read),
            _ => Err(Errno::ENXIO),
        }
    }

    fn change(&self, changes: &Changes) -> Result<(), Errno> {
        let (directory, id) = (&self.shared.directory, self.id()?);
        if changes.uid.is_some() || changes.gid.is_some() {
            directory.set_owner(id, changes.uid, changes.gid)?;
        }
        if let Some(permissions) = changes.permissions {
            directory.set_permissions(id, permissions)?;
        }
        if changes.atime.is_some() || changes.mtime.is_some() {
            directory.set_times(id, changes.atime, changes.mtime)?;
        }
        self.changed();
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        self.check_directory()?;
        Ok(self.find(name)?)
    }

    fn create(&self, name: &[u8], new: &NewInode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let (entry, file) = self.shared.directory.create(self.id()?, name, new)?;
        self.names_changed(name);
        Ok(self.shared.node(entry, file)?)
    }

    fn create_unnamed(&self, new: &NewInode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let (entry, file) = self.shared.directory.create_unnamed(self.id()?, new)?;
        Ok(self.shared.node(entry, Some(file))?)
    }

    fn link(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        let node: Arc<Node> = inode.downcast()?;
        self.shared.directory.link(node.id()?, self.id()?, name)?;
        self.names_changed(name);
        node.changed();
        Ok(())
    }

    fn unlink(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        let node: Arc<Node> = inode.downcast()?;
        self.settle(name);
        self.shared.directory.unlink(self.id()?, name)?;
        self.names_changed(name);
        node.changed();
        // Else its room would not come free.
        node.facts.lock().unlinked = true;
        node.close_if_idle();
        Ok(())
    }

    fn rmdir(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.settle(name);
        self.shared.directory.rmdir(self.id()?, name)?;
        self.names_changed(name);
        inode.downcast::<Self>()?.changed();
        Ok(())
    }

    fn rename(&self, name: &[u8], to: &Arc<dyn Inode>, to_name: &[u8], how: Rename) -> Result<(), Errno> {
        let to: Arc<Node> = to.downcast()?;
        self.settle(name);
        to.settle(to_name);
        self.shared.directory.rename(self.id()?, name, to.id()?, to_name, how)?;
        self.shared.renames.fetch_add(1, Ordering::AcqRel);
        self.names_changed(name);
        to.names_changed(to_name);
        Ok(())
    }

    fn link_target(&self, _: &Caller) -> Result<LinkTarget, Errno> {
        if self.kind != FileKind::Symlink {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = self.facts.lock().target.clone() {
            return Ok(LinkTarget::Text(target));
        }
        let target = self.shared.directory.read_link(self.id()?)?;
        self.facts.lock().target = Some(target.clone());
        Ok(LinkTarget::Text(target))
    }

    fn set_len(&self, len: u64) -> Result<(), Errno> {
        let _writing = self.write_lock();
        self.with_file(|file| file.set_len(len))
    }

    fn allocate(&self, what: Allocation, offset: u64, len: u64) -> Result<(), Errno> {
        let _writing = self.write_lock();
        self.with_file(|file| file.allocate(what, offset, len))
    }

    fn xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.shared.directory.xattr(self.id()?, name)
    }

    fn xattrs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        self.shared.directory.xattrs(self.id()?)
    }

    fn has_acl(&self) -> bool {
        let now = self.shared.now();
        if let Some((_, has)) = self.facts.lock().acl.filter(|(asked, _)| now.saturating_sub(*asked) < TRUST) {
            return has;
        }
        let has = self.xattrs().is_ok_and(|names| names.iter().any(|name| *name == ACCESS || *name == DEFAULT));
        self.facts.lock().acl = Some((now, has));
        has
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], how: XattrSet) -> Result<(), Errno> {
        let result = self.shared.directory.set_xattr(self.id()?, name, value, how);
        self.changed();
        result
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        let result = self.shared.directory.remove_xattr(self.id()?, name);
        self.changed();
        result
    }

    fn sync(&self) -> Result<(), Errno> {
        let open = self.data.lock().best().cloned();
        match open {
            Some(open) => open.sync(),
            None => self.shared.directory.sync(self.id()?),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.remove(self.key);
        match (&*self.held.lock(), self.facts.lock().unlinked) {
            (Held::Named(named), _) => named.leave(self),
            (Held::Node(id), true) => self.shared.directory.forget_now(*id),
            (Held::Node(id), false) => self.shared.directory.forget(*id),
        }
    }
}
