//! Inodes.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::data::Data;
use super::directory::Names;
use super::{Seals, Shared};
use crate::Errno;
use crate::account::Charge;
use crate::io::{Sink, Source};
use crate::mm::{MapPiece, Mappers};
use crate::platform::Sharing;
use crate::vfs::acl::{ACCESS, DEFAULT};
use crate::vfs::{
    Allocation, Caller, Changes, Device, DirEntry, Direction, Emit, FileKind, FileObject, Inode, LinkTarget, NewInode,
    NewKind, Opening, Rename, Seeking, Stat, Timestamp, WriteAt, Written, XattrSet,
};

/// Capabilities of a program: data and owner are not changed under them (capabilities(7)).
const CAPABILITIES: &[u8] = b"security.capability";

/// A file, directory, link, ...
#[derive(Debug)]
pub struct Node {
    shared: Arc<Shared>,
    number: u64,
    kind: FileKind,
    content: Content,
    facts: Mutex<Facts>,
    _memory: Charge,
}

/// What one takes beside the target of a link.
const NODE_BYTES: usize = 512;

#[derive(Debug)]
enum Content {
    File(Data),
    Directory(Mutex<Names>),
    Symlink(Vec<u8>),
    Device(Device),
    Nothing,
}

#[derive(Debug)]
struct Facts {
    permissions: u32,
    uid: u32,
    gid: u32,
    /// Names of a file; whether a directory has one.
    nlink: u32,
    atime: Timestamp,
    mtime: Timestamp,
    ctime: Timestamp,
    btime: Timestamp,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Permission bits to execute a file.
const EXECUTABLE: u32 = 0o111;

impl Node {
    /// With one name, which the caller gives it.
    pub(super) fn new(shared: &Arc<Shared>, new: &NewInode<'_>) -> Result<Arc<Self>, Errno> {
        let memory = Charge::new(NODE_BYTES + new.kind.text_bytes()).map_err(|_| Errno::ENOSPC)?;
        let number = shared.new_number()?;
        let now = shared.now();
        let content = match new.kind {
            NewKind::Regular => Content::File(Data::new(shared)),
            NewKind::Directory => Content::Directory(Mutex::default()),
            NewKind::Symlink(target) => Content::Symlink(target.to_vec()),
            NewKind::Character(device) | NewKind::Block(device) => Content::Device(device),
            NewKind::Fifo | NewKind::Socket => Content::Nothing,
        };
        let facts = Facts {
            permissions: new.permissions,
            uid: new.uid,
            gid: new.gid,
            nlink: 1,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: BTreeMap::new(),
        };
        Ok(Arc::new(Self {
            shared: shared.clone(),
            number,
            kind: new.kind.kind(),
            content,
            facts: Mutex::new(facts),
            _memory: memory,
        }))
    }

    /// It has one name less.
    pub(super) fn lose_name(&self) {
        let now = self.shared.now();
        let mut facts = self.facts.lock();
        facts.nlink = facts.nlink.saturating_sub(1);
        facts.ctime = now;
    }

    fn gain_name(&self) -> Result<(), Errno> {
        let now = self.shared.now();
        let mut facts = self.facts.lock();
        facts.nlink = facts.nlink.checked_add(1).ok_or(Errno::EMLINK)?;
        facts.ctime = now;
        Ok(())
    }

    fn names(&self) -> Result<&Mutex<Names>, Errno> {
        match &self.content {
            Content::Directory(names) => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn data(&self) -> Result<&Data, Errno> {
        match &self.content {
            Content::File(data) => Ok(data),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Its data or names changed now. A program that was written to loses its capabilities.
    fn modified(&self) {
        let now = self.shared.now();
        let mut facts = self.facts.lock();
        facts.mtime = now;
        facts.ctime = now;
        self.forget_xattr(&mut facts, CAPABILITIES);
    }

    fn forget_xattr(&self, facts: &mut Facts, name: &[u8]) -> bool {
        let Some((name, value)) = facts.xattrs.remove_entry(name) else { return false };
        self.shared.release_xattr(&name, &value);
        true
    }

    fn changed(&self) {
        self.facts.lock().ctime = self.shared.now();
    }

    /// The seals of a file (fcntl(2) F_GET_SEALS).
    pub fn seals(&self) -> Result<Seals, Errno> {
        self.data().map(Data::seals)
    }

    /// Lets seals be added: at first a file has one against that.
    pub fn allow_sealing(&self) -> Result<(), Errno> {
        self.data().map(Data::allow_sealing)
    }

    /// Adds seals.
    pub fn add_seals(&self, seals: Seals) -> Result<(), Errno> {
        let data = self.data()?;
        let facts = self.facts.lock();
        let before = data.seals();
        let program = seals.contains(Seals::EXEC) && facts.permissions & EXECUTABLE != 0;
        let seals = if program { seals | Seals::OF_PROGRAM } else { seals };
        let closes = seals.difference(before).contains(Seals::WRITE) && !before.contains(Seals::SEAL);
        if closes && data.mappers.have_writer() {
            return Err(Errno::EBUSY);
        }
        data.add_seals(seals)
    }

    /// Whether a seal keeps it from getting these permissions.
    fn refuses(&self, before: u32, permissions: u32) -> bool {
        (before ^ permissions) & EXECUTABLE != 0 && self.seals().is_ok_and(|seals| seals.contains(Seals::EXEC))
    }
}

impl Inode for Node {
    fn number(&self) -> u64 {
        self.number
    }

    fn kind(&self) -> FileKind {
        self.kind
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let (size, blocks, rdev, more_links) = match &self.content {
            Content::File(data) => (data.len(), data.taken_bytes() / 512, Device::NONE, 0),
            Content::Directory(names) => {
                let names = names.lock();
                // 20 bytes an entry, as Linux's tmpfs counts (BOGO_DIRENT_SIZE).
                ((names.len() as u64 + 2) * 20, 0, Device::NONE, 1 + names.directories())
            }
            Content::Symlink(target) => (target.len() as u64, 0, Device::NONE, 0),
            Content::Device(device) => (0, 0, *device, 0),
            Content::Nothing => (0, 0, Device::NONE, 0),
        };
        let facts = self.facts.lock();
        Ok(Stat {
            ino: self.number,
            mode: self.kind.mode() | facts.permissions,
            nlink: if facts.nlink == 0 { 0 } else { facts.nlink + more_links },
            uid: facts.uid,
            gid: facts.gid,
            rdev,
            size,
            blocks,
            atime: facts.atime,
            mtime: facts.mtime,
            ctime: facts.ctime,
            btime: Some(facts.btime),
        })
    }

    fn open(self: Arc<Self>, _: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(self)
    }

    fn layer(self: Arc<Self>) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(self)
    }

    fn change(&self, changes: &Changes) -> Result<(), Errno> {
        let now = self.shared.now();
        let mut facts = self.facts.lock();
        let facts = &mut *facts;
        if changes.permissions.is_some_and(|permissions| self.refuses(facts.permissions, permissions)) {
            return Err(Errno::EPERM);
        }
        facts.permissions = changes.permissions.unwrap_or(facts.permissions);
        if changes.uid.is_some() || changes.gid.is_some() {
            self.forget_xattr(facts, CAPABILITIES);
        }
        facts.uid = changes.uid.unwrap_or(facts.uid);
        facts.gid = changes.gid.unwrap_or(facts.gid);
        facts.atime = changes.atime.unwrap_or(facts.atime);
        facts.mtime = changes.mtime.unwrap_or(facts.mtime);
        facts.ctime = now;
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        Ok(self.names()?.lock().get(name)?)
    }

    fn create(&self, name: &[u8], new: &NewInode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let node = Node::new(&self.shared, new)?;
        self.names()?.lock().put(name, node.clone())?;
        self.modified();
        Ok(node)
    }

    fn create_unnamed(&self, new: &NewInode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let node = Node::new(&self.shared, new)?;
        node.lose_name();
        Ok(node)
    }

    fn link(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        let node: Arc<Node> = inode.downcast()?;
        self.names()?.lock().put(name, node.clone())?;
        node.gain_name()?;
        self.modified();
        Ok(())
    }

    fn unlink(&self, name: &[u8], _: &Arc<dyn Inode>) -> Result<(), Errno> {
        let node = self.names()?.lock().take(name)?;
        node.lose_name();
        self.modified();
        Ok(())
    }

    fn rmdir(&self, name: &[u8], _: &Arc<dyn Inode>) -> Result<(), Errno> {
        let node = self.names()?.lock().get(name)?;
        node.names()?.lock().kill()?;
        self.names()?.lock().take(name)?;
        node.lose_name();
        self.modified();
        Ok(())
    }

    fn rename(&self, name: &[u8], to: &Arc<dyn Inode>, to_name: &[u8], how: Rename) -> Result<(), Errno> {
        let to: Arc<Node> = to.downcast()?;
        let moved = self.names()?.lock().get(name)?;
        let there = to.names()?.lock().get(to_name).ok();
        match (how, &there) {
            (Rename::Exchange, Some(there)) => {
                self.names()?.lock().put(name, there.clone())?;
            }
            (_, Some(there)) if there.kind == FileKind::Directory => there.names()?.lock().kill()?,
            _ => {}
        }
        to.names()?.lock().put(to_name, moved.clone())?;
        if how != Rename::Exchange {
            self.names()?.lock().take(name)?;
            if let Some(there) = there {
                there.lose_name();
            }
        }
        if how == Rename::Whiteout {
            let kind = NewKind::Character(Device::NONE);
            self.create(name, &NewInode { kind, permissions: 0, uid: 0, gid: 0 })?;
        }
        self.modified();
        to.modified();
        moved.changed();
        Ok(())
    }

    fn link_target(&self, _: &Caller) -> Result<LinkTarget, Errno> {
        match &self.content {
            Content::Symlink(target) => Ok(LinkTarget::Text(target.clone())),
            _ => Err(Errno::EINVAL),
        }
    }

    fn set_len(&self, len: u64) -> Result<(), Errno> {
        self.data()?.set_len(len)?;
        self.data()?.mappers.changed();
        self.modified();
        Ok(())
    }

    fn allocate(&self, what: Allocation, offset: u64, len: u64) -> Result<(), Errno> {
        self.data()?.allocate(what, offset, len)?;
        self.data()?.mappers.changed();
        self.modified();
        Ok(())
    }

    fn accessed(&self) {
        let now = self.shared.now();
        let mut facts = self.facts.lock();
        // As with relatime: once after each change, and once a day.
        if facts.atime <= facts.mtime || facts.atime <= facts.ctime || now.secs - facts.atime.secs >= 86_400 {
            facts.atime = now;
        }
    }

    fn xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.facts.lock().xattrs.get(name).cloned().ok_or(Errno::ENODATA)
    }

    fn xattrs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(self.facts.lock().xattrs.keys().cloned().collect())
    }

    fn has_acl(&self) -> bool {
        let facts = self.facts.lock();
        !facts.xattrs.is_empty() && [ACCESS, DEFAULT].iter().any(|name| facts.xattrs.contains_key(*name))
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], how: XattrSet) -> Result<(), Errno> {
        let now = self.shared.now();
        let mut facts = self.facts.lock();
        match (how, facts.xattrs.contains_key(name)) {
            (XattrSet::Create, true) => return Err(Errno::EEXIST),
            (XattrSet::Replace, false) => return Err(Errno::ENODATA),
            _ => {}
        }
        self.shared.charge_xattr(name, value)?;
        if let Some(old) = facts.xattrs.insert(name.to_vec(), value.to_vec()) {
            self.shared.release_xattr(name, &old);
        }
        facts.ctime = now;
        Ok(())
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        let now = self.shared.now();
        let mut facts = self.facts.lock();
        if !self.forget_xattr(&mut facts, name) {
            return Err(Errno::ENODATA);
        }
        facts.ctime = now;
        Ok(())
    }
}

impl FileObject for Node {
    fn read(&self, sink: &mut dyn Sink, at: u64) -> Result<usize, Errno> {
        match &self.content {
            Content::Directory(_) => Err(Errno::EISDIR),
            _ => self.data()?.read(sink, at),
        }
    }

    fn write(&self, source: &mut dyn Source, at: WriteAt) -> Result<Written, Errno> {
        let written = self.data()?.write(source, at)?;
        self.modified();
        Ok(written)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn find(&self, from: u64, what: Direction) -> Result<u64, Errno> {
        self.data()?.find(from, what)
    }

    fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        self.data().map_err(|_| Errno::ENODEV)?.map(offset, len, sharing)
    }

    fn mappers(&self) -> Option<Arc<Mappers>> {
        Some(self.data().ok()?.mappers.clone())
    }

    fn is_sealed(&self) -> bool {
        self.seals().is_ok_and(|seals| seals.intersects(Seals::WRITE | Seals::FUTURE_WRITE))
    }

    fn read_dir(&self, at: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) -> Result<(), Errno> {
        self.names()?.lock().list(at, emit);
        Ok(())
    }
}

impl Drop for Node {
    /// Lets go of what is below one after the other: a deep tree must not recurse.
    fn drop(&mut self) {
        self.shared.release_number();
        for (name, value) in &self.facts.get_mut().xattrs {
            self.shared.release_xattr(name, value);
        }
        let Content::Directory(names) = &mut self.content else { return };
        let mut below: Vec<Arc<Node>> = names.get_mut().drain().collect();
        while let Some(node) = below.pop() {
            if let Some(mut node) = Arc::into_inner(node)
                && let Content::Directory(names) = &mut node.content
            {
                below.extend(names.get_mut().drain());
            }
        }
    }
}
