//! The kernel's host directory: what it asks a file server.

mod channel;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use stockade_kernel::Errno;
use stockade_kernel::platform::{
    FileAccess, FirstNames, HostDirectory, HostEntry, HostFacts, HostFile, HostName, NodeId,
};
use stockade_kernel::vfs::{Device, FileKind, NewInode, NewKind, Rename, Stat, StatFs, Timestamp, XattrSet};
use stockade_kernel_files::protocol::{
    self, Access, Attributes, Entry, FileSystem, Make, MakeKind, Reader, Removal, RenameHow, Request, SetXattr, Times,
};
use stockade_kernel_platform::HostMachine;

use channel::{Channel, Heard, nonsense};

/// Bits of a mode that are its type (S_IFMT).
const TYPE: u32 = 0o170_000;

/// A directory behind a file server.
#[derive(Debug)]
pub(super) struct Directory {
    channel: Channel,
    machine: Arc<HostMachine>,
}

impl Directory {
    /// At the other end of a socket.
    pub(super) fn new(socket: OwnedFd, machine: &Arc<HostMachine>) -> Arc<Self> {
        Arc::new(Self { channel: Channel::new(socket), machine: machine.clone() })
    }

    /// Has the file server refuse all changes from now on.
    pub(super) fn seal(&self) -> Result<(), Errno> {
        self.tell(&Request::Seal)
    }

    /// Asks nothing any more: the file server ends.
    pub(super) fn close(&self) {
        self.channel.close();
    }

    fn ask<T>(&self, request: &Request<'_>, read: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Result<T, Errno> {
        self.channel.ask(request)?.read(read)
    }

    fn tell(&self, request: &Request<'_>) -> Result<(), Errno> {
        self.ask(request, |_| Some(()))
    }

    fn file(&self, heard: &mut Heard) -> Option<Arc<dyn HostFile>> {
        heard.file.take().map(|file| self.machine.add_file(file))
    }

    /// What was made, and its data.
    fn made(&self, request: &Request<'_>) -> Result<(HostEntry, Option<Arc<dyn HostFile>>), Errno> {
        let mut heard = self.channel.ask(request)?;
        let file = self.file(&mut heard);
        Ok((heard.read(Entry::decode).map(entry)?, file))
    }
}

fn entry(entry: Entry) -> HostEntry {
    HostEntry { node: NodeId(entry.node), facts: facts(&entry.attributes) }
}

fn facts(found: &Attributes) -> HostFacts {
    HostFacts { device: found.device, stat: stat(found) }
}

fn stat(found: &Attributes) -> Stat {
    let time = |(secs, nanos)| Timestamp { secs, nanos };
    Stat {
        ino: found.ino,
        mode: found.mode,
        nlink: found.nlink,
        uid: found.uid,
        gid: found.gid,
        rdev: Device::new(found.rdev.0, found.rdev.1),
        size: found.size,
        blocks: found.blocks,
        atime: time(found.atime),
        mtime: time(found.mtime),
        ctime: time(found.ctime),
        btime: found.btime.map(time),
    }
}

/// `EPERM` for devices: none are made on the host.
fn kind(kind: NewKind<'_>) -> Result<MakeKind<'_>, Errno> {
    Ok(match kind {
        NewKind::Regular => MakeKind::Regular,
        NewKind::Directory => MakeKind::Directory,
        NewKind::Symlink(target) => MakeKind::Symlink(target),
        NewKind::Fifo => MakeKind::Fifo,
        NewKind::Socket => MakeKind::Socket,
        NewKind::Character(Device::NONE) => MakeKind::Whiteout,
        NewKind::Character(_) | NewKind::Block(_) => return Err(Errno::EPERM),
    })
}

fn access(access: FileAccess) -> Access {
    match access {
        FileAccess::Read => Access::Read,
        FileAccess::ReadWrite => Access::ReadWrite,
    }
}

fn names(reader: &mut Reader<'_>) -> Vec<HostName> {
    std::iter::from_fn(|| protocol::listed(reader))
        .map(|listed| HostName {
            name: listed.name.to_vec(),
            ino: listed.ino,
            kind: FileKind::from_mode(listed.kind & TYPE).unwrap_or(FileKind::Regular),
            next: listed.next,
            facts: listed.attributes.map(|found| Box::new(facts(&found))),
        })
        .collect()
}

impl HostDirectory for Directory {
    fn root(&self) -> Result<HostEntry, Errno> {
        let attributes = self.ask(&Request::Attributes { node: protocol::ROOT }, Attributes::decode)?;
        Ok(entry(Entry { node: protocol::ROOT, attributes }))
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<HostEntry, Errno> {
        self.ask(&Request::Lookup { directory: directory.0, name }, Entry::decode).map(entry)
    }

    fn forget(&self, node: NodeId) {
        self.channel.forget(node.0);
    }

    fn forget_now(&self, node: NodeId) {
        self.channel.forget(node.0);
        self.channel.settle();
    }

    fn stat(&self, node: NodeId) -> Result<Stat, Errno> {
        self.ask(&Request::Attributes { node: node.0 }, Attributes::decode).map(|found| stat(&found))
    }

    fn open(&self, node: NodeId, wanted: FileAccess) -> Result<Arc<dyn HostFile>, Errno> {
        let mut heard = self.channel.ask(&Request::Open { node: node.0, access: access(wanted) })?;
        self.file(&mut heard).ok_or_else(|| nonsense("an open file without a descriptor"))
    }

    fn create(
        &self,
        directory: NodeId,
        name: &[u8],
        new: &NewInode<'_>,
    ) -> Result<(HostEntry, Option<Arc<dyn HostFile>>), Errno> {
        let NewInode { permissions, uid, gid, .. } = *new;
        let make = Make { kind: kind(new.kind)?, permissions, uid, gid };
        self.made(&Request::Make { directory: directory.0, name, make })
    }

    fn create_unnamed(&self, directory: NodeId, new: &NewInode<'_>) -> Result<(HostEntry, Arc<dyn HostFile>), Errno> {
        let NewInode { permissions, uid, gid, .. } = *new;
        let (entry, file) = self.made(&Request::MakeUnnamed { directory: directory.0, permissions, uid, gid })?;
        Ok((entry, file.ok_or_else(|| nonsense("a new file without a descriptor"))?))
    }

    fn link(&self, node: NodeId, directory: NodeId, name: &[u8]) -> Result<(), Errno> {
        self.tell(&Request::Link { node: node.0, directory: directory.0, name })
    }

    fn unlink(&self, directory: NodeId, name: &[u8]) -> Result<(), Errno> {
        self.tell(&Request::Remove { directory: directory.0, name, what: Removal::Name })
    }

    fn rmdir(&self, directory: NodeId, name: &[u8]) -> Result<(), Errno> {
        self.tell(&Request::Remove { directory: directory.0, name, what: Removal::Directory })
    }

    fn rename(&self, from: NodeId, name: &[u8], to: NodeId, to_name: &[u8], how: Rename) -> Result<(), Errno> {
        let how = match how {
            Rename::Replace => RenameHow::Replace,
            Rename::Exchange => RenameHow::Exchange,
            Rename::Whiteout => RenameHow::Whiteout,
        };
        self.tell(&Request::Rename { directory: from.0, name, to: to.0, to_name, how })
    }

    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        self.ask(&Request::ReadLink { node: node.0 }, |reader| reader.bytes().map(<[u8]>::to_vec))
    }

    fn set_permissions(&self, node: NodeId, permissions: u32) -> Result<(), Errno> {
        self.tell(&Request::SetMode { node: node.0, permissions })
    }

    fn set_owner(&self, node: NodeId, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        self.tell(&Request::SetOwner { node: node.0, uid, gid })
    }

    fn set_times(&self, node: NodeId, atime: Option<Timestamp>, mtime: Option<Timestamp>) -> Result<(), Errno> {
        let time = |time: Timestamp| (time.secs, time.nanos);
        let times = Times { atime: atime.map(time), mtime: mtime.map(time) };
        self.tell(&Request::SetTimes { node: node.0, times })
    }

    fn list(&self, node: NodeId) -> Result<FirstNames, Errno> {
        self.ask(&Request::List { node: node.0 }, |reader| {
            let rest = reader.optional(Reader::u32)?.map(NodeId);
            Some(FirstNames { rest, names: names(reader) })
        })
    }

    fn read_listing(&self, listing: NodeId, at: u64) -> Result<Vec<HostName>, Errno> {
        self.ask(&Request::ReadListing { listing: listing.0, at }, |reader| Some(names(reader)))
    }

    fn xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.ask(&Request::Xattr { node: node.0, name }, |reader| reader.bytes().map(<[u8]>::to_vec))
    }

    fn xattrs(&self, node: NodeId) -> Result<Vec<Vec<u8>>, Errno> {
        let split =
            |all: &[u8]| all.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect();
        self.ask(&Request::Xattrs { node: node.0 }, |reader| reader.bytes().map(split))
    }

    fn set_xattr(&self, node: NodeId, name: &[u8], value: &[u8], how: XattrSet) -> Result<(), Errno> {
        let how = match how {
            XattrSet::Any => SetXattr::Any,
            XattrSet::Create => SetXattr::Create,
            XattrSet::Replace => SetXattr::Replace,
        };
        self.tell(&Request::SetXattr { node: node.0, name, value, how })
    }

    fn remove_xattr(&self, node: NodeId, name: &[u8]) -> Result<(), Errno> {
        self.tell(&Request::RemoveXattr { node: node.0, name })
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        let FileSystem { block_bytes, blocks, blocks_free, files, files_free, magic } =
            self.ask(&Request::FileSystem, FileSystem::decode)?;
        Ok(StatFs { magic, block_bytes, blocks, blocks_free, blocks_available: blocks_free, files, files_free })
    }

    fn sync(&self, node: NodeId) -> Result<(), Errno> {
        self.tell(&Request::Sync { node: node.0 })
    }
}
