//! The terminals of a container: what devpts shows.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::{MasterFile, Owner, SlaveFile, Tty};
use crate::Errno;
use crate::fs::Anonymous;
use crate::platform::HostStream;
use crate::task::Task;
use crate::vfs::{Caller, File, FileKind, Name, OpenFlags, OpenHow, Opened};

/// `kernel.pty.max`
const TERMINALS_MAX: u32 = 4096;

/// Terminals by number.
#[derive(Debug, Default)]
pub struct Terminals {
    table: Mutex<BTreeMap<u32, Weak<Tty>>>,
}

impl Terminals {
    /// None.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A new terminal, by its master (/dev/ptmx).
    pub fn open_master(self: &Arc<Self>, owner: Owner) -> Result<Arc<MasterFile>, Errno> {
        let tty = self.add(|number| Tty::new(number, owner, None))?;
        Ok(MasterFile::new(tty, self.clone()))
    }

    /// A new terminal whose far end is a raw terminal of the host.
    pub fn open_console(&self, owner: Owner, host: Arc<dyn HostStream>) -> Result<Arc<Tty>, Errno> {
        self.add(|number| Tty::console(number, owner, host))
    }

    /// Opens a slave for a task that is made, by its name in /dev/pts if it has one there; it becomes the controlling
    /// terminal of the task's session.
    pub fn open_slave(task: &Arc<Task>, tty: &Arc<Tty>) -> Result<Arc<File>, Errno> {
        let (vfs, context, caller) = (task.kernel().vfs(), task.fs(), Caller::of(task));
        let text = alloc::format!("/dev/pts/{}", tty.number());
        let name = Name::new(&context, &caller, text.as_bytes());
        // What a container has put in its place is not what was asked for.
        let is_slave = |file: &File| file.downcast::<SlaveFile>().is_some_and(|slave| Arc::ptr_eq(slave.tty(), tty));
        if let Ok(Opened::File(file)) = vfs.open(&name, &OpenHow::existing(OpenFlags::READ_WRITE | OpenFlags::NO_CTTY))
            && is_slave(&file)
        {
            tty.attach(task);
            return Ok(file);
        }
        let slave = SlaveFile::open(tty, &caller.credentials)?;
        tty.attach(task);
        let owner = &caller.credentials;
        let number = vfs.inode_number();
        let inode = Anonymous::new(number, FileKind::Character, 0o620, owner.fsuid, owner.fsgid, vfs.now());
        let name = alloc::format!("pts:[{}]", tty.number());
        vfs.open_inode(Arc::new(inode), name.as_bytes(), slave, OpenFlags::READ_WRITE)
    }

    fn add(&self, make: impl FnOnce(u32) -> Arc<Tty>) -> Result<Arc<Tty>, Errno> {
        let mut table = self.table.lock();
        table.retain(|_, tty| tty.strong_count() > 0);
        let number = (0..TERMINALS_MAX).find(|number| !table.contains_key(number)).ok_or(Errno::ENOSPC)?;
        let tty = make(number);
        table.insert(number, Arc::downgrade(&tty));
        Ok(tty)
    }

    pub(super) fn remove(&self, number: u32) {
        self.table.lock().remove(&number);
    }

    /// The terminal with this number.
    pub fn get(&self, number: u32) -> Option<Arc<Tty>> {
        self.table.lock().get(&number).and_then(Weak::upgrade)
    }

    /// All of them, by rising number.
    pub fn all(&self) -> Vec<Arc<Tty>> {
        self.table.lock().values().filter_map(Weak::upgrade).collect()
    }
}
