//! Files that travel in messages (SCM_RIGHTS).
//!
//! A socket that lies in its own inbox, or in that of one which lies in its, is kept alive by nobody outside. Whenever
//! a unix socket goes, those that nothing but messages refer to are looked for, and their inboxes emptied.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};

use stockade_kernel_sync::Mutex;

use super::UnixSocket;
use crate::net::SocketFile;
use crate::task::Namespaces;
use crate::vfs::File;

/// Files on their way.
#[derive(Debug)]
pub struct Rights {
    files: Vec<Arc<File>>,
    namespaces: Arc<Namespaces>,
}

/// Unix sockets that travel: how often each does.
#[derive(Debug, Default)]
pub struct InFlight {
    files: Mutex<BTreeMap<u64, (Weak<File>, usize)>>,
    collecting: AtomicBool,
}

impl Rights {
    /// Sends files on their way.
    pub fn new(files: Vec<Arc<File>>, namespaces: &Arc<Namespaces>) -> Self {
        files.iter().for_each(|file| namespaces.net.in_flight().add(file));
        Self { files, namespaces: namespaces.clone() }
    }

    /// The files.
    pub fn files(&self) -> &[Arc<File>] {
        &self.files
    }

    /// The same files once more.
    pub fn copy(&self) -> Self {
        Self::new(self.files.clone(), &self.namespaces)
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        self.files.iter().for_each(|file| self.namespaces.net.in_flight().remove(file));
    }
}

fn with_socket<T>(file: &File, look: impl FnOnce(&UnixSocket) -> T) -> Option<T> {
    let socket: &dyn Any = &**file.downcast::<SocketFile>()?.socket();
    socket.downcast_ref().map(look)
}

impl InFlight {
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
        // One reference is our own.
        let outside = |(file, count): &&(Arc<File>, usize)| Arc::strong_count(file) > count + 1;
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
