//! What a listing said of a directory's files: programs that list a directory mostly look at its files next, and those
//! that look at several files mostly look at more of them. Such looks need no further question.
//!
//! It is believed as long as a look-up, [`TRUST`], and only while nobody in the sandbox changed what it says: each
//! change of a name is noted in its directory; each change of a file is counted ([`Shared::changes`]), and what was
//! heard meanwhile is not kept. Files with several names are left out, since they may change by another one.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;

use super::held::Named;
use super::node::Node;
use super::{Shared, TRUST};
use crate::Errno;
use crate::platform::{FirstNames, HostFacts, HostName, NodeId};
use crate::vfs::FileKind;

/// Most facts of one directory that are heard together, and most of all.
const TOGETHER_MAX: usize = 2048;
const ALL_MAX: usize = 16_384;
/// Most names that are known not to be there.
const ABSENT_MAX: usize = 128;
/// Who looks up as many names in a moment gets the others as well.
const LOOKS: u32 = 4;

/// What is known of the names in a directory.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Counts changes of names, and looks at single ones.
    version: u64,
    /// What was heard last, and what was heard before that: a large directory is looked at while it is being listed.
    heard: [Heard; 2],
    absent: BTreeMap<Vec<u8>, Duration>,
    /// Looks at single names since a moment.
    looks: (Duration, u32),
    /// Nodes that are reached by their names here.
    pub(super) named: BTreeMap<Vec<u8>, Weak<Node>>,
}

/// What was heard together.
#[derive(Debug, Default)]
struct Heard {
    /// When it was asked for first, and the renames before.
    asked: (Duration, u64),
    known: BTreeMap<Vec<u8>, Known>,
    reach: Reach,
}

/// What is known of a name.
#[derive(Debug)]
enum Known {
    /// These facts, as nobody holds the file.
    Facts(Box<HostFacts>),
    /// This file, as long as somebody holds it: it knows more.
    File(Key),
    /// It has to be asked for.
    Nothing,
}

/// The host's device and inode number.
type Key = (u64, u64);

/// Whether a name that is not known may be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reach {
    #[default]
    Some,
    All,
}

/// The moment of a question about names.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Duration,
    renames: u64,
    changes: u64,
    version: u64,
}

/// The order in which directories were listed, and how much is known of each.
#[derive(Debug, Default)]
pub(super) struct Listed {
    total: usize,
    order: VecDeque<(Weak<Node>, usize)>,
}

impl Names {
    /// A name that may lead elsewhere from now on.
    pub(super) fn touch(&mut self, name: &[u8]) {
        self.version += 1;
        self.absent.remove(name);
        for heard in self.heard.iter_mut().filter(|heard| heard.says_something()) {
            heard.known.insert(name.to_vec(), Known::Nothing);
        }
    }

    fn clear(&mut self) {
        self.heard = Default::default();
    }

    /// Forgets what is too old, and finds what says something about a name.
    fn find(&mut self, name: &[u8], now: Duration) -> Option<&mut Heard> {
        for heard in &mut self.heard {
            if heard.says_something() && now.saturating_sub(heard.asked.0) >= TRUST {
                *heard = Heard::default();
            }
        }
        let is_known = |heard: &&mut Heard| heard.reach == Reach::All || heard.known.contains_key(name);
        self.heard.iter_mut().find(is_known)
    }

    /// Where to put what is heard now.
    fn make_room(&mut self, asked: Asked, count: usize, reach: Reach) -> &mut Heard {
        let is_old = asked.at.saturating_sub(self.heard[0].asked.0) >= TRUST / 2;
        if is_old || reach == Reach::All || self.heard[0].known.len() + count > TOGETHER_MAX {
            self.heard.swap(0, 1);
            self.heard[0] = Heard { asked: (asked.at, asked.renames), ..Heard::default() };
        }
        &mut self.heard[0]
    }

    /// Counts a look at a single name; true for one that is among many.
    fn looks_around(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.looks.0) >= TRUST {
            self.looks = (now, 0);
        }
        self.looks.1 += 1;
        self.looks.1 == LOOKS
    }

    fn note_absent(&mut self, name: &[u8], at: Duration) {
        if self.absent.len() >= ABSENT_MAX {
            self.absent.clear();
        }
        self.absent.insert(name.to_vec(), at);
    }

    fn is_absent(&self, name: &[u8], now: Duration) -> bool {
        self.absent.get(name).is_some_and(|at| now.saturating_sub(*at) < TRUST)
    }
}

impl Heard {
    fn says_something(&self) -> bool {
        !self.known.is_empty() || self.reach == Reach::All
    }
}

impl Node {
    /// Finds a name, if possible without a question.
    pub(super) fn find(&self, name: &[u8]) -> Result<Arc<Node>, Errno> {
        if let Some(known) = self.recall(name) {
            return known;
        }
        let looks_around = self.names.lock().looks_around(self.shared.now());
        if looks_around && let Some(known) = self.look_around(name)? {
            return known;
        }
        self.ask(name)
    }

    fn ask(&self, name: &[u8]) -> Result<Arc<Node>, Errno> {
        let (now, version) = (self.shared.now(), self.names.lock().version);
        let found = self.shared.directory.lookup(self.id()?, name);
        let mut names = self.names.lock();
        if names.version == version && found.as_ref().is_err_and(|errno| *errno == Errno::ENOENT) {
            names.note_absent(name, now);
        } else {
            names.touch(name);
        }
        drop(names);
        self.shared.node(found?, None)
    }

    /// Has all names listed, as far as one answer reaches.
    fn look_around(&self, name: &[u8]) -> Result<Option<Result<Arc<Node>, Errno>>, Errno> {
        let first = self.list()?;
        if let Some(rest) = first.rest {
            self.shared.directory.forget(rest);
        }
        Ok(self.recall(name))
    }

    /// What is known of a name; `None` when it has to be asked for.
    fn recall(&self, name: &[u8]) -> Option<Result<Arc<Node>, Errno>> {
        let now = self.shared.now();
        let mut names = self.names.lock();
        if names.is_absent(name, now) {
            return Some(Err(Errno::ENOENT));
        }
        let heard = names.find(name, now)?;
        let asked = heard.asked;
        match heard.known.get(name) {
            None => Some(Err(Errno::ENOENT)),
            Some(Known::Nothing) => None,
            Some(Known::File(key)) => {
                let node = self.shared.live_node(*key)?;
                node.found_at(asked.0);
                Some(Ok(node))
            }
            Some(Known::Facts(facts)) => {
                let facts = **facts;
                let node = self.node_by_name(name, &facts, asked)?;
                heard.known.insert(name.to_vec(), Known::File((facts.device, facts.stat.ino)));
                names.named.insert(name.to_vec(), Arc::downgrade(&node));
                Some(Ok(node))
            }
        }
    }

    /// A node for a file that nobody has asked for by name yet; `None` when there is one already.
    fn node_by_name(&self, name: &[u8], facts: &HostFacts, asked: (Duration, u64)) -> Option<Arc<Node>> {
        let named = Named { directory: self.weak().upgrade()?, name: name.to_vec() };
        self.shared.node_by_name(named, facts, asked)
    }

    /// Begins a listing, and remembers what it says.
    pub(super) fn list(&self) -> Result<FirstNames, Errno> {
        let asked = self.asked();
        let mut first = self.shared.directory.list(self.id()?)?;
        let reach = if first.rest.is_none() { Reach::All } else { Reach::Some };
        self.remember(asked, &mut first.names, reach);
        Ok(first)
    }

    /// Goes on with a listing.
    pub(super) fn list_on(&self, listing: NodeId, at: u64) -> Result<Vec<HostName>, Errno> {
        let asked = self.asked();
        let mut names = self.shared.directory.read_listing(listing, at)?;
        self.remember(asked, &mut names, Reach::Some);
        Ok(names)
    }

    fn asked(&self) -> Asked {
        let shared = &self.shared;
        Asked {
            at: shared.now(),
            renames: shared.renames(),
            changes: shared.changes(),
            version: self.names.lock().version,
        }
    }

    fn remember(&self, asked: Asked, all: &mut [HostName], reach: Reach) {
        let heard: Vec<(Vec<u8>, Known)> = all.iter_mut().map(|name| self.shared.hear(asked, name)).collect();
        let mut names = self.names.lock();
        if names.version != asked.version || self.shared.changes() != asked.changes {
            return;
        }
        let count = heard.len();
        let place = names.make_room(asked, count, reach);
        place.reach = reach;
        place.known.extend(heard);
        drop(names);
        self.shared.count_listed(self, count);
    }

    /// Makes nodes that are reached by this name reached by themselves, before it leads elsewhere.
    pub(super) fn settle(&self, name: &[u8]) {
        let named = self.names.lock().named.get(name).and_then(Weak::upgrade);
        // If it is gone on the host, whoever changes the name will hear it.
        let _gone = named.map(|node| node.id());
    }

    fn forget_names(&self) {
        self.names.lock().clear();
    }

    /// A node that was reached by its name here is so no more.
    pub(super) fn forget_named(&self, name: &[u8], node: &Node) {
        let mut names = self.names.lock();
        if names.named.get(name).is_some_and(|named| core::ptr::eq(named.as_ptr(), node)) {
            names.named.remove(name);
        }
    }
}

impl Shared {
    /// What is kept of an entry of a listing. Nodes that are held learn from it.
    fn hear(&self, asked: Asked, name: &mut HostName) -> (Vec<u8>, Known) {
        let known = match name.facts.take() {
            Some(facts) if facts.stat.nlink > 1 && name.kind != FileKind::Directory => Known::Nothing,
            Some(facts) => match self.live_node((facts.device, facts.stat.ino)) {
                Some(node) => {
                    node.hear(asked.at, asked.renames, asked.changes, facts.stat);
                    Known::File((facts.device, facts.stat.ino))
                }
                None => Known::Facts(facts),
            },
            None => Known::Nothing,
        };
        (name.name.clone(), known)
    }

    /// The directories that were listed first are forgotten when there is too much.
    fn count_listed(&self, node: &Node, count: usize) {
        let mut old = Vec::new();
        let mut listed = self.listed.lock();
        // Something for the directory itself, however empty it is.
        let count = count + 8;
        listed.total += count;
        listed.order.push_back((node.weak(), count));
        while listed.total > ALL_MAX
            && let Some((node, count)) = listed.order.pop_front()
        {
            listed.total -= count;
            old.push(node);
        }
        drop(listed);
        old.iter().filter_map(Weak::upgrade).for_each(|node| node.forget_names());
    }
}
