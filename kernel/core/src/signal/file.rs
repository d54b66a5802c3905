//! Signals as a file: signalfd(2).

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::{Detail, SignalInfo, SignalSet};
use crate::Errno;
use crate::abi::Encoder;
use crate::io::Sink;
use crate::task::{Process, Task};
use crate::vfs::{FileObject, PollEvents};
use crate::wait::SharedQueue;

/// Reads the signals of whoever reads or waits: those of the task, and of its process. An instance of epoll(7) hears of
/// those of the process that added it.
#[derive(Debug)]
pub(crate) struct SignalFd {
    process: Weak<Process>,
    queue: SharedQueue,
    wanted: Arc<Mutex<SignalSet>>,
    /// Who looks at it, if that is known.
    reader: Option<Weak<Task>>,
}

impl SignalFd {
    /// For the process of a task.
    pub fn new(task: &Task, wanted: SignalSet) -> Arc<Self> {
        let process = task.process();
        Arc::new(Self {
            process: Arc::downgrade(process),
            queue: process.signals.queue.clone(),
            wanted: Arc::new(Mutex::new(wanted)),
            reader: None,
        })
    }

    /// Changes what it reads.
    pub fn set_wanted(&self, wanted: SignalSet) {
        *self.wanted.lock() = wanted;
        self.queue.wake();
    }

    fn take(&self) -> Option<SignalInfo> {
        let wanted = *self.wanted.lock();
        self.tasks().iter().find_map(|task| {
            let info = task.take_signal(wanted)?;
            task.look_again();
            Some(info)
        })
    }

    /// Whose signals it tells of.
    fn tasks(&self) -> Vec<Arc<Task>> {
        match &self.reader {
            Some(reader) => reader.upgrade().into_iter().collect(),
            None => self.process.upgrade().map(|process| process.tasks()).unwrap_or_default(),
        }
    }
}

impl FileObject for SignalFd {
    fn describe(&self) -> String {
        alloc::format!("sigmask:\t{:016x}\n", self.wanted.lock().bits())
    }

    fn read(&self, sink: &mut dyn Sink, _at: u64) -> Result<usize, Errno> {
        if sink.remaining() < SignalInfo::LEN {
            return Err(Errno::EINVAL);
        }
        let mut done = 0;
        while sink.remaining() >= SignalInfo::LEN {
            let Some(info) = self.take() else { break };
            done += sink.put(&record(&info))?;
        }
        if done == 0 { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    fn poll(&self) -> PollEvents {
        let wanted = *self.wanted.lock();
        let waiting = self.tasks().iter().any(|task| !task.waiting_signals().intersection(wanted).is_empty());
        if waiting { PollEvents::READABLE } else { PollEvents::empty() }
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.queue.clone())
    }

    fn seen_by(&self, task: &Arc<Task>) -> Option<Arc<dyn FileObject>> {
        let process = task.process();
        Some(Arc::new(Self {
            process: Arc::downgrade(process),
            queue: process.signals.queue.clone(),
            wanted: self.wanted.clone(),
            reader: Some(Arc::downgrade(task)),
        }))
    }
}

/// `struct signalfd_siginfo`
fn record(info: &SignalInfo) -> [u8; SignalInfo::LEN] {
    let (pid, uid) = info.sender();
    let (mut fd, mut tid, mut band, mut overrun, mut status) = (0_i32, 0_i32, 0_i64, 0_i32, 0_i32);
    let (mut user, mut system, mut address) = (0_i64, 0_i64, 0_u64);
    match info.detail {
        Detail::Child { status: exit, user: user_time, system: system_time, .. } => {
            (status, user, system) = (exit, user_time, system_time);
        }
        Detail::Timer { id, overrun: missed, .. } => (tid, overrun) = (id, missed),
        Detail::Fault { address: at } => address = at,
        Detail::Poll { band: events, fd: file } => (band, fd) = (events, file),
        Detail::None | Detail::Sender { .. } | Detail::Raw(_) => {}
    }
    let value = info.value();
    let mut to = Encoder::with_capacity(SignalInfo::LEN);
    to.put(info.signal.raw()).put(info.errno).put(info.code).put(pid).put(uid).put(fd).put(tid);
    to.bytes(&band.to_le_bytes()[..4]).put(overrun).put(0_u32).put(status);
    to.bytes(&value.to_le_bytes()[..4]).put(value).put(user).put(system).put(address);
    let mut bytes = [0; SignalInfo::LEN];
    bytes[..to.len()].copy_from_slice(&to.finish());
    bytes
}
