//! Message queues (msgget(2), msgsnd(2), msgrcv(2)).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use stockade_kernel_sync::Mutex;

use super::{IpcPermission, Object};
use crate::Errno;
use crate::account::Charge;
use crate::task::Pid;
use crate::wait::SharedQueue;

/// MSGMAX
pub const TEXT_MAX: usize = 8192;
/// MSGMNB
pub const QUEUE_BYTES: u64 = 16_384;

/// A queue.
#[derive(Debug)]
pub struct MessageQueue {
    /// Its id.
    pub id: i32,
    /// Woken when a message comes or goes, and when the queue is removed.
    pub queue: SharedQueue,
    state: Mutex<QueueState>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type; above 0.
    pub kind: i64,
    /// What it says.
    pub text: Vec<u8>,
}

/// What changes about a queue.
#[derive(Debug)]
pub struct QueueState {
    /// Who may use it.
    pub permission: IpcPermission,
    /// Most bytes in it.
    pub bytes_max: u64,
    /// Last msgsnd(2), msgrcv(2) and change, since 1970.
    pub times: [Duration; 3],
    /// Who sent and who received last.
    pub last: [Pid; 2],
    messages: VecDeque<Message>,
    bytes: u64,
    memory: Charge,
}

/// What a queue takes, and each message beside its text.
const QUEUE_OBJECT_BYTES: usize = 384;
const MESSAGE_BYTES: usize = 96;

/// Which message is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The first.
    Any,
    /// The first of a type.
    Of(i64),
    /// The first of any other type (MSG_EXCEPT).
    Except(i64),
    /// The first of the lowest type that is at most this.
    UpTo(i64),
    /// The one at a place, which stays (MSG_COPY).
    At(usize),
}

impl Object for MessageQueue {
    fn permission(&self) -> IpcPermission {
        self.state.lock().permission
    }
}

impl MessageQueue {
    /// Empty.
    pub fn new(id: i32, permission: IpcPermission, now: Duration) -> Result<Self, Errno> {
        let memory = Charge::new(QUEUE_OBJECT_BYTES)?;
        let state = QueueState {
            permission,
            bytes_max: QUEUE_BYTES,
            times: [Duration::ZERO, Duration::ZERO, now],
            last: [Pid::NONE; 2],
            messages: VecDeque::new(),
            bytes: 0,
            memory,
        };
        Ok(Self { id, queue: SharedQueue::default(), state: Mutex::new(state) })
    }

    /// Looks at it.
    pub fn look<T>(&self, look: impl FnOnce(&QueueState) -> T) -> T {
        look(&self.state.lock())
    }

    /// Changes it and tells those who wait.
    pub fn change<T>(&self, change: impl FnOnce(&mut QueueState) -> T) -> T {
        let result = change(&mut self.state.lock());
        self.queue.wake();
        result
    }

    /// msgsnd(2): `EAGAIN` while it is full.
    pub fn send(&self, message: Message, pid: Pid, now: Duration) -> Result<(), Errno> {
        self.state.lock().send(message, pid, now)?;
        self.queue.wake();
        Ok(())
    }

    /// msgrcv(2): `ENOMSG` while there is none; `E2BIG` when its text is longer than there is room for.
    pub fn receive(&self, choice: Choice, room: Option<usize>, pid: Pid, now: Duration) -> Result<Message, Errno> {
        let message = self.state.lock().receive(choice, room, pid, now)?;
        self.queue.wake();
        Ok(message)
    }
}

impl QueueState {
    /// How many messages are in it, and their bytes.
    pub fn usage(&self) -> (usize, u64) {
        (self.messages.len(), self.bytes)
    }

    fn send(&mut self, message: Message, pid: Pid, now: Duration) -> Result<(), Errno> {
        let bytes = self.bytes + message.text.len() as u64;
        // Empty messages are limited too (`msg_fits_inqueue` of Linux).
        if bytes > self.bytes_max || self.messages.len() as u64 + 1 > self.bytes_max {
            return Err(Errno::EAGAIN);
        }
        self.memory.grow(message.text.len() + MESSAGE_BYTES)?;
        self.bytes = bytes;
        self.messages.push_back(message);
        (self.times[0], self.last[0]) = (now, pid);
        Ok(())
    }

    fn receive(&mut self, choice: Choice, room: Option<usize>, pid: Pid, now: Duration) -> Result<Message, Errno> {
        let at = self.find(choice).ok_or(Errno::ENOMSG)?;
        if room.is_some_and(|room| self.messages[at].text.len() > room) {
            return Err(Errno::E2BIG);
        }
        if let Choice::At(_) = choice {
            return Ok(self.messages[at].clone());
        }
        let message = self.messages.remove(at).ok_or(Errno::ENOMSG)?;
        self.bytes -= message.text.len() as u64;
        self.memory.shrink(message.text.len() + MESSAGE_BYTES);
        (self.times[1], self.last[1]) = (now, pid);
        Ok(message)
    }

    fn find(&self, choice: Choice) -> Option<usize> {
        let first = |wanted: &dyn Fn(i64) -> bool| self.messages.iter().position(|message| wanted(message.kind));
        match choice {
            Choice::Any => first(&|_| true),
            Choice::Of(kind) => first(&|other| other == kind),
            Choice::Except(kind) => first(&|other| other != kind),
            Choice::UpTo(most) => {
                let lowest = self.messages.iter().map(|message| message.kind).filter(|kind| *kind <= most).min()?;
                first(&|other| other == lowest)
            }
            Choice::At(index) => Some(index).filter(|index| *index < self.messages.len()),
        }
    }
}
