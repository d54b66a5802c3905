//! A queue.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use stockade_kernel_sync::Mutex;

use super::Registration;
use super::account::Charge;
use super::place::{Side, Ticket};
use crate::Errno;
use crate::io::Sink;
use crate::task::{Process, Task};
use crate::vfs::{Changes, FileKind, FileObject, Inode, Opening, PollEvents, Seeking, Stat, Timestamp};
use crate::wait::SharedQueue;

/// FILENT_SIZE of Linux: what `st_size` of a queue says.
const FILE_BYTES: u64 = 80;

/// What a queue can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// `mq_maxmsg`
    pub messages_max: i64,
    /// `mq_msgsize`
    pub message_bytes_max: i64,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Higher ones come first.
    pub priority: u32,
    /// What it says.
    pub text: Vec<u8>,
}

/// A queue: its inode, and all its open files at once.
#[derive(Debug)]
pub struct Queue {
    /// What it can hold.
    pub attributes: Attributes,
    number: u64,
    has_name: AtomicBool,
    facts: Mutex<Stat>,
    pub(super) shared: Arc<Shared>,
    _charge: Charge,
}

/// What those who wait for a queue hold too.
#[derive(Debug)]
pub(super) struct Shared {
    /// Woken when messages come and go.
    pub queue: SharedQueue,
    pub state: Mutex<State>,
}

/// What changes. Nobody waits to receive while there are messages, nor to send while there is room.
#[derive(Debug)]
pub(super) struct State {
    messages_max: usize,
    messages: BTreeMap<u32, VecDeque<Vec<u8>>>,
    count: usize,
    bytes: usize,
    last_ticket: Ticket,
    /// Who waits for a message, and who was given one.
    pub receivers: VecDeque<(Ticket, Option<Message>)>,
    /// Who waits for room.
    pub senders: VecDeque<(Ticket, Message)>,
    registration: Option<Registration>,
}

impl Queue {
    pub(super) fn new(facts: Stat, attributes: Attributes, charge: Charge) -> Arc<Self> {
        let state = State {
            messages_max: usize::try_from(attributes.messages_max).unwrap_or(0),
            messages: BTreeMap::new(),
            count: 0,
            bytes: 0,
            last_ticket: 0,
            receivers: VecDeque::new(),
            senders: VecDeque::new(),
            registration: None,
        };
        Arc::new(Self {
            attributes,
            number: facts.ino,
            has_name: AtomicBool::new(true),
            facts: Mutex::new(Stat { size: FILE_BYTES, ..facts }),
            shared: Arc::new(Shared { queue: SharedQueue::default(), state: Mutex::new(state) }),
            _charge: charge,
        })
    }

    /// Woken when messages come and go.
    pub fn events(&self) -> &SharedQueue {
        &self.shared.queue
    }

    /// How many messages are in it.
    pub fn count(&self) -> usize {
        self.shared.state.lock().count
    }

    /// Notes that it was used.
    pub fn touch(&self, now: Timestamp) {
        let mut facts = self.facts.lock();
        (facts.atime, facts.mtime, facts.ctime) = (now, now, now);
    }

    pub(super) fn lose_name(&self) {
        self.has_name.store(false, Ordering::Release);
        self.facts.lock().nlink = 0;
    }

    /// Adds a message, or gives it to who waits longest: `Err` gives it back when there is no room.
    pub fn send(&self, message: Message, sender: &Task) -> Result<(), Message> {
        let told = {
            let mut state = self.shared.state.lock();
            if state.count >= state.messages_max {
                return Err(message);
            }
            state.accept(message)
        };
        self.shared.queue.wake();
        if let Some(registration) = told {
            registration.tell(sender);
        }
        Ok(())
    }

    /// Takes the first message of the highest priority.
    pub fn receive(&self) -> Option<Message> {
        let message = self.shared.state.lock().take()?;
        self.shared.queue.wake();
        Some(message)
    }

    /// Registers a process: `EBUSY` when another is.
    pub fn register(&self, registration: Registration) -> Result<(), Errno> {
        let mut state = self.shared.state.lock();
        if state.registration.as_ref().is_some_and(Registration::is_alive) {
            return Err(Errno::EBUSY);
        }
        state.registration = Some(registration);
        Ok(())
    }

    /// Withdraws the registration of a process, if it has one.
    pub fn unregister(&self, process: &Arc<Process>) {
        let withdrawn = self.shared.state.lock().registration.take_if(|registration| registration.is_of(process));
        if let Some(registration) = withdrawn {
            registration.withdraw();
        }
    }
}

impl State {
    /// A number for somebody who waits.
    pub fn new_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// Whether somebody waits, or was served, with this ticket.
    pub fn waits(&self, ticket: Ticket, side: Side) -> bool {
        match side {
            Side::Sender => self.senders.iter().any(|(other, _)| *other == ticket),
            Side::Receiver => self.receivers.iter().any(|(other, _)| *other == ticket),
        }
    }

    /// Takes a message in. Who waits for one gets it at once, and nobody else is told then; otherwise it is the
    /// registration that the first message of an empty queue uses up.
    pub fn accept(&mut self, message: Message) -> Option<Registration> {
        if let Some((_, place)) = self.receivers.iter_mut().find(|(_, given)| given.is_none()) {
            *place = Some(message);
            return None;
        }
        self.put(message);
        if self.count == 1 { self.registration.take() } else { None }
    }

    fn put(&mut self, message: Message) {
        self.count += 1;
        self.bytes += message.text.len();
        self.messages.entry(message.priority).or_default().push_back(message.text);
    }

    /// Takes back what was given to a receiver that gave up.
    pub fn put_back(&mut self, message: Message) {
        if let Some((_, place)) = self.receivers.iter_mut().find(|(_, given)| given.is_none()) {
            *place = Some(message);
            return;
        }
        self.count += 1;
        self.bytes += message.text.len();
        self.messages.entry(message.priority).or_default().push_front(message.text);
    }

    fn take(&mut self) -> Option<Message> {
        let mut highest = self.messages.last_entry()?;
        let (priority, text) = (*highest.key(), highest.get_mut().pop_front()?);
        if highest.get().is_empty() {
            highest.remove();
        }
        self.count -= 1;
        self.bytes -= text.len();
        if let Some((_, waiting)) = self.senders.pop_front() {
            self.put(waiting);
        }
        Some(Message { priority, text })
    }
}

impl Inode for Queue {
    fn number(&self) -> u64 {
        self.number
    }

    fn kind(&self) -> FileKind {
        FileKind::Regular
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(*self.facts.lock())
    }

    fn is_current(&self) -> bool {
        self.has_name.load(Ordering::Acquire)
    }

    fn open(self: Arc<Self>, _: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(self)
    }

    fn change(&self, changes: &Changes) -> Result<(), Errno> {
        change(&mut self.facts.lock(), changes);
        Ok(())
    }
}

/// Changes what an inode says about itself.
pub(super) fn change(facts: &mut Stat, changes: &Changes) {
    let kind = facts.mode & !0o7777;
    facts.mode = changes.permissions.map_or(facts.mode, |permissions| kind | permissions);
    facts.uid = changes.uid.unwrap_or(facts.uid);
    facts.gid = changes.gid.unwrap_or(facts.gid);
    facts.atime = changes.atime.unwrap_or(facts.atime);
    facts.mtime = changes.mtime.unwrap_or(facts.mtime);
}

impl FileObject for Queue {
    /// `mqueue_read_file` of Linux.
    fn read(&self, sink: &mut dyn Sink, at: u64) -> Result<usize, Errno> {
        let text = self.status();
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
        sink.put(&text.as_bytes()[from..])
    }

    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn poll(&self) -> PollEvents {
        let state = self.shared.state.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::READABLE, state.count > 0);
        events.set(PollEvents::WRITABLE, state.count < state.messages_max);
        events
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.shared.queue.clone())
    }

    fn closed_by(&self, task: &Task) {
        self.unregister(task.process());
    }
}

impl Queue {
    fn status(&self) -> String {
        let state = self.shared.state.lock();
        let (notify, signal, pid) = state.registration.as_ref().map_or((0, 0, 0), Registration::numbers);
        alloc::format!("QSIZE:{:<10} NOTIFY:{notify:<5} SIGNO:{signal:<5} NOTIFY_PID:{pid:<6}\n", state.bytes)
    }
}
