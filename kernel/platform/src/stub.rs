//! One stub: a host process that holds an application's address space.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use stockade_kernel_stub::abi::SLOTS;

use crate::boot::Spawner;
use crate::life::Life;
use crate::procfs::Proc;
use crate::thread::{Inner, Spare};
use crate::turn::Turn;

/// Each costs about as much memory as a running thread.
const SPARES_MAX: usize = 4;
/// Copies after which a process's memory is opened: that takes as long as ten more.
const COPIES_MIN: u32 = 32;

/// The process. Dropping it ends it; the watch takes its remains away.
#[derive(Debug)]
pub(crate) struct Stub {
    pid: Pid,
    pidfd: Arc<OwnedFd>,
    slots: Mutex<Slots>,
    descriptors: Mutex<BTreeSet<u32>>,
    spares: Mutex<Vec<Spare>>,
    /// Which application threads run, as far as the monitor knows.
    runs: Mutex<Vec<Weak<Runs>>>,
    /// Counts the programs that execve(2) put into the process one after another.
    program: AtomicU32,
    killed: AtomicBool,
    turn: Turn,
    /// Its memory as a file, once that is worth it.
    memory: OnceLock<Option<OwnedFd>>,
    copies: AtomicU32,
    /// Application threads that it ever had.
    threads: AtomicU32,
    life: Arc<Life>,
}

/// What a process has from the one that it is a copy of.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// Numbers of the descriptors that were put into it.
    descriptors: BTreeSet<u32>,
    turn: Turn,
}

impl Stub {
    /// Takes over a process that this one is the parent of, and has not waited for.
    pub(crate) fn new(pid: Pid, slots: Slots, inherited: Inherited) -> io::Result<Self> {
        let pidfd = Arc::new(pidfd_open(pid, PidfdFlags::empty())?);
        Ok(Self {
            pid,
            pidfd,
            slots: Mutex::new(slots),
            descriptors: Mutex::new(inherited.descriptors),
            spares: Mutex::default(),
            runs: Mutex::default(),
            program: AtomicU32::new(0),
            killed: AtomicBool::new(false),
            turn: inherited.turn,
            memory: OnceLock::new(),
            copies: AtomicU32::new(0),
            threads: AtomicU32::new(0),
            life: Arc::default(),
        })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Its memory as a file, which small copies are a fifth cheaper by than by process id; `None` as long as there were
    /// few. Many processes make only few before they end.
    pub(crate) fn memory(&self, proc: &Proc) -> Option<&OwnedFd> {
        if let Some(memory) = self.memory.get() {
            return memory.as_ref();
        }
        if self.copies.fetch_add(1, Ordering::Relaxed) < COPIES_MIN {
            return None;
        }
        let opened = || proc.memory(self.pid).inspect_err(|error| tracing::debug!(%error, "no file of a memory")).ok();
        self.memory.get_or_init(opened).as_ref()
    }

    /// Its spawner.
    pub(crate) fn spawner(&self) -> Spawner<'_> {
        Spawner { pid: self.pid, pidfd: self.pidfd.as_fd() }
    }

    /// Takes a slot that no thread is in.
    pub(crate) fn take_slot(&self) -> Option<u32> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Gives a slot back, whose thread is dead.
    pub(crate) fn free_slot(&self, slot: u32) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).free.push(slot);
    }

    /// What a copy has, which is asked for before the host copies the process.
    pub(crate) fn bequeath(&self) -> Inherited {
        let descriptors = self.descriptors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Inherited { descriptors, turn: self.turn.of_copy() }
    }

    /// Has `add` put a descriptor into the process, unless it is there. False when that fails.
    pub(crate) fn ensure_descriptor(&self, number: u32, add: impl FnOnce() -> io::Result<()>) -> bool {
        let mut descriptors = self.descriptors.lock().unwrap_or_else(PoisonError::into_inner);
        let there = descriptors.contains(&number) || add().is_ok();
        if there {
            descriptors.insert(number);
        }
        there
    }

    /// Whether one more host thread may wait for work.
    pub(crate) fn wants_spares(&self) -> bool {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner).len() < SPARES_MAX
    }

    /// Keeps a host thread for the next application thread.
    pub(crate) fn park(&self, spare: Spare) {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner).push(spare);
    }

    /// One that waits, if any.
    pub(crate) fn take_spare(&self) -> Option<Spare> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// One more application thread, which does not run yet.
    pub(crate) fn add_thread(&self) -> Arc<Runs> {
        self.threads.fetch_add(1, Ordering::Relaxed);
        let thread = Arc::default();
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() == runs.capacity() {
            runs.retain(|other| other.strong_count() > 0);
        }
        runs.push(Arc::downgrade(&thread));
        thread
    }

    /// The watch finds it when the process dies.
    pub(crate) fn add_inner(&self, thread: &Arc<Inner>) {
        self.life.add_thread(thread);
    }

    /// What the watch is to know.
    pub(crate) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Whether the watch saw its end.
    pub(crate) fn is_dead(&self) -> bool {
        self.life.is_over()
    }

    /// Whether all that the process did its one application thread did.
    pub(crate) fn has_had_one_thread(&self) -> bool {
        self.threads.load(Ordering::Relaxed) == 1
    }

    /// Whether an application thread may be running.
    pub(crate) fn has_running(&self) -> bool {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().filter_map(Weak::upgrade).any(|thread| thread.0.load(Ordering::SeqCst))
    }

    /// Which program the process holds.
    pub(crate) fn program(&self) -> u32 {
        self.program.load(Ordering::Acquire)
    }

    /// It holds another from now on.
    pub(crate) fn set_program(&self, program: u32) {
        self.turn.begin_program();
        self.program.store(program, Ordering::Release);
    }

    /// Whether others end before it for lack of memory.
    pub(crate) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&self) {
        if !self.killed.swap(true, Ordering::SeqCst) {
            // A process that is gone already is what is wanted.
            let _gone = pidfd_send_signal(&self.pidfd, Signal::KILL);
        }
    }

    /// Whether it was sent SIGKILL.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// Sends SIGKILL; nothing of the application runs once this returns. Threads that wait for a reply do not go on, so
    /// only running ones are waited for.
    pub(crate) fn kill_and_wait(&self) {
        self.kill();
        if self.has_running() {
            let mut fds = [PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN)];
            let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
            let _dead = poll(&mut fds, Some(&limit));
        }
    }

    pub(crate) fn pidfd(&self) -> &Arc<OwnedFd> {
        &self.pidfd
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether an application thread may be running application code. It changes with each call: threads on two processors
/// must not write to one cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Runs(AtomicBool);

impl Runs {
    pub(crate) fn set(&self, running: Running) {
        self.0.store(running == Running::Yes, Ordering::SeqCst);
    }
}

/// What becomes of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    /// It may run.
    Yes,
    /// It waits for the monitor.
    No,
}

/// Slots of one stub; the low ones are used again first, because their memory is there.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Vec<u32>,
    next: u32,
}

impl Slots {
    /// Those of a copy whose only thread is in `slot`; 0 for a copy without.
    pub(crate) fn after(slot: u32) -> Self {
        Self { free: (1..slot).rev().collect(), next: slot + 1 }
    }

    fn take(&mut self) -> Option<u32> {
        self.free.pop().or_else(|| {
            let slot = self.next;
            (slot < SLOTS).then(|| {
                self.next += 1;
                slot
            })
        })
    }
}
