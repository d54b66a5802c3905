//! Event polls (epoll(7)).
//!
//! An instance keeps one [`Item`] per file and descriptor. An item hears the news of its file's queue and puts itself
//! on the instance's list of what may be ready; only what is on it is looked at by epoll_wait(2). An item leaves the
//! list before its file is asked, so that news that come meanwhile put it back.
//!
//! Lock order: the instance's state, then an item's. Neither is held while a file is asked or a waiter is woken.

mod item;
mod nesting;
mod seen;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::task::Task;
use crate::vfs::{File, FileObject, PollEvents, User};
use crate::wait::{SharedQueue, Waiter};

use item::Item;
pub use item::{Interest, Looker, Modes};
use seen::Seen;

/// An event, as epoll_wait(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What happened.
    pub events: PollEvents,
    /// What the program wants to be told.
    pub data: u64,
}

/// An instance.
#[derive(Debug)]
pub struct Epoll {
    me: Weak<Epoll>,
    /// Whose items are counted as its.
    user: User,
    state: Mutex<State>,
    queue: SharedQueue,
    /// The instances that it is a file of.
    containers: Mutex<Vec<Weak<Epoll>>>,
}

/// A file, and the descriptor that it was added by.
type Key = (u64, i32);

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<Key, Arc<Item>>,
    ready: VecDeque<Arc<Item>>,
    /// How many items there may be until those of closed files are looked for.
    prune_at: usize,
}

impl Epoll {
    /// Without files.
    pub fn new(user: User) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            user,
            state: Mutex::default(),
            queue: SharedQueue::default(),
            containers: Mutex::default(),
        })
    }

    /// EPOLL_CTL_ADD
    pub fn add(&self, fd: i32, file: &Arc<File>, interest: Interest, looker: Looker<'_>) -> Result<(), Errno> {
        let nested = file.downcast::<Epoll>();
        if nested.is_some() && interest.modes.contains(Modes::EXCLUSIVE) {
            return Err(Errno::EINVAL);
        }
        let _guard = nested.map(|nested| nesting::check(self, nested)).transpose()?;
        let item = Item::new(self, fd, file, interest, looker)?;
        let closed = {
            let mut state = self.state.lock();
            let closed = state.prune();
            if state.items.contains_key(&item.key()) {
                return Err(Errno::EEXIST);
            }
            state.items.insert(item.key(), item.clone());
            closed
        };
        closed.iter().for_each(|item| item.leave());
        if let Some(nested) = nested {
            nested.containers.lock().push(self.me.clone());
        }
        item.join();
        self.look_at(&item, looker);
        Ok(())
    }

    /// EPOLL_CTL_MOD
    pub fn modify(&self, fd: i32, file: &Arc<File>, interest: Interest, looker: Looker<'_>) -> Result<(), Errno> {
        let item = self.find(fd, file)?;
        if item.interest().modes.contains(Modes::EXCLUSIVE) || interest.modes.contains(Modes::EXCLUSIVE) {
            return Err(Errno::EINVAL);
        }
        item.set_interest(interest);
        self.look_at(&item, looker);
        Ok(())
    }

    /// EPOLL_CTL_DEL
    pub fn remove(&self, fd: i32, file: &Arc<File>) -> Result<(), Errno> {
        let item = self.state.lock().take((file.id(), fd)).ok_or(Errno::ENOENT)?;
        item.leave();
        if let Some(nested) = file.downcast::<Epoll>() {
            let mut containers = nested.containers.lock();
            let at = containers.iter().position(|other| Weak::ptr_eq(other, &self.me));
            at.map(|at| containers.swap_remove(at));
        }
        Ok(())
    }

    /// The instances that it is a file of.
    fn containers(&self) -> Vec<Arc<Epoll>> {
        let mut containers = self.containers.lock();
        containers.retain(|epoll| epoll.strong_count() > 0);
        containers.iter().filter_map(Weak::upgrade).collect()
    }

    /// The instances among its files.
    fn nested(&self) -> Vec<Arc<File>> {
        let state = self.state.lock();
        let files = state.items.values().filter(|item| item.is_nested).filter_map(|item| item.file());
        files.collect()
    }

    /// Its files, for /proc/PID/fdinfo: descriptor, interest, and the file.
    pub fn files(&self) -> Vec<(i32, Interest, Arc<File>)> {
        let state = self.state.lock();
        state.items.values().filter_map(|item| Some((item.fd(), item.interest(), item.file()?))).collect()
    }

    fn find(&self, fd: i32, file: &Arc<File>) -> Result<Arc<Item>, Errno> {
        self.state.lock().items.get(&(file.id(), fd)).cloned().ok_or(Errno::ENOENT)
    }

    /// What is there already counts: lists the item, and says whether anything is.
    fn look_at(&self, item: &Arc<Item>, looker: Looker<'_>) -> bool {
        let found = item.found(looker).is_some_and(|found| !found.is_empty());
        if found {
            self.note(item);
        }
        found
    }

    /// An item may be ready.
    fn note(&self, item: &Arc<Item>) {
        if self.state.lock().list(item) {
            self.queue.wake_for(PollEvents::READABLE);
        }
    }

    /// Tells what is ready, at most `count` events; `tell` says how many it took. What is told once only (EPOLLET,
    /// EPOLLONESHOT) is gone then; the rest is looked at again next time.
    pub fn collect(
        &self,
        looker: Looker<'_>,
        count: usize,
        tell: impl FnOnce(&[Ready]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let (events, items) = self.take_ready(looker, count);
        if events.is_empty() {
            return Ok(0);
        }
        let result = tell(&events);
        let told = result.unwrap_or_default();
        let again = |(at, item): (usize, Arc<Item>)| (at >= told || !item.was_told()).then_some(item);
        self.list_again(items.into_iter().enumerate().filter_map(again).collect());
        result
    }

    /// What is ready, taken off the list.
    fn take_ready(&self, looker: Looker<'_>, count: usize) -> (Vec<Ready>, Vec<Arc<Item>>) {
        let (mut events, mut items) = (Vec::new(), Vec::new());
        let mut left = self.state.lock().ready.len();
        while events.len() < count && left > 0 {
            left -= 1;
            let Some(item) = self.state.lock().next() else { break };
            let Some(found) = item.found(looker) else {
                self.forget(&item);
                continue;
            };
            if found.is_empty() {
                continue;
            }
            events.push(Ready { events: found, data: item.interest().data });
            items.push(item);
        }
        (events, items)
    }

    /// Whether anything is ready for who looks. What is not leaves the list, as when it is waited for; what nobody in
    /// particular sees may be there for some task, and stays.
    fn is_ready_for(&self, looker: Looker<'_>) -> bool {
        let listed: Vec<_> = self.state.lock().ready.iter().cloned().collect();
        listed.iter().any(|item| match item.found(looker) {
            None => false,
            Some(found) if !found.is_empty() => true,
            Some(_) if looker.is_none() => false,
            Some(_) => {
                self.state.lock().unlist(item);
                // News may have come before it left.
                self.look_at(item, looker)
            }
        })
    }

    /// Those who wait beside the caller must look at what stays ready too.
    fn list_again(&self, items: Vec<Arc<Item>>) {
        let listed = {
            let mut state = self.state.lock();
            // Each is put on the list, whatever the others are.
            items.iter().filter(|item| state.list(item)).count() > 0
        };
        if listed && !self.queue.is_empty() {
            self.queue.wake_for(PollEvents::READABLE);
        }
    }

    /// The item's file was closed.
    fn forget(&self, item: &Arc<Item>) {
        let known = self.state.lock().take(item.key());
        if let Some(known) = known {
            known.leave();
        }
    }
}

impl State {
    /// Puts an item on the list, and says whether it was not there. One that was removed stays away.
    fn list(&mut self, item: &Arc<Item>) -> bool {
        let known = self.items.get(&item.key()).is_some_and(|known| Arc::ptr_eq(known, item));
        let listed = known && item.set_listed(true);
        if listed {
            self.ready.push_back(item.clone());
        }
        listed
    }

    fn unlist(&mut self, item: &Arc<Item>) {
        if item.set_listed(false) {
            self.ready.retain(|other| !Arc::ptr_eq(other, item));
        }
    }

    fn next(&mut self) -> Option<Arc<Item>> {
        let item = self.ready.pop_front()?;
        item.set_listed(false);
        Some(item)
    }

    fn take(&mut self, key: Key) -> Option<Arc<Item>> {
        let item = self.items.remove(&key)?;
        self.ready.retain(|other| !Arc::ptr_eq(other, &item));
        Some(item)
    }

    /// Takes out the items of closed files, each time their number may have doubled.
    fn prune(&mut self) -> Vec<Arc<Item>> {
        if self.items.len() < self.prune_at {
            return Vec::new();
        }
        let closed: Vec<Key> = self.items.iter().filter(|(_, item)| item.is_closed()).map(|(key, _)| *key).collect();
        let closed = closed.into_iter().filter_map(|key| self.take(key)).collect();
        self.prune_at = (self.items.len() * 2).max(32);
        closed
    }
}

impl FileObject for Epoll {
    fn describe(&self) -> String {
        let line = |(fd, interest, file): (i32, Interest, Arc<File>)| {
            let bits = interest.events.bits() | interest.modes.bits();
            let (position, key) = (file.position(), file.path().key());
            let (ino, device) = (key.ino, key.device.raw());
            let data = interest.data;
            alloc::format!(
                "tfd: {fd:>8} events: {bits:>8x} data: {data:>16x}  pos:{position} ino:{ino:x} sdev:{device:x}\n"
            )
        };
        self.files().into_iter().map(line).collect()
    }

    fn poll(&self) -> PollEvents {
        if self.is_ready_for(None) { PollEvents::READABLE } else { PollEvents::empty() }
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.queue.clone())
    }

    fn seen_by(&self, task: &Arc<Task>) -> Option<Arc<dyn FileObject>> {
        Some(Arc::new(Seen::new(self.me.upgrade()?, task)))
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        let items = core::mem::take(&mut self.state.get_mut().items);
        items.values().for_each(|item| item.leave());
    }
}

impl Waiter for Item {
    fn wake(self: Arc<Self>) {
        self.notify(PollEvents::all());
    }

    fn notify(self: Arc<Self>, events: PollEvents) {
        if self.wants(events)
            && let Some(epoll) = self.epoll()
        {
            epoll.note(&self);
        }
    }
}
