//! Signals about files: F_SETOWN, F_SETSIG, O_ASYNC and F_NOTIFY of fcntl(2).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::{FileObject, PollEvents};
use crate::signal::{Detail, Signal, SignalInfo};
use crate::task::{Namespaces, Pid, Process, Task};
use crate::wait::Waiter;

/// `si_code` of signals about files (sigaction(2)), and `si_band` with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// POLL_IN
    Input,
    /// POLL_OUT
    Output,
    /// POLL_MSG, with the descriptor of a directory that is watched.
    Directory(i32),
    /// Out-of-band data, which SIGURG tells of whatever F_SETSIG says.
    Urgent,
}

impl Happening {
    fn code_and_band(self) -> (i32, u32) {
        let readable = PollEvents::IN | PollEvents::RDNORM;
        match self {
            Happening::Input => (1, readable.bits()),
            Happening::Output => (2, (PollEvents::OUT | PollEvents::WRNORM | PollEvents::WRBAND).bits()),
            Happening::Urgent => (6, (PollEvents::PRI | PollEvents::RDBAND).bits()),
            Happening::Directory(_) => (3, (readable | PollEvents::MSG).bits()),
        }
    }
}

/// Whom a file tells.
#[derive(Clone, Debug, Default)]
pub enum FileOwner {
    /// Nobody.
    #[default]
    Nobody,
    /// One task (F_OWNER_TID).
    Task(Weak<Task>),
    /// A process.
    Process(Weak<Process>),
    /// A process group.
    Group(Arc<Namespaces>, Pid),
}

#[derive(Debug, Default)]
struct Facts {
    owner: FileOwner,
    /// User ids of who set the owner: real and effective.
    uids: (u32, u32),
    signal: Option<Signal>,
    fd: i32,
    /// O_ASYNC
    tells: Telling,
}

/// Whether a file tells of input and output, beside what is urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// It does not.
    #[default]
    Urgent,
    /// It does (O_ASYNC).
    All,
}

/// How one open file tells of input and output.
#[derive(Debug)]
pub struct FileSignals {
    object: Weak<dyn FileObject>,
    facts: Mutex<Facts>,
}

impl FileSignals {
    /// Of a file; it tells nobody.
    pub fn new(object: &Arc<dyn FileObject>) -> Arc<Self> {
        Arc::new(Self { object: Arc::downgrade(object), facts: Mutex::default() })
    }

    /// Whom it tells.
    pub fn owner(&self) -> FileOwner {
        self.facts.lock().owner.clone()
    }

    /// Tells somebody else, as far as `setter` may send signals there.
    pub fn set_owner(&self, owner: FileOwner, setter: &Task) {
        let credentials = setter.credentials();
        let mut facts = self.facts.lock();
        facts.owner = owner;
        facts.uids = (credentials.uid, credentials.euid);
    }

    /// What it tells of.
    pub fn set_telling(&self, tells: Telling) {
        self.facts.lock().tells = tells;
    }

    /// The signal; `None` is SIGIO without details.
    pub fn signal(&self) -> Option<Signal> {
        self.facts.lock().signal
    }

    /// Changes it.
    pub fn set_signal(&self, signal: Option<Signal>) {
        self.facts.lock().signal = signal;
    }

    /// The descriptor that signals name.
    pub fn set_descriptor(&self, fd: i32) {
        self.facts.lock().fd = fd;
    }

    /// Sends the signal.
    pub fn tell(&self, what: Happening) {
        let (owner, uids, signal, fd) = {
            let facts = self.facts.lock();
            (facts.owner.clone(), facts.uids, facts.signal, facts.fd)
        };
        let (code, band) = what.code_and_band();
        let fd = if let Happening::Directory(fd) = what { fd } else { fd };
        let info = match signal {
            _ if what == Happening::Urgent => SignalInfo::kernel(Signal::URG),
            None => SignalInfo::kernel(Signal::IO),
            Some(signal) => SignalInfo { signal, errno: 0, code, detail: Detail::Poll { band: band.into(), fd } },
        };
        let processes: Vec<Arc<Process>> = match owner {
            FileOwner::Nobody => Vec::new(),
            FileOwner::Task(task) => {
                if let Some(task) = task.upgrade().filter(|task| may_signal(uids, task.process())) {
                    // Without room in the queue the plain signal must do (`send_sigio_to_task` of Linux).
                    task.try_send(info).unwrap_or_else(|_| task.send_signal(SignalInfo::kernel(Signal::IO)));
                }
                return;
            }
            FileOwner::Process(process) => process.upgrade().into_iter().collect(),
            FileOwner::Group(namespaces, group) => namespaces.pids.group(group),
        };
        for process in processes.iter().filter(|process| may_signal(uids, process)) {
            process.try_send(info).unwrap_or_else(|_| process.send_signal(SignalInfo::kernel(Signal::IO)));
        }
    }
}

/// `sigio_perm` of Linux.
fn may_signal((uid, euid): (u32, u32), process: &Process) -> bool {
    let Some(leader) = process.leader() else { return true };
    let theirs = leader.credentials();
    euid == 0 || [euid, uid].iter().any(|mine| [theirs.suid, theirs.uid].contains(mine))
}

impl Waiter for FileSignals {
    fn wake(self: Arc<Self>) {
        self.notify(PollEvents::all());
    }

    fn notify(self: Arc<Self>, events: PollEvents) {
        let Some(object) = self.object.upgrade() else { return };
        // What comes with all events says nothing about this one.
        if events.contains(PollEvents::PRI) && events != PollEvents::all() {
            self.tell(Happening::Urgent);
        }
        if self.facts.lock().tells == Telling::Urgent {
            return;
        }
        let now = object.poll() & events;
        if now.intersects(PollEvents::READABLE | PollEvents::ERR | PollEvents::HUP) {
            self.tell(Happening::Input);
        } else if now.intersects(PollEvents::WRITABLE) {
            self.tell(Happening::Output);
        }
    }
}
