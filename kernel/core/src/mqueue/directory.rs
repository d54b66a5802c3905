//! The directory of all queues, and the file system that shows it (`mqueue`).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use stockade_kernel_sync::Mutex;

use super::account::{Accounts, Maker};
use super::queue::change;
use super::{Attributes, Queue};
use crate::task::{Capabilities, Credentials, INFINITY};
use crate::vfs::permission::{Access, check_mode, check_sticky};
use crate::vfs::{
    Changes, DirEntry, Emit, FileKind, FileObject, Filesystem, Inode, NewInode, NewKind, Opening, Seeking, Stat, StatFs,
};
use crate::{Errno, Kernel};

/// MQUEUE_MAGIC
const MAGIC: u32 = 0x1980_0202;
/// DIRENT_SIZE: what a name adds to `st_size`.
const NAME_BYTES: u64 = 20;

/// The file system.
#[derive(Debug)]
pub struct Mqueue(pub Arc<Directory>);

impl Filesystem for Mqueue {
    fn name(&self) -> &'static str {
        "mqueue"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.0.clone()
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs::of(MAGIC))
    }
}

/// The directory.
#[derive(Debug)]
pub struct Directory {
    kernel: Arc<Kernel>,
    accounts: Arc<Accounts>,
    number: u64,
    facts: Mutex<Stat>,
    names: Mutex<Names>,
}

/// Each name has a number that rises, so that a listing goes on where it was.
#[derive(Debug, Default)]
struct Names {
    queues: BTreeMap<Vec<u8>, (u64, Arc<Queue>)>,
    last: u64,
}

impl Directory {
    pub(super) fn new(accounts: &Arc<Accounts>, kernel: &Arc<Kernel>) -> Arc<Self> {
        let (number, now) = (kernel.vfs().inode_number(), kernel.vfs().now());
        let facts =
            Stat { nlink: 2, atime: now, mtime: now, ctime: now, ..Stat::new(number, FileKind::Directory, 0o1777) };
        let (kernel, accounts) = (kernel.clone(), accounts.clone());
        Arc::new(Self { kernel, accounts, number, facts: Mutex::new(facts), names: Mutex::default() })
    }

    /// The queue with a name, for somebody who may search the directory.
    pub fn find(&self, name: &[u8], credentials: &Credentials) -> Result<Arc<Queue>, Errno> {
        check_mode(&self.stat()?, credentials, Access::EXECUTE)?;
        self.get(name)
    }

    /// Makes a queue; the name is free, or another was quicker: `EEXIST`.
    pub fn add(
        &self,
        name: &[u8],
        new: &NewInode<'_>,
        attributes: Option<Attributes>,
        (maker, credentials): (Maker, &Credentials),
    ) -> Result<Arc<Queue>, Errno> {
        check_mode(&self.stat()?, credentials, Access::WRITE | Access::EXECUTE)?;
        self.make(name, new, attributes, maker)
    }

    /// mq_unlink(3)
    pub fn remove(&self, name: &[u8], credentials: &Credentials) -> Result<(), Errno> {
        let queue = self.find(name, credentials)?;
        let own = self.stat()?;
        check_mode(&own, credentials, Access::WRITE | Access::EXECUTE)?;
        check_sticky(&own, &queue.stat()?, credentials)?;
        self.take(name)
    }

    fn get(&self, name: &[u8]) -> Result<Arc<Queue>, Errno> {
        self.names.lock().queues.get(name).map(|(_, queue)| queue.clone()).ok_or(Errno::ENOENT)
    }

    fn make(
        &self,
        name: &[u8],
        new: &NewInode<'_>,
        attributes: Option<Attributes>,
        maker: Maker,
    ) -> Result<Arc<Queue>, Errno> {
        let attributes = attributes.unwrap_or_else(|| self.accounts.limits().default_attributes());
        let charge = self.accounts.charge(attributes, maker)?;
        let (number, now) = (self.kernel.vfs().inode_number(), self.kernel.vfs().now());
        let facts = Stat::new(number, FileKind::Regular, new.permissions);
        let facts = Stat { uid: new.uid, gid: new.gid, atime: now, mtime: now, ctime: now, ..facts };
        let queue = Queue::new(facts, attributes, charge);
        let mut names = self.names.lock();
        if names.queues.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        names.last += 1;
        let at = names.last;
        names.queues.insert(name.to_vec(), (at, queue.clone()));
        drop(names);
        self.changed();
        Ok(queue)
    }

    fn take(&self, name: &[u8]) -> Result<(), Errno> {
        let (_, queue) = self.names.lock().queues.remove(name).ok_or(Errno::ENOENT)?;
        queue.lose_name();
        self.changed();
        Ok(())
    }

    fn changed(&self) {
        let now = self.kernel.vfs().now();
        let mut facts = self.facts.lock();
        (facts.mtime, facts.ctime) = (now, now);
    }
}

impl Inode for Directory {
    fn number(&self) -> u64 {
        self.number
    }

    fn kind(&self) -> FileKind {
        FileKind::Directory
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let size = (self.names.lock().queues.len() as u64 + 2) * NAME_BYTES;
        Ok(Stat { size, ..*self.facts.lock() })
    }

    fn change(&self, changes: &Changes) -> Result<(), Errno> {
        change(&mut self.facts.lock(), changes);
        Ok(())
    }

    fn open(self: Arc<Self>, _: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(self)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        Ok(self.get(name)?)
    }

    /// A queue that open(2) makes is an ordinary one; the settings hold for everybody here.
    fn create(&self, name: &[u8], new: &NewInode<'_>) -> Result<Arc<dyn Inode>, Errno> {
        if new.kind != NewKind::Regular {
            return Err(Errno::EPERM);
        }
        let maker = Maker { uid: new.uid, capabilities: Capabilities::empty(), bytes_max: INFINITY };
        Ok(self.make(name, new, None, maker)?)
    }

    fn unlink(&self, name: &[u8], _: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.take(name)
    }
}

impl FileObject for Directory {
    fn read(&self, _: &mut dyn crate::io::Sink, _: u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn read_dir(&self, at: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) -> Result<(), Errno> {
        let mut listed: Vec<(u64, Vec<u8>, u64)> = {
            let names = self.names.lock();
            let behind = names.queues.iter().filter(|(_, (place, _))| *place > at);
            behind.map(|(name, (place, queue))| (*place, name.clone(), queue.number())).collect()
        };
        listed.sort_unstable();
        for (next, name, ino) in listed {
            if emit(&DirEntry { name: &name, ino, kind: FileKind::Regular, next }) == Emit::Full {
                break;
            }
        }
        Ok(())
    }
}

/// The queue behind a file's inside.
pub(crate) fn queue_of(object: &Arc<dyn FileObject>) -> Result<Arc<Queue>, Errno> {
    let any: Arc<dyn Any + Send + Sync> = object.clone();
    any.downcast().map_err(|_| Errno::EBADF)
}
