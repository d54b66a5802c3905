//! Files that travel in messages (SCM_RIGHTS).
//!
//! A socket that lies in its own inbox, or in that of one which lies in its, is kept alive by nobody outside. Whenever
//! a unix socket goes, those that nothing but each other's messages refer to are looked for, and their inboxes emptied.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use stockade_kernel_sync::Mutex;

use super::UnixSocket;
use crate::Errno;
use crate::account::Charge;
use crate::net::SocketFile;
use crate::task::Namespaces;
use crate::vfs::File;

/// Files on their way.
#[derive(Debug)]
pub struct Rights {
    files: Vec<Arc<File>>,
    namespaces: Arc<Namespaces>,
    memory: Charge,
}

/// What they take together, and each of them.
const RIGHTS_BYTES: usize = 160;
const FILE_BYTES: usize = 16;

/// Unix sockets that travel: how often each does.
#[derive(Debug, Default)]
pub struct InFlight {
    files: Mutex<BTreeMap<u64, (Weak<File>, usize)>>,
    collecting: AtomicBool,
    /// All files that travel, sockets or not.
    count: AtomicUsize,
    dropped: Mutex<Dropped>,
}

/// What lay in the inboxes of sockets that are gone.
#[derive(Debug, Default)]
struct Dropped {
    rights: Vec<Rights>,
    /// Somebody lets go of them.
    busy: bool,
}

impl Rights {
    /// Sends files on their way: `ENOMEM` when the sandbox has no memory for more of them.
    pub fn new(files: Vec<Arc<File>>, namespaces: &Arc<Namespaces>) -> Result<Self, Errno> {
        let memory = Charge::new(RIGHTS_BYTES + files.len() * FILE_BYTES)?;
        Ok(Self::of(files, namespaces, memory))
    }

    fn of(files: Vec<Arc<File>>, namespaces: &Arc<Namespaces>, memory: Charge) -> Self {
        let in_flight = namespaces.net.in_flight();
        in_flight.count.fetch_add(files.len(), Ordering::Relaxed);
        files.iter().for_each(|file| in_flight.add(file));
        Self { files, namespaces: namespaces.clone(), memory }
    }

    /// The files.
    pub fn files(&self) -> &[Arc<File>] {
        &self.files
    }

    /// The same files once more.
    pub fn copy(&self) -> Self {
        Self::of(self.files.clone(), &self.namespaces, self.memory.clone())
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        let in_flight = self.namespaces.net.in_flight();
        in_flight.count.fetch_sub(self.files.len(), Ordering::Relaxed);
        self.files.iter().for_each(|file| in_flight.remove(file));
    }
}

fn with_socket<T>(file: &File, look: impl FnOnce(&UnixSocket) -> T) -> Option<T> {
    let socket: &dyn Any = &**file.downcast::<SocketFile>()?.socket();
    socket.downcast_ref().map(look)
}

impl InFlight {
    /// How many files travel.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Lets go of what lay in an inbox, one after the other: a socket that carries a socket that carries a socket must
    /// not recurse.
    pub(super) fn let_go(&self, rights: Vec<Rights>) {
        {
            let mut dropped = self.dropped.lock();
            dropped.rights.extend(rights);
            if core::mem::replace(&mut dropped.busy, true) {
                return;
            }
        }
        while let Some(next) = self.next_dropped() {
            drop(next);
        }
    }

    fn next_dropped(&self) -> Option<Rights> {
        let mut dropped = self.dropped.lock();
        let next = dropped.rights.pop();
        dropped.busy = next.is_some();
        next
    }

    fn add(&self, file: &Arc<File>) {
        if with_socket(file, |_| ()).is_some() {
            let mut files = self.files.lock();
            files.entry(file.id()).or_insert_with(|| (Arc::downgrade(file), 0)).1 += 1;
        }
    }

    fn remove(&self, file: &Arc<File>) {
        let mut files = self.files.lock();
        if let Some((_, count)) = files.get_mut(&file.id()) {
            *count -= 1;
            if *count == 0 {
                files.remove(&file.id());
            }
        }
    }

    /// Frees those that only messages refer to.
    pub(super) fn collect(&self) {
        if self.files.lock().is_empty() || self.collecting.swap(true, Ordering::Acquire) {
            return;
        }
        while self.collect_once() {}
        self.collecting.store(false, Ordering::Release);
    }

    /// Says whether there was anything to free.
    fn collect_once(&self) -> bool {
        let travelling: Vec<(Arc<File>, usize)> = {
            let files = self.files.lock();
            files.values().filter_map(|(file, count)| Some((file.upgrade()?, *count))).collect()
        };
        let mut internal: BTreeMap<u64, usize> = BTreeMap::new();
        for held in travelling.iter().flat_map(|(file, _)| held_by(file)) {
            *internal.entry(held.id()).or_default() += 1;
        }
        // One reference is our own. What lies in the inbox of a socket that does not travel is alive.
        let outside = |(file, count): &&(Arc<File>, usize)| {
            Arc::strong_count(file) > count + 1 || internal.get(&file.id()).is_none_or(|internal| internal < count)
        };
        let mut reached: Vec<Arc<File>> = travelling.iter().filter(outside).map(|(file, _)| file.clone()).collect();
        let mut alive: BTreeSet<u64> = reached.iter().map(|file| file.id()).collect();
        while let Some(file) = reached.pop() {
            for held in held_by(&file) {
                if alive.insert(held.id()) {
                    reached.push(held);
                }
            }
        }
        let dead = travelling.iter().filter(|(file, _)| !alive.contains(&file.id()));
        let freed: Vec<Rights> = dead.flat_map(|(file, _)| with_socket(file, empty).unwrap_or_default()).collect();
        !freed.is_empty()
    }
}

fn empty(socket: &UnixSocket) -> Vec<Rights> {
    socket.inboxes().iter().flat_map(|inbox| inbox.clear().1).collect()
}

/// Files in the inboxes of a socket.
fn held_by(file: &File) -> Vec<Arc<File>> {
    let mut held = Vec::new();
    let inboxes = with_socket(file, UnixSocket::inboxes).unwrap_or_default();
    for inbox in inboxes {
        inbox.each_rights(|rights| held.extend_from_slice(rights.files()));
    }
    held
}
