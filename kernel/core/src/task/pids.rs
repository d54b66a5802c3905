//! Ids of tasks, and who belongs to whom: one pid namespace.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;

use stockade_kernel_sync::{Mutex, MutexGuard};

use super::{Node, Process, Task};
use crate::Errno;
use crate::signal::SignalInfo;

/// The id of a task, process, process group or session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(u32);

/// PID_MAX_DEFAULT of Linux.
const MAX: u32 = 32_768;
/// Ids below are not used again after the first round (RESERVED_PIDS of Linux).
const RESERVED: u32 = 300;

impl Pid {
    /// Nobody: 0.
    pub const NONE: Pid = Pid(0);
    /// The init of a namespace.
    pub const INIT: Pid = Pid(1);

    /// From a number that an application gave; `None` unless it can be an id.
    pub fn new(number: i32) -> Option<Self> {
        u32::try_from(number).ok().filter(|number| *number > 0).map(Self)
    }

    /// From a number that [`Self::raw`] gave.
    pub(crate) const fn from_raw(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub fn raw(self) -> u32 {
        self.0
    }
}

impl From<Pid> for u64 {
    fn from(pid: Pid) -> u64 {
        u64::from(pid.0)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A pid namespace: all tasks and processes of a container.
#[derive(Debug, Default)]
pub struct Pids(Mutex<Tree>);

impl Pids {
    /// The task with an id.
    pub fn task(&self, pid: Pid) -> Option<Arc<Task>> {
        self.tree().entries.get(&pid)?.task.upgrade()
    }

    /// The process with an id; zombies too.
    pub fn process(&self, pid: Pid) -> Option<Arc<Process>> {
        self.tree().node(pid).map(|node| node.process.clone())
    }

    /// Every process, by rising id; zombies too.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        self.tree().nodes().map(|node| node.process.clone()).collect()
    }

    /// The processes of a group.
    pub fn group(&self, group: Pid) -> Vec<Arc<Process>> {
        self.tree().nodes().filter(|node| node.group == group).map(|node| node.process.clone()).collect()
    }

    /// Sends a signal of the kernel's to each process of a group (a terminal's keys do).
    pub fn signal_group(&self, group: Pid, info: SignalInfo) {
        for process in self.group(group) {
            process.send_signal(info);
        }
    }

    /// How many tasks there are, and how many there can be.
    pub fn usage(&self) -> (usize, Option<usize>) {
        let tree = self.tree();
        (tree.task_count, tree.task_limit)
    }

    /// The id given out last (for /proc/loadavg).
    pub fn last(&self) -> Pid {
        Pid(self.tree().last)
    }

    /// Lets there be at most this many tasks: fork(2) fails with `EAGAIN` beyond.
    pub fn set_limit(&self, tasks: Option<usize>) {
        self.tree().task_limit = tasks;
    }

    /// How often the limit was met.
    pub fn refused(&self) -> u64 {
        self.tree().refused
    }

    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.lock()
    }
}

/// What an id is used for; it is free once it is used for nothing.
#[derive(Debug, Default)]
struct Entry {
    task: Weak<Task>,
    has_task: bool,
    node: Option<Node>,
    /// Processes whose group or session has this id, counted once for each.
    members: usize,
}

/// All ids, under one lock.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<Pid, Entry>,
    last: u32,
    task_count: usize,
    task_limit: Option<usize>,
    /// How often that was met.
    refused: u64,
    /// Init ended: nothing new begins.
    closed: bool,
}

impl Tree {
    /// An id for a new task, higher than the last one until they wrap, as on Linux. `EAGAIN` when all are taken or the
    /// limit is reached, `ENOMEM` after init has ended.
    /// `EEXIST` when the one that is wanted is taken.
    pub fn reserve(&mut self, wanted: Option<Pid>) -> Result<Pid, Errno> {
        if self.closed {
            return Err(Errno::ENOMEM);
        }
        if self.task_limit.is_some_and(|limit| self.task_count >= limit) {
            self.refused += 1;
            return Err(Errno::EAGAIN);
        }
        let pid = match wanted {
            Some(pid) if self.entries.contains_key(&pid) => return Err(Errno::EEXIST),
            Some(pid) if pid.0 >= MAX => return Err(Errno::EINVAL),
            Some(pid) => pid,
            None => self.next_free()?,
        };
        self.task_count += 1;
        self.entries.insert(pid, Entry { has_task: true, ..Entry::default() });
        Ok(pid)
    }

    fn next_free(&mut self) -> Result<Pid, Errno> {
        let free = (1..MAX).map(|step| (self.last + step) % MAX).find(|number| self.is_free(*number));
        self.last = free.ok_or(Errno::EAGAIN)?;
        Ok(Pid(self.last))
    }

    fn is_free(&self, number: u32) -> bool {
        number > 0 && (self.last < RESERVED || number >= RESERVED) && !self.entries.contains_key(&Pid(number))
    }

    /// Lets nothing new begin.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Fills a reserved id.
    pub fn set_task(&mut self, task: &Arc<Task>) {
        self.entries.entry(task.tid()).or_default().task = Arc::downgrade(task);
    }

    /// A task's id serves no task any more.
    pub fn release_task(&mut self, tid: Pid) {
        if let Some(entry) = self.entries.get_mut(&tid)
            && core::mem::take(&mut entry.has_task)
        {
            entry.task = Weak::new();
            self.task_count -= 1;
        }
        self.collect(tid);
    }

    /// Adds a process under its id, group and session.
    pub fn insert_node(&mut self, node: Node) {
        let (pid, group, session) = (node.process.pid(), node.group, node.session.id());
        self.join(group);
        self.join(session);
        if let Some(parent) = self.node_mut(node.parent) {
            parent.children.push(pid);
        }
        self.entries.entry(pid).or_default().node = Some(node);
    }

    /// Takes a process out (it was waited for).
    pub fn remove_node(&mut self, pid: Pid) -> Option<Node> {
        let node = self.entries.get_mut(&pid)?.node.take()?;
        if let Some(parent) = self.node_mut(node.parent) {
            parent.children.retain(|child| *child != pid);
        }
        self.leave(node.group);
        self.leave(node.session.id());
        self.release_task(pid);
        Some(node)
    }

    /// Moves a process to another group.
    pub fn set_group(&mut self, pid: Pid, group: Pid) {
        self.join(group);
        if let Some(node) = self.node_mut(pid) {
            let old = core::mem::replace(&mut node.group, group);
            self.leave(old);
        }
    }

    /// Moves a process to a session of its own.
    pub fn set_session(&mut self, pid: Pid, session: Arc<super::Session>) {
        self.join(session.id());
        if let Some(node) = self.node_mut(pid) {
            let old = core::mem::replace(&mut node.session, session);
            self.leave(old.id());
        }
    }

    fn join(&mut self, id: Pid) {
        self.entries.entry(id).or_default().members += 1;
    }

    fn leave(&mut self, id: Pid) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.members = entry.members.saturating_sub(1);
        }
        self.collect(id);
    }

    fn collect(&mut self, id: Pid) {
        let unused = |entry: &Entry| !entry.has_task && entry.node.is_none() && entry.members == 0;
        if self.entries.get(&id).is_some_and(unused) {
            self.entries.remove(&id);
        }
    }

    /// A process.
    pub fn node(&self, pid: Pid) -> Option<&Node> {
        self.entries.get(&pid)?.node.as_ref()
    }

    /// A process, to be changed.
    pub fn node_mut(&mut self, pid: Pid) -> Option<&mut Node> {
        self.entries.get_mut(&pid)?.node.as_mut()
    }

    /// All processes.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.entries.values().filter_map(|entry| entry.node.as_ref())
    }

    /// Whether any process belongs to a group.
    pub fn has_group(&self, group: Pid) -> bool {
        self.entries.contains_key(&group) && self.nodes().any(|node| node.group == group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_and_are_not_used_again_at_once() {
        let mut tree = Tree::default();
        let first = tree.reserve(None).expect("an id");
        assert_eq!(first, Pid::INIT);
        tree.release_task(first);
        assert_eq!(tree.reserve(None).map(Pid::raw), Ok(2));
    }

    #[test]
    fn ids_wrap_to_the_first_that_is_not_reserved() {
        let mut tree = Tree { last: MAX - 1, ..Tree::default() };
        assert_eq!(tree.reserve(None).map(Pid::raw), Ok(RESERVED));
    }

    #[test]
    fn the_limit_counts_tasks() {
        let mut tree = Tree { task_limit: Some(1), ..Tree::default() };
        let only = tree.reserve(None).expect("an id");
        assert_eq!(tree.reserve(None), Err(Errno::EAGAIN));
        tree.release_task(only);
        assert!(tree.reserve(None).is_ok());
    }

    #[test]
    fn nothing_begins_after_the_end_of_init() {
        let mut tree = Tree::default();
        tree.close();
        assert_eq!(tree.reserve(None), Err(Errno::ENOMEM));
    }
}
