//! What a socket has received: bytes or messages, from one peer or many.
//!
//! Writers copy straight into the receiver's inbox. Its lock is held while bytes are copied from or to an application;
//! nothing else is locked meanwhile, and nobody is woken. A writer that finds no room leaves its own queue here, which
//! is woken as soon as there is.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::inet::Packet;
use super::unix::Rights;
use super::urgent::Urgent;
use super::{Address, Ucred, Urgency};
use crate::Errno;
use crate::account::Charge;
use crate::io::{Sink, Source};
use crate::ring::Ring;
use crate::vfs::PollEvents;
use crate::wait::SharedQueue;

/// Bytes that an inbox holds (`net.core.rmem_default`).
pub const DEFAULT_BYTES: usize = 212_992;
/// What a message takes beside its bytes.
const MESSAGE_BYTES: usize = 766;

/// What comes with data.
#[derive(Debug, Default)]
pub struct Parcel {
    /// Who sent it.
    pub from: Option<Address>,
    /// As whom.
    pub sender: Ucred,
    /// Files that travel with it.
    pub rights: Option<Rights>,
    /// What its headers say.
    pub packet: Option<Packet>,
    /// Whether its last byte is out of band.
    pub urgency: Urgency,
}

/// How data is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// It is gone then.
    Remove,
    /// It stays (MSG_PEEK).
    Peek,
}

/// What was taken.
#[derive(Debug, Default)]
pub struct Taken {
    /// Bytes that went into the sink.
    pub count: usize,
    /// Bytes that the message had; of a stream, the same.
    pub whole: usize,
    /// What came with it.
    pub parcel: Parcel,
    /// A message, even if it was empty; not the end.
    pub is_message: bool,
}

/// How many messages an inbox holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many, whatever their size (`net.unix.max_dgram_qlen`).
    Messages(usize),
    /// As many as fit.
    Bytes,
}

/// What lies in an inbox.
#[derive(Debug)]
enum Content {
    Bytes { ring: Ring, taken: u64, marks: VecDeque<Mark>, sender: Ucred, urgent: Urgent },
    Messages { queue: VecDeque<Message>, limit: Limit, bytes: usize },
}

/// Files that came with a part of a stream.
#[derive(Debug)]
struct Mark {
    start: u64,
    end: u64,
    rights: Rights,
}

#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
    parcel: Parcel,
    _memory: Charge,
}

/// An inbox.
#[derive(Debug)]
pub struct Inbox {
    state: Mutex<State>,
    reader: SharedQueue,
}

/// Bytes that an inbox holds: what its reader takes (SO_RCVBUF), and what its writer may have under way (SO_SNDBUF).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of the reader.
    pub reader: usize,
    /// Of the writer.
    pub writer: usize,
}

impl Room {
    fn bytes(self) -> usize {
        self.reader.saturating_add(self.writer)
    }
}

#[derive(Debug)]
struct State {
    content: Content,
    room: Room,
    /// No more will come.
    ended: bool,
    /// What a reader is told once after all data.
    error: Option<Errno>,
    /// There was an error.
    failed: bool,
    /// Nobody will read more.
    refused: bool,
    blocked: Vec<SharedQueue>,
}

impl Inbox {
    /// For bytes; its reader hears of news on `reader`.
    pub fn bytes(reader: &SharedQueue) -> Arc<Self> {
        let (ring, marks, sender, urgent) = Default::default();
        Self::new(Content::Bytes { ring, taken: 0, marks, sender, urgent }, reader)
    }

    /// For messages.
    pub fn messages(reader: &SharedQueue, limit: Limit) -> Arc<Self> {
        Self::new(Content::Messages { queue: VecDeque::new(), limit, bytes: 0 }, reader)
    }

    fn new(content: Content, reader: &SharedQueue) -> Arc<Self> {
        let room = Room { reader: DEFAULT_BYTES, writer: 0 };
        let state =
            State { content, room, ended: false, error: None, failed: false, refused: false, blocked: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), reader: reader.clone() })
    }

    /// Puts data in: `EPIPE` when nobody will read it, `EAGAIN` when there is no room; `writer` is woken when there is.
    pub fn put(&self, source: &mut dyn Source, parcel: Parcel, writer: &SharedQueue) -> Result<usize, Errno> {
        let urgent = parcel.urgency == Urgency::Urgent;
        let put = self.state.lock().put(source, parcel, writer)?;
        self.reader.wake_for(if urgent { PollEvents::READABLE | PollEvents::PRI } else { PollEvents::READABLE });
        Ok(put)
    }

    /// Takes data out. Nothing at all: the end.
    pub fn take(&self, sink: &mut dyn Sink, taking: Taking) -> Result<Taken, Errno> {
        let (taken, woken) = {
            let mut state = self.state.lock();
            let taken = state.take(sink, taking)?;
            (taken, state.take_unblocked())
        };
        woken.iter().for_each(|queue| queue.wake_for(PollEvents::WRITABLE));
        Ok(taken)
    }

    /// Takes the byte that is out of band (`tcp_recv_urg` of Linux); `None` at the end.
    pub fn take_urgent(&self, taking: Taking) -> Result<Option<u8>, Errno> {
        match &mut self.state.lock().content {
            Content::Bytes { ring, taken, urgent, .. } => {
                let at = urgent.take(taking).ok_or(Errno::EINVAL)?;
                let offset = usize::try_from(at.saturating_sub(*taken)).map_err(|_| Errno::EINVAL)?;
                Ok(Some(ring.get(offset).ok_or(Errno::EINVAL)?))
            }
            Content::Messages { .. } => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Whether the next byte is the one that is out of band.
    pub fn is_at_urgent(&self) -> bool {
        match &self.state.lock().content {
            Content::Bytes { taken, urgent, .. } => urgent.offset(*taken) == Some(0),
            Content::Messages { .. } => false,
        }
    }

    /// Leaves what is out of band among all other data, or takes it out (SO_OOBINLINE).
    pub fn set_urgent_inline(&self, inline: bool) {
        if let Content::Bytes { urgent, .. } = &mut self.state.lock().content {
            urgent.set_inline(inline);
        }
    }

    /// No more will come.
    pub fn end(&self) {
        self.state.lock().ended = true;
        self.reader.wake_for(PollEvents::READABLE | PollEvents::RDHUP | PollEvents::HUP);
    }

    /// No more will come, and readers are told why.
    pub fn fail(&self, errno: Errno) {
        {
            let mut state = self.state.lock();
            (state.error, state.failed) = (Some(errno), true);
        }
        self.end();
    }

    /// Nobody will read more. What is there stays readable.
    pub fn refuse(&self) {
        let blocked = {
            let mut state = self.state.lock();
            state.refused = true;
            core::mem::take(&mut state.blocked)
        };
        blocked.iter().for_each(|queue| queue.wake());
        self.reader.wake();
    }

    /// Whether there is anything.
    pub fn is_empty(&self) -> bool {
        self.state.lock().is_empty()
    }

    /// Bytes that the next read gives (FIONREAD).
    pub fn len(&self) -> usize {
        match &self.state.lock().content {
            Content::Bytes { ring, taken, urgent, .. } => urgent.before(*taken, ring.len()),
            Content::Messages { queue, .. } => queue.front().map_or(0, |message| message.bytes.len()),
        }
    }

    /// The same, with what is out of band and behind it.
    pub fn len_with_urgent(&self) -> usize {
        match &self.state.lock().content {
            Content::Bytes { ring, taken, urgent, .. } => ring.len() - urgent.read_at(*taken),
            Content::Messages { queue, .. } => queue.front().map_or(0, |message| message.bytes.len()),
        }
    }

    /// Whether no more will come.
    pub fn has_ended(&self) -> bool {
        let state = self.state.lock();
        state.ended || state.refused
    }

    /// Whether nobody will read more.
    pub fn is_refused(&self) -> bool {
        self.state.lock().refused
    }

    /// Whether there ever was an error.
    pub fn has_failed(&self) -> bool {
        self.state.lock().failed
    }

    /// The error that a reader would be told, which it then is not any more (SO_ERROR).
    pub fn take_error(&self) -> Option<Errno> {
        self.state.lock().error.take()
    }

    /// What its reader can do without waiting.
    pub fn readable(&self) -> PollEvents {
        let state = self.state.lock();
        let mut events = PollEvents::empty();
        let ended = state.ended || state.refused;
        events.set(PollEvents::READABLE, !state.is_empty() || ended);
        events.set(PollEvents::RDHUP, ended);
        events.set(PollEvents::ERR, state.error.is_some());
        if let Content::Bytes { urgent, .. } = &state.content {
            events.set(PollEvents::PRI, urgent.is_unread());
        }
        events
    }

    /// Whether a writer can go on; if it can not, `writer` is woken when it can.
    pub fn writable(&self, writer: &SharedQueue) -> bool {
        let mut state = self.state.lock();
        let writable = state.refused || state.has_plenty();
        if !writable {
            state.block(writer);
        }
        writable
    }

    /// How many bytes fit when it is empty.
    pub fn capacity(&self) -> usize {
        self.state.lock().room.bytes()
    }

    /// Changes how many bytes it holds.
    pub fn set_room(&self, change: impl FnOnce(&mut Room)) {
        let unblocked = {
            let mut state = self.state.lock();
            change(&mut state.room);
            state.take_unblocked()
        };
        unblocked.iter().for_each(|queue| queue.wake_for(PollEvents::WRITABLE));
    }

    /// Throws everything away, and says whether there was anything. What is returned is dropped outside any lock.
    pub fn clear(&self) -> (bool, Vec<Rights>) {
        let mut state = self.state.lock();
        let was_empty = state.is_empty();
        (!was_empty, state.content.clear())
    }

    /// Shows all files that travel in it.
    pub fn each_rights(&self, mut show: impl FnMut(&Rights)) {
        match &self.state.lock().content {
            Content::Bytes { marks, .. } => marks.iter().for_each(|mark| show(&mark.rights)),
            Content::Messages { queue, .. } => queue.iter().filter_map(|m| m.parcel.rights.as_ref()).for_each(show),
        }
    }
}

impl State {
    fn is_empty(&self) -> bool {
        match &self.content {
            Content::Bytes { ring, taken, urgent, .. } => ring.len() <= urgent.hidden(*taken),
            Content::Messages { queue, .. } => queue.is_empty(),
        }
    }

    /// Room enough to tell writers of it.
    fn has_plenty(&self) -> bool {
        match &self.content {
            Content::Bytes { ring, .. } => ring.len() * 2 <= self.room.bytes(),
            Content::Messages { queue, limit: Limit::Messages(most), .. } => queue.len() <= *most,
            Content::Messages { bytes, .. } => bytes * 2 <= self.room.bytes(),
        }
    }

    fn block(&mut self, writer: &SharedQueue) {
        if !self.blocked.iter().any(|other| Arc::ptr_eq(other, writer)) {
            self.blocked.push(writer.clone());
        }
    }

    fn take_unblocked(&mut self) -> Vec<SharedQueue> {
        if self.blocked.is_empty() || !self.has_plenty() { Vec::new() } else { core::mem::take(&mut self.blocked) }
    }

    fn put(&mut self, source: &mut dyn Source, parcel: Parcel, writer: &SharedQueue) -> Result<usize, Errno> {
        if self.ended || self.refused {
            return Err(Errno::EPIPE);
        }
        let nothing = source.remaining() == 0 && matches!(self.content, Content::Bytes { .. });
        if !nothing && self.content.room(self.room.bytes(), source.remaining()) == 0 {
            self.block(writer);
            return Err(Errno::EAGAIN);
        }
        self.content.put(source, parcel, self.room.bytes())
    }

    fn take(&mut self, sink: &mut dyn Sink, taking: Taking) -> Result<Taken, Errno> {
        if !self.is_empty() {
            return self.content.take(sink, taking);
        }
        if let Some(errno) = self.error.take() {
            return Err(errno);
        }
        if self.ended || self.refused { Ok(Taken::default()) } else { Err(Errno::EAGAIN) }
    }
}

impl Content {
    /// How much of `wanted` fits.
    fn room(&self, capacity: usize, wanted: usize) -> usize {
        match self {
            Self::Bytes { ring, .. } => capacity.saturating_sub(ring.len()),
            Self::Messages { queue, limit: Limit::Messages(most), .. } => {
                if queue.len() > *most {
                    0
                } else {
                    wanted.max(1)
                }
            }
            Self::Messages { queue, bytes, .. } => {
                let fits = queue.is_empty() || bytes + wanted + MESSAGE_BYTES <= capacity;
                if fits { wanted.max(1) } else { 0 }
            }
        }
    }

    fn put(&mut self, source: &mut dyn Source, parcel: Parcel, capacity: usize) -> Result<usize, Errno> {
        match self {
            Self::Bytes { ring, taken, marks, sender, urgent } => {
                let start = *taken + ring.len() as u64;
                let room = capacity.saturating_sub(ring.len());
                let wanted = source.remaining().min(room);
                let count = ring.fill(source, wanted)?;
                *sender = parcel.sender;
                if parcel.urgency == Urgency::Urgent && count > 0 {
                    urgent.put(start + count as u64 - 1);
                }
                if let Some(rights) = parcel.rights.filter(|_| count > 0) {
                    marks.push_back(Mark { start, end: start + count as u64, rights });
                }
                Ok(count)
            }
            Self::Messages { queue, bytes, .. } => {
                let memory = Charge::new(source.remaining() + MESSAGE_BYTES).map_err(|_| Errno::ENOBUFS)?;
                let mut message = alloc::vec![0; source.remaining()];
                let count = source.take(&mut message)?;
                if count < message.len() {
                    return Err(Errno::EFAULT);
                }
                *bytes += count + MESSAGE_BYTES;
                queue.push_back(Message { bytes: message, parcel, _memory: memory });
                Ok(count)
            }
        }
    }

    fn take(&mut self, sink: &mut dyn Sink, taking: Taking) -> Result<Taken, Errno> {
        match self {
            Self::Bytes { ring, taken, marks, sender, urgent } => {
                // A read ends behind data that came with files, and before what is out of band.
                let limit = marks.front().map_or(u64::MAX, |mark| mark.end - *taken);
                let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(urgent.limit(*taken));
                let hidden = urgent.hidden(*taken);
                let count = ring.copy_to(hidden, limit, sink)?;
                let reached = marks.front().is_some_and(|mark| mark.start < *taken + count as u64);
                let mut parcel = Parcel { sender: *sender, ..Parcel::default() };
                if taking == Taking::Remove {
                    ring.consume(hidden + count);
                    *taken += (hidden + count) as u64;
                    urgent.pass(*taken);
                    parcel.rights = if reached { marks.pop_front().map(|mark| mark.rights) } else { None };
                } else if reached {
                    parcel.rights = marks.front().map(|mark| mark.rights.copy());
                }
                Ok(Taken { count, whole: count, parcel, is_message: false })
            }
            Self::Messages { queue, bytes, .. } => {
                let Some(message) = queue.front_mut() else { return Ok(Taken::default()) };
                let whole = message.bytes.len();
                let count = whole.min(sink.remaining());
                let count = if count > 0 { sink.put(&message.bytes[..count])? } else { 0 };
                let parcel = match taking {
                    Taking::Peek => message.parcel.copy(),
                    Taking::Remove => core::mem::take(&mut message.parcel),
                };
                if taking == Taking::Remove {
                    *bytes -= whole + MESSAGE_BYTES;
                    queue.pop_front();
                }
                Ok(Taken { count, whole, parcel, is_message: true })
            }
        }
    }

    fn clear(&mut self) -> Vec<Rights> {
        match self {
            Self::Bytes { ring, taken, marks, .. } => {
                *taken += ring.len() as u64;
                ring.clear();
                core::mem::take(marks).into_iter().map(|mark| mark.rights).collect()
            }
            Self::Messages { queue, bytes, .. } => {
                *bytes = 0;
                core::mem::take(queue).into_iter().filter_map(|message| message.parcel.rights).collect()
            }
        }
    }
}

impl Parcel {
    /// The same, for MSG_PEEK.
    fn copy(&self) -> Self {
        let rights = self.rights.as_ref().map(Rights::copy);
        Self { from: self.from.clone(), sender: self.sender, rights, packet: self.packet, urgency: self.urgency }
    }
}
