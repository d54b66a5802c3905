//! One application thread: its host thread in the stub, and its receiver here.
//!
//! The receiver waits for the thread's next notification and turns it into an event. Whoever replies completes the
//! notification. Lock order: `state`, then the list of idle receivers; neither is held while the kernel is called.

mod batch;
mod follow;
mod frame;
mod layout;
mod notice;
mod proposal;
mod reply;
mod used;

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use stockade_kernel::Errno;
use stockade_kernel::platform::{
    Event, Frame, HostCall, LateUsage, Registers, Reply, ThreadEvents, ThreadUsage, UserThread,
};
use stockade_kernel_stub::abi::{self, Saved};

use crate::machine::Shared;
use crate::path::TrapPath;
use crate::stub::{Running, Runs, Stub};
use crate::sys::process;
use crate::sys::seccomp::Listener;
use batch::Batch;
pub(crate) use batch::Beginning;
use follow::{Attended, Habit};
pub(crate) use frame::Entry;
use notice::Waiting;
use used::Told;

/// The kernel's hold on a thread.
#[derive(Debug)]
pub(crate) struct HostThread(Arc<Inner>);

/// What receiver and repliers share.
#[derive(Debug)]
pub(crate) struct Inner {
    me: Weak<Inner>,
    pub(crate) machine: Arc<Shared>,
    pub(crate) stub: Arc<Stub>,
    pub(crate) slot: u32,
    /// What the stub sees of `State::running`.
    runs: Arc<Runs>,
    listener: Arc<Listener>,
    /// The host's id; 0 until the first notification.
    tid: AtomicI32,
    /// The first notification, when it came before; and what the host thread had used by then.
    parked: Option<(u64, ThreadUsage)>,
    /// What it had used in all when that was last asked for.
    last: Mutex<Option<ThreadUsage>>,
    told: Told,
    habit: Habit,
    /// Whether anybody has received for it yet.
    begun: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` once it is over.
    events: Option<Arc<dyn ThreadEvents>>,
    /// What the thread waits in, until it is answered.
    waiting: Option<Waiting>,
    /// Host calls that are under way.
    batch: Option<Batch>,
    /// What a new thread does before it enters.
    setup: Vec<HostCall>,
    kick: Kick,
    /// [`UserThread::set_frame`] changed segment bases.
    segments: Segments,
    /// It ends at its next notification.
    doomed: Doom,
    /// Whether the stub counts it as running.
    running: Running,
    /// How it last went on.
    resumed: Resumed,
    /// A reply that a signal outran, on [`TrapPath::Interruptible`].
    lost: Option<Lost>,
    /// The word that is cleared and woken when the thread ends.
    clear_tid: Option<u64>,
    /// What was read for the event that the thread waits in.
    seen: Option<Seen>,
    /// A new program's first registers, until the reply.
    entry: Option<Registers>,
    /// Whether somebody receives for it.
    attended: Attended,
    heard: Heard,
}

/// What of a frame was read: hostile memory is read once.
#[derive(Debug)]
struct Seen {
    saved: Saved,
    /// Until the kernel asks for it.
    frame: Option<Frame>,
}

/// A host thread without an application thread: it is new, or waits in a notification since that was over.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) slot: u32,
    listener: Arc<Listener>,
    tid: i32,
    /// The notification, and what those before used.
    parked: Option<(u64, ThreadUsage)>,
    /// What it does at once.
    beginning: Option<Beginning>,
}

/// How far an interrupt got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kick {
    /// The kernel asked.
    asked: bool,
    /// The host signal is out, and no event came of it yet.
    sent: bool,
    /// The watchdog looks after it.
    watched: bool,
}

/// How far a kick got that the watchdog looks after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kicked {
    /// It was taken, or its thread waits for the kernel.
    Over,
    /// The handler makes host calls with signals blocked, or has made the last ones.
    InBatch,
    /// The application runs.
    Running,
    /// It went to whom the process said, and the thread has not been heard of.
    Unheard,
}

/// What becomes of a call that a signal cancelled after it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// It was answered with this; the handler's frame takes it.
    Value(i64),
    /// It is not answered yet; the handler waits in this notification.
    Awaited(u64),
}

/// Whether its id is more than what its process said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Yes,
    NotYet,
}

/// How a thread went on after its last event: what tells an EINTR of the kernel from one of a native wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resumed {
    /// Into an interrupt that was on its way.
    Interrupted,
    /// With EINTR, behind the instruction at this address if it is known.
    WithEintr(Option<u64>),
    Otherwise,
}

/// Whether segment bases are to be set before the thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segments {
    Kept,
    Changed,
}

/// Whether the thread is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doom {
    Lives,
    /// The host thread too.
    Ends,
    /// The host thread waits for another application thread.
    Parks,
}

impl Spare {
    /// A new one.
    pub(crate) fn new((slot, listener): (u32, Listener)) -> Self {
        Self { slot, listener: Arc::new(listener), tid: 0, parked: None, beginning: None }
    }

    /// A new one that does not wait, and whose process said its id. That need not be right: signals go to it only if it
    /// is one of the process, which ends when the first notification comes from another, or when an interrupt is lost.
    pub(crate) fn at_once(made: (u32, Listener), tid: i32, beginning: Beginning) -> Self {
        Self { tid, beginning: Some(beginning), ..Self::new(made) }
    }
}

impl HostThread {
    /// A host thread becomes an application thread.
    pub(crate) fn new(
        machine: Arc<Shared>,
        stub: Arc<Stub>,
        spare: Spare,
        setup: Vec<HostCall>,
        events: Arc<dyn ThreadEvents>,
    ) -> Self {
        let runs = stub.add_thread();
        let inner = Arc::new_cyclic(|me| Inner {
            me: me.clone(),
            machine,
            stub,
            slot: spare.slot,
            runs,
            listener: spare.listener,
            tid: AtomicI32::new(spare.tid),
            parked: spare.parked,
            last: Mutex::default(),
            told: Told::default(),
            habit: Habit::default(),
            begun: AtomicBool::new(false),
            state: Mutex::new(State::new(setup, events)),
        });
        if let Some(beginning) = spare.beginning {
            let mut state = inner.state();
            state.begin_at_once(beginning);
            inner.count(&mut state, Running::Yes);
        }
        inner.stub.add_inner(&inner);
        Self(inner)
    }
}

impl State {
    fn new(setup: Vec<HostCall>, events: Arc<dyn ThreadEvents>) -> Self {
        Self {
            events: Some(events),
            waiting: None,
            batch: None,
            setup,
            kick: Kick::default(),
            segments: Segments::Changed,
            doomed: Doom::Lives,
            running: Running::No,
            resumed: Resumed::Otherwise,
            lost: None,
            clear_tid: None,
            seen: None,
            entry: None,
            attended: Attended::Yes,
            heard: Heard::Yes,
        }
    }
}

impl UserThread for HostThread {
    fn start(&self) {
        if let Err(error) = self.0.machine.receivers.receive(self.0.clone()) {
            tracing::error!(%error, "no host thread for an application thread: its process ends");
            self.0.stub.kill();
            self.0.gone();
        }
    }

    fn reply(&self, reply: Reply) {
        self.0.answer(reply);
    }

    fn interrupt(&self) {
        let mut state = self.0.state();
        state.kick.asked = true;
        if self.0.machine.path != TrapPath::Interruptible || state.waiting.is_none() {
            self.0.send_kick(&mut state);
        }
    }

    fn frame(&self) -> Result<Frame, Errno> {
        self.0.read_frame()
    }

    fn set_frame(&self, frame: &Frame) -> Result<(), Errno> {
        self.0.write_frame(frame)
    }

    fn cpu_time(&self) -> (Duration, Duration) {
        self.0.cpu_time()
    }

    fn cpu_total(&self) -> Duration {
        self.0.cpu_total()
    }

    fn faults(&self) -> (u64, u64) {
        self.0.faults()
    }

    fn last_usage(&self) -> ThreadUsage {
        self.0.last_usage()
    }

    fn late_usage(&self) -> Option<((Duration, Duration), Arc<dyn LateUsage>)> {
        let stub = &self.0.stub;
        stub.has_had_one_thread().then(|| (self.0.cpu_time(), stub.life().clone() as Arc<dyn LateUsage>))
    }

    fn delay(&self) -> Duration {
        self.0.machine.proc.thread_delay(self.0.stub.pid(), self.0.tid.load(Ordering::Relaxed))
    }

    fn involuntary_switches(&self) -> u64 {
        self.0.machine.proc.thread_involuntary_switches(self.0.stub.pid(), self.0.tid.load(Ordering::Relaxed))
    }
}

impl Drop for HostThread {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues the host signal, unless one is on its way. A thread without an id yet gets it with its first
    /// notification.
    fn send_kick(&self, state: &mut State) {
        let tid = self.tid.load(Ordering::Relaxed);
        if tid != 0 && !state.kick.sent {
            state.kick.sent = true;
            process::kick(self.stub.pid(), tid);
            self.watch_kick(state);
        }
    }

    /// Has the watchdog see to a kick that a running thread has not taken.
    fn watch_kick(&self, state: &mut State) {
        if state.kick.sent && state.waiting.is_none() && !std::mem::replace(&mut state.kick.watched, true) {
            self.machine.watchdog.watch(self.me.clone());
        }
    }

    /// What the watchdog sees. It looks no more at what is over.
    pub(crate) fn look_at_kick(&self) -> Kicked {
        let mut state = self.state();
        if !state.kick.sent || state.waiting.is_some() {
            state.kick.watched = false;
            return Kicked::Over;
        }
        match state.heard {
            Heard::NotYet => Kicked::Unheard,
            Heard::Yes if state.batch.is_some() => Kicked::InBatch,
            Heard::Yes => Kicked::Running,
        }
    }

    /// CPU time of the application's code on the host thread.
    pub(crate) fn user_time(&self) -> Duration {
        self.machine.proc.thread_cpu_time(self.stub.pid(), self.tid.load(Ordering::Relaxed)).0
    }

    /// Whether the host holds the kick back because the thread blocks it.
    pub(crate) fn blocks_kick(&self) -> bool {
        self.machine.proc.blocks(self.stub.pid(), self.tid.load(Ordering::Relaxed), abi::KICK_SIGNAL)
    }

    /// Whether the kick is with the host still, which may give it to the thread.
    pub(crate) fn awaits_kick(&self) -> bool {
        self.machine.proc.awaits(self.stub.pid(), self.tid.load(Ordering::Relaxed), abi::KICK_SIGNAL)
    }

    /// The kick does not come through, and so the kernel has no hold on the thread: its process ends.
    pub(crate) fn end_kicked(&self) {
        tracing::warn!(pid = self.stub.pid().as_raw_nonzero(), "an application kept the kick signal from itself");
        self.stub.kill();
    }

    /// Whether the application's code may be running.
    fn count(&self, state: &mut State, running: Running) {
        if std::mem::replace(&mut state.running, running) != running {
            self.runs.set(running);
        }
    }

    /// Nothing more is told, and the thread ends as soon as it can.
    fn end(&self) {
        let mut state = self.state();
        if state.events.take().is_none() {
            return;
        }
        state.doomed = Doom::Ends;
        match state.waiting.take() {
            _ if self.stub.is_killed() => {}
            Some(waiting) => {
                self.before_answer(&mut state);
                self.exit_from(&mut state, waiting);
            }
            None => self.send_kick(&mut state),
        }
    }

    /// The thread is dead.
    fn gone(&self) {
        self.stub.free_slot(self.slot);
        let events = {
            let mut state = self.state();
            state.waiting = None;
            self.count(&mut state, Running::No);
            state.events.take()
        };
        if let Some(events) = events {
            events.event(Event::Gone);
        }
    }
}

impl State {
    /// The reply that lets the thread go on with its registers.
    fn leave(&mut self) -> i64 {
        match std::mem::replace(&mut self.segments, Segments::Kept) {
            Segments::Kept => abi::LEAVE,
            Segments::Changed => abi::LEAVE_SEGMENTS,
        }
    }
}
