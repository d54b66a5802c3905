//! A directory of the host as a file system: the root of a bundle.
//!
//! Names and facts are asked for at the file server ([`HostDirectory`]), data of regular files goes straight to and
//! from the host's files, and applications map them. Who may do what is decided here, as everywhere, by the owners and
//! modes of the files.
//!
//! What the host changes behind the kernel's back is seen within [`TRUST`]; what an application does, at once.
//!
//! Lock order: a node's writes; how it is held, its directory's likewise; a directory's names; live nodes; a node's
//! data, its facts; idle files, listed directories. None but the first two is held while the file server is asked, and
//! no node is let go of while a directory's names or the live nodes are locked.

mod file;
mod held;
mod listing;
mod names;
mod node;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::platform::{HostClock, HostDirectory, HostEntry, HostFacts, HostFile, Machine};
use crate::vfs::{FileKind, Filesystem, Inode, StatFs};

use held::{Held, Named};
use names::Listed;
use node::Node;

/// How long names and facts are believed, as FUSE's servers mostly ask for.
const TRUST: Duration = Duration::from_secs(1);
/// Files that are kept open on the host for the next time.
const IDLE_FILES_MAX: usize = 128;

/// A host directory in use.
#[derive(Debug)]
pub struct HostDir {
    shared: Arc<Shared>,
    root: Arc<Node>,
}

/// What all nodes share.
#[derive(Debug)]
struct Shared {
    directory: Arc<dyn HostDirectory>,
    machine: Arc<dyn Machine>,
    /// By the host's device and inode number: a file with several names is one node.
    live: Mutex<BTreeMap<(u64, u64), Weak<Node>>>,
    /// The host's devices, the root's first.
    devices: Mutex<Vec<u64>>,
    /// Nodes with a file that nobody has open; the oldest first.
    idle: Mutex<VecDeque<Weak<Node>>>,
    /// Counts renames, which change facts of files that nobody names.
    renames: AtomicU64,
    /// Counts changes of files.
    changes: AtomicU64,
    /// What is remembered of listings.
    listed: Mutex<Listed>,
}

impl HostDir {
    /// Takes a directory into use.
    pub fn new(machine: &Arc<dyn Machine>, directory: Arc<dyn HostDirectory>) -> Result<Arc<Self>, Errno> {
        let entry = directory.root()?;
        let shared = Arc::new(Shared {
            directory,
            machine: machine.clone(),
            live: Mutex::new(BTreeMap::new()),
            devices: Mutex::new(Vec::new()),
            idle: Mutex::new(VecDeque::new()),
            renames: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            listed: Mutex::default(),
        });
        let root = shared.node(entry, None)?;
        Ok(Arc::new(Self { shared, root }))
    }
}

impl Filesystem for HostDir {
    fn name(&self) -> &'static str {
        "hostdir"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        self.shared.directory.statfs()
    }

    /// Files that somebody has open, or had a moment ago; the rest is on its way.
    fn sync(&self) -> Result<(), Errno> {
        let live: Vec<Arc<Node>> = self.shared.live.lock().values().filter_map(Weak::upgrade).collect();
        live.iter().filter_map(|node| node.written_file()).try_for_each(|file| file.sync())
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.machine.now(HostClock::Monotonic)
    }

    fn renames(&self) -> u64 {
        self.renames.load(Ordering::Acquire)
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// The node of a file: the one that it has already, or a new one.
    fn node(self: &Arc<Self>, entry: HostEntry, data: Option<Arc<dyn HostFile>>) -> Result<Arc<Node>, Errno> {
        let HostEntry { node: id, facts: HostFacts { device, stat } } = entry;
        let Some(kind) = FileKind::from_mode(stat.mode) else {
            self.directory.forget(id);
            return Err(Errno::EIO);
        };
        let key = (device, stat.ino);
        let mut live = self.live.lock();
        let found = live.get(&key).and_then(Weak::upgrade);
        let node = match &found {
            Some(known) if known.file_kind() == kind => {
                drop(live);
                known.take_id(id);
                known.clone()
            }
            _ => {
                let node = Node::new(self, Held::Node(id), key, self.number(device, stat.ino), kind);
                live.insert(key, Arc::downgrade(&node));
                drop(live);
                node
            }
        };
        node.learn(stat);
        if let Some(data) = data {
            node.adopt(data);
        }
        Ok(node)
    }

    /// A node for a file of which a listing told; `None` when it has one already.
    fn node_by_name(self: &Arc<Self>, named: Named, facts: &HostFacts, asked: (Duration, u64)) -> Option<Arc<Node>> {
        let HostFacts { device, stat } = *facts;
        let (kind, key) = (FileKind::from_mode(stat.mode)?, (device, stat.ino));
        let mut live = self.live.lock();
        if live.get(&key).is_some_and(|node| node.strong_count() > 0) {
            return None;
        }
        let node = Node::new(self, Held::Named(named), key, self.number(device, stat.ino), kind);
        live.insert(key, Arc::downgrade(&node));
        drop(live);
        node.learn_at(asked.0, asked.1, stat);
        Some(node)
    }

    fn live_node(&self, key: (u64, u64)) -> Option<Arc<Node>> {
        self.live.lock().get(&key).and_then(Weak::upgrade)
    }

    /// A node turned out to be another file than the one with this key.
    fn disown(&self, key: (u64, u64), node: &Node) {
        let mut live = self.live.lock();
        if live.get(&key).is_some_and(|known| core::ptr::eq(known.as_ptr(), node)) {
            live.remove(&key);
        }
    }

    /// The number of an inode: the host's, marked when it is on another device than the root.
    fn number(&self, device: u64, ino: u64) -> u64 {
        let mut devices = self.devices.lock();
        let index = devices.iter().position(|known| *known == device).unwrap_or_else(|| {
            devices.push(device);
            devices.len() - 1
        });
        ino ^ (index as u64) << 48
    }

    /// A node is gone.
    fn remove(&self, key: (u64, u64)) {
        let mut live = self.live.lock();
        if live.get(&key).is_some_and(|node| node.strong_count() == 0) {
            live.remove(&key);
        }
    }

    /// Keeps a node's file open for a while; the one that waits longest makes room.
    fn rest(&self, node: Weak<Node>) {
        let oldest = {
            let mut idle = self.idle.lock();
            idle.push_back(node);
            if idle.len() > IDLE_FILES_MAX { idle.pop_front() } else { None }
        };
        if let Some(oldest) = oldest.and_then(|oldest| oldest.upgrade()) {
            oldest.make_room();
        }
    }
}
