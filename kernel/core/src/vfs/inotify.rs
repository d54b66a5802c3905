//! Watching files (inotify(7)).
//!
//! Lock order: all watches, then one instance. Both are released before an instance's queue is woken.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use stockade_kernel_sync::Mutex;

use super::handles::Handle;
use super::{FileObject, FileSignals, Happening, InodeKey, Path, PollEvents, User, UserCharge, UserLimit, WatchMask};
use crate::Errno;
use crate::abi::Encoder;
use crate::account::Charge;
use crate::io::Sink;
use crate::task::Task;
use crate::wait::SharedQueue;

/// /proc/sys/fs/inotify/max_queued_events
const EVENTS_MAX: usize = 16_384;

/// All watches of a kernel.
#[derive(Debug, Default)]
pub struct Watches {
    files: Mutex<BTreeMap<InodeKey, Vec<Watch>>>,
    count: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Watch {
    number: i32,
    mask: WatchMask,
    listener: Listener,
}

/// Who watches.
#[derive(Clone, Debug)]
enum Listener {
    Inotify(Weak<Inotify>),
    /// F_NOTIFY of fcntl(2): an open directory, by the descriptor that is the watch's number.
    Directory(Weak<FileSignals>),
}

impl Listener {
    fn is_alive(&self) -> bool {
        match self {
            Listener::Inotify(instance) => instance.strong_count() > 0,
            Listener::Directory(file) => file.strong_count() > 0,
        }
    }

    fn is(&self, wanted: &Inotify) -> bool {
        matches!(self, Listener::Inotify(instance) if core::ptr::eq(instance.as_ptr(), wanted))
    }

    fn is_file(&self, wanted: &Arc<FileSignals>) -> bool {
        matches!(self, Listener::Directory(file) if core::ptr::eq(file.as_ptr(), Arc::as_ptr(wanted)))
    }

    fn instance(&self) -> Option<Arc<Inotify>> {
        if let Listener::Inotify(instance) = self { instance.upgrade() } else { None }
    }
}

/// An inotify instance.
#[derive(Debug)]
pub struct Inotify {
    state: Mutex<State>,
    queue: SharedQueue,
    own: UserCharge,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    /// What the events take.
    event_memory: Charge,
    watched: BTreeMap<i32, Watched>,
    last: i32,
}

/// A file that an instance watches.
#[derive(Debug)]
struct Watched {
    key: InodeKey,
    handle: Handle,
    _memory: Charge,
    _user: UserCharge,
}

/// What a watch takes, and an event beside its name.
const WATCH_BYTES: usize = 320;
const EVENT_BYTES: usize = 80;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    watch: i32,
    mask: WatchMask,
    cookie: u32,
    name: Vec<u8>,
}

impl Event {
    /// Events were lost (IN_Q_OVERFLOW).
    fn lost() -> Self {
        Self { watch: -1, mask: WatchMask::OVERFLOW, cookie: 0, name: Vec::new() }
    }

    fn bytes(&self) -> usize {
        EVENT_BYTES + self.name.len()
    }

    fn encode(&self) -> Vec<u8> {
        let padded = if self.name.is_empty() { 0 } else { (self.name.len() + 1).next_multiple_of(16) };
        let mut to = Encoder::with_capacity(16 + padded);
        to.put(self.watch).put(self.mask.bits()).put(self.cookie).put(u32::try_from(padded).unwrap_or_default());
        to.bytes(&self.name).zeros(padded - self.name.len());
        to.finish()
    }
}

impl Watches {
    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Tells those who watch a file. `name` is what it happened to, in a directory.
    pub fn tell(&self, key: InodeKey, mask: WatchMask, cookie: u32, name: &[u8]) {
        self.tell_those(key, mask, cookie, name, |_| true);
    }

    /// The same, for those watches only.
    pub(super) fn tell_those(
        &self,
        key: InodeKey,
        mask: WatchMask,
        cookie: u32,
        name: &[u8],
        wants: impl Fn(WatchMask) -> bool,
    ) {
        if self.is_empty() {
            return;
        }
        let told = {
            let mut files = self.files.lock();
            let Some(watches) = files.get_mut(&key) else { return };
            let meant = |watch: &&Watch| watch.mask.intersects(mask) && wants(watch.mask);
            let told: Vec<Watch> = watches.iter().filter(meant).cloned().collect();
            watches.retain(|watch| !(watch.mask.contains(WatchMask::ONE_SHOT) && meant(&watch)));
            if watches.is_empty() {
                files.remove(&key);
            }
            self.count.store(files.len(), Ordering::Release);
            told
        };
        for watch in told {
            if let Listener::Directory(file) = &watch.listener
                && let (Some(file), false) = (file.upgrade(), name.is_empty())
            {
                file.tell(Happening::Directory(watch.number));
            }
            let Some(instance) = watch.listener.instance() else { continue };
            instance.push(Event { watch: watch.number, mask, cookie, name: name.to_vec() });
            if watch.mask.contains(WatchMask::ONE_SHOT) {
                instance.forget(watch.number);
            }
        }
    }

    /// A file is gone: its watches end.
    pub fn drop_file(&self, key: InodeKey) {
        let dropped = {
            let mut files = self.files.lock();
            let dropped = files.remove(&key).unwrap_or_default();
            self.count.store(files.len(), Ordering::Release);
            dropped
        };
        for watch in dropped {
            if let Some(instance) = watch.listener.instance() {
                instance.forget(watch.number);
            }
        }
    }

    /// Watches a file, or changes how it is watched (inotify_add_watch(2)).
    pub fn add(&self, instance: &Arc<Inotify>, path: &Path, mask: WatchMask) -> Result<i32, Errno> {
        let key = path.key();
        let mut files = self.files.lock();
        let watches = files.entry(key).or_default();
        watches.retain(|watch| watch.listener.is_alive());
        let same = |watch: &&mut Watch| watch.listener.is(instance);
        let kept = WatchMask::ALL | WatchMask::ONE_SHOT | WatchMask::EXCLUDE_UNLINKED;
        let number = match watches.iter_mut().find(same) {
            Some(_) if mask.contains(WatchMask::MASK_CREATE) => return Err(Errno::EEXIST),
            Some(watch) => {
                let before = if mask.contains(WatchMask::MASK_ADD) { watch.mask } else { WatchMask::empty() };
                watch.mask = before | (mask & kept);
                watch.number
            }
            None => {
                let number = match instance.new_number(path) {
                    Ok(number) => number,
                    Err(errno) => {
                        if watches.is_empty() {
                            files.remove(&key);
                        }
                        return Err(errno);
                    }
                };
                watches.push(Watch {
                    number,
                    mask: mask & kept,
                    listener: Listener::Inotify(Arc::downgrade(instance)),
                });
                number
            }
        };
        self.count.store(files.len(), Ordering::Release);
        Ok(number)
    }

    /// How an instance watches a file.
    fn mask(&self, instance: &Inotify, key: InodeKey) -> Option<WatchMask> {
        let files = self.files.lock();
        files.get(&key)?.iter().find(|watch| watch.listener.is(instance)).map(|watch| watch.mask)
    }

    /// Tells an open directory's owner of what happens in it (F_NOTIFY); no mask ends that.
    pub fn set_directory(&self, file: &Arc<FileSignals>, key: InodeKey, fd: i32, mask: WatchMask) {
        let mut files = self.files.lock();
        let watches = files.entry(key).or_default();
        let is_it = |watch: &Watch| watch.number == fd && watch.listener.is_file(file);
        let before = watches.iter().find(|watch| is_it(watch)).map_or(WatchMask::empty(), |watch| watch.mask);
        watches.retain(|watch| !is_it(watch) && watch.listener.is_alive());
        if !mask.is_empty() {
            let listener = Listener::Directory(Arc::downgrade(file));
            watches.push(Watch { number: fd, mask: before | mask, listener });
        } else if watches.is_empty() {
            files.remove(&key);
        }
        self.count.store(files.len(), Ordering::Release);
    }

    /// An instance is gone: so are its watches of a file.
    fn drop_dead(&self, key: InodeKey) {
        let mut files = self.files.lock();
        if let Some(watches) = files.get_mut(&key) {
            watches.retain(|watch| watch.listener.is_alive());
            if watches.is_empty() {
                files.remove(&key);
            }
        }
        self.count.store(files.len(), Ordering::Release);
    }

    /// Ends a watch (inotify_rm_watch(2)).
    pub fn remove(&self, instance: &Arc<Inotify>, number: i32) -> Result<(), Errno> {
        let key = instance.state.lock().watched.get(&number).map(|watched| watched.key).ok_or(Errno::EINVAL)?;
        {
            let mut files = self.files.lock();
            if let Some(watches) = files.get_mut(&key) {
                let is_it = |watch: &Watch| watch.number == number && watch.listener.is(instance);
                watches.retain(|watch| !is_it(watch) && watch.listener.is_alive());
                if watches.is_empty() {
                    files.remove(&key);
                }
            }
            self.count.store(files.len(), Ordering::Release);
        }
        instance.forget(number);
        Ok(())
    }
}

impl Inotify {
    /// An instance of a user's: `EMFILE` when that has too many.
    pub fn new(user: &User) -> Result<Arc<Self>, Errno> {
        let own = user.charge(UserLimit::InotifyInstances)?;
        Ok(Arc::new(Self { state: Mutex::default(), queue: SharedQueue::default(), own }))
    }

    fn new_number(&self, path: &Path) -> Result<i32, Errno> {
        let (memory, user) = (Charge::new(WATCH_BYTES)?, self.own.user().charge(UserLimit::InotifyWatches)?);
        let mut state = self.state.lock();
        state.last += 1;
        let number = state.last;
        let (key, handle) = (path.key(), path.identity());
        state.watched.insert(number, Watched { key, handle, _memory: memory, _user: user });
        Ok(number)
    }

    fn forget(&self, number: i32) {
        let forgotten = self.state.lock().watched.remove(&number);
        if forgotten.is_some() {
            self.push(Event { watch: number, mask: WatchMask::IGNORED, cookie: 0, name: Vec::new() });
        }
    }

    fn push(&self, event: Event) {
        {
            let mut state = self.state.lock();
            if state.events.back() == Some(&event) || state.events.len() > EVENTS_MAX {
                return;
            }
            let fits = state.events.len() < EVENTS_MAX && state.event_memory.grow(event.bytes()).is_ok();
            match fits {
                true => state.events.push_back(event),
                false if state.events.back() == Some(&Event::lost()) => return,
                false => state.events.push_back(Event::lost()),
            }
        }
        self.queue.wake();
    }

    /// The first events that fit.
    fn take(&self, room: usize) -> Result<Vec<u8>, Errno> {
        let mut state = self.state.lock();
        let mut bytes = Vec::new();
        while let Some(event) = state.events.front() {
            let encoded = event.encode();
            if bytes.len() + encoded.len() > room {
                return if bytes.is_empty() { Err(Errno::EINVAL) } else { Ok(bytes) };
            }
            bytes.extend_from_slice(&encoded);
            let taken = event.bytes();
            state.events.pop_front();
            state.event_memory.shrink(taken);
        }
        if bytes.is_empty() { Err(Errno::EAGAIN) } else { Ok(bytes) }
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        let watched = core::mem::take(&mut self.state.get_mut().watched);
        for file in watched.values() {
            self.own.user().hooks().watches.drop_dead(file.key);
        }
    }
}

impl FileObject for Inotify {
    /// The newest watch comes first.
    fn describe(&self) -> String {
        let watched = |(number, file): (&i32, &Watched)| (*number, file.key, file.handle.clone());
        let watched: Vec<_> = self.state.lock().watched.iter().rev().map(watched).collect();
        let line = |(number, key, handle): (i32, InodeKey, Handle)| {
            let mask = self.own.user().hooks().watches.mask(self, key)?.bits();
            let (ino, device, len, kind) = (key.ino, key.device.raw(), handle.bytes.len(), handle.kind);
            let bytes: String = handle.bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
            Some(alloc::format!(
                "inotify wd:{number:x} ino:{ino:x} sdev:{device:x} mask:{mask:x} ignored_mask:0 \
                 fhandle-bytes:{len:x} fhandle-type:{kind:x} f_handle:{bytes}\n"
            ))
        };
        watched.into_iter().filter_map(line).collect()
    }

    fn read(&self, sink: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        let bytes = self.take(sink.remaining())?;
        sink.put(&bytes)
    }

    fn poll(&self) -> PollEvents {
        if self.state.lock().events.is_empty() { PollEvents::empty() } else { PollEvents::READABLE }
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.queue.clone())
    }

    fn ioctl(&self, task: &Arc<Task>, request: u32, argument: u64) -> Result<u64, Errno> {
        if request != linux_raw_sys::ioctl::FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let len: usize = self.state.lock().events.iter().map(|event| event.encode().len()).sum();
        task.memory().write_struct(argument, &i32::try_from(len).unwrap_or(i32::MAX))?;
        Ok(0)
    }
}
