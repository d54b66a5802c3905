//! A file of an instance.

use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, Ordering};

use linux_raw_sys::general as abi;
use stockade_kernel_sync::Mutex;

use super::{Epoll, Key};
use crate::Errno;
use crate::account::Charge;
use crate::poll::ALWAYS;
use crate::task::Task;
use crate::vfs::{File, PollEvents, UserCharge, UserLimit};
use crate::wait::{SharedQueue, Waiter};

bitflags::bitflags! {
    /// How events are told (the high bits of `struct epoll_event`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Modes: u32 {
        /// One of several instances is enough.
        const EXCLUSIVE = 1 << 28;
        /// The machine does not sleep meanwhile: it never does.
        const WAKEUP = abi::EPOLLWAKEUP;
        /// Only one event is told until the item is changed.
        const ONE_SHOT = abi::EPOLLONESHOT;
        /// News is told once.
        const EDGE = 1 << 31;
    }
}

/// What a program asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Events.
    pub events: PollEvents,
    /// How they are told.
    pub modes: Modes,
    /// What is told with them.
    pub data: u64,
}

impl Interest {
    /// From the bits of `struct epoll_event`; bits without a meaning have none on Linux either.
    pub fn from_bits(bits: u32, data: u64) -> Self {
        let (events, modes) = (PollEvents::from_bits_truncate(bits), Modes::from_bits_truncate(bits));
        Self { events: events | ALWAYS, modes, data }
    }
}

/// Who looks: some files show each task its own (signalfd(2)). Nobody in particular where no task asks.
pub type Looker<'a> = Option<&'a Arc<Task>>;

/// A file and what is wanted of it.
#[derive(Debug)]
pub(super) struct Item {
    me: Weak<Item>,
    epoll: Weak<Epoll>,
    fd: i32,
    id: u64,
    file: Weak<File>,
    queue: SharedQueue,
    interest: Mutex<Interest>,
    listed: AtomicBool,
    /// The file is an instance.
    pub is_nested: bool,
    _memory: Charge,
    _user: UserCharge,
}

/// What an item takes, with its place in its file's queue.
const ITEM_BYTES: usize = 384;

impl Item {
    /// An item of an instance, counted as its user's. It hears the news that whoever adds it would hear of.
    pub fn new(
        epoll: &Epoll,
        fd: i32,
        file: &Arc<File>,
        interest: Interest,
        looker: Looker<'_>,
    ) -> Result<Arc<Self>, Errno> {
        let own = looker.and_then(|task| file.object().seen_by(task));
        let queue = own.as_ref().unwrap_or(file.object()).queue().ok_or(Errno::EPERM)?;
        let (memory, user) = (Charge::new(ITEM_BYTES)?, epoll.user.charge(UserLimit::EpollWatches)?);
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            epoll: epoll.me.clone(),
            fd,
            id: file.id(),
            file: Arc::downgrade(file),
            queue,
            interest: Mutex::new(interest),
            listed: AtomicBool::new(false),
            is_nested: file.downcast::<Epoll>().is_some(),
            _memory: memory,
            _user: user,
        }))
    }

    pub fn key(&self) -> Key {
        (self.id, self.fd)
    }

    pub fn fd(&self) -> i32 {
        self.fd
    }

    pub fn file(&self) -> Option<Arc<File>> {
        self.file.upgrade()
    }

    /// Whether its file is gone. No reference to the file is taken: the last one must not go under a lock.
    pub fn is_closed(&self) -> bool {
        self.file.strong_count() == 0
    }

    pub fn epoll(&self) -> Option<Arc<Epoll>> {
        self.epoll.upgrade()
    }

    pub fn interest(&self) -> Interest {
        *self.interest.lock()
    }

    pub fn set_interest(&self, interest: Interest) {
        *self.interest.lock() = interest;
    }

    /// Whether it wants to hear of any of these.
    pub fn wants(&self, events: PollEvents) -> bool {
        self.interest.lock().events.intersects(events)
    }

    /// What of its interest is there for who looks; `None` when the file was closed.
    pub fn found(&self, looker: Looker<'_>) -> Option<PollEvents> {
        let file = self.file.upgrade()?;
        let wanted = self.interest.lock().events;
        // A disarmed item wants nothing at all.
        if wanted.is_empty() {
            return Some(wanted);
        }
        let own = looker.and_then(|task| file.object().seen_by(task));
        Some(own.as_ref().unwrap_or(file.object()).poll() & wanted)
    }

    /// Its event was told. True when it must not be told again without news.
    pub fn was_told(&self) -> bool {
        let mut interest = self.interest.lock();
        if interest.modes.contains(Modes::ONE_SHOT) {
            interest.events = PollEvents::empty();
            return true;
        }
        interest.modes.contains(Modes::EDGE)
    }

    /// Notes whether it is on the list, and says whether that is new.
    pub fn set_listed(&self, listed: bool) -> bool {
        self.listed.swap(listed, Ordering::Relaxed) != listed
    }

    /// Hears its file's news from now on.
    pub fn join(&self) {
        if let Some(me) = self.me.upgrade() {
            let waiter: Arc<dyn Waiter> = me;
            self.queue.register(&waiter);
        }
    }

    /// Does not any more.
    pub fn leave(&self) {
        if let Some(me) = self.me.upgrade() {
            let waiter: Arc<dyn Waiter> = me;
            self.queue.deregister(&waiter);
        }
    }
}
