//! From a reply to the answer of a notification.

use stockade_kernel::Errno;
use stockade_kernel::platform::{HostCall, Reply};
use stockade_kernel_stub::abi;

use super::notice::{Kind, Waiting};
use super::{Doom, Inner, Lost, Resumed, State};
use crate::native;
use crate::path::TrapPath;
use crate::stub::Running;
use crate::sys::memory;
use crate::sys::seccomp::Answer;

/// The host runs the call again when a signal is queued, whatever the signal's action says (linux/errno.h).
const ERESTARTNOINTR: i32 = -513;
/// Numbers that the host keeps to itself (ERESTARTSYS to ERESTART_RESTARTBLOCK).
const HOST_ONLY: std::ops::RangeInclusive<i64> = -530..=-512;
const SYS_EXIT: u32 = 60;

impl Inner {
    /// Answers the event that the thread waits in.
    pub(super) fn answer(&self, reply: Reply) {
        let mut state = self.state();
        let Some(waiting) = state.waiting.take() else {
            return tracing::error!(?reply, "a reply to a thread that waits for none");
        };
        state.seen = None;
        self.count(&mut state, Running::Yes);
        self.watch_kick(&mut state);
        let answer = match waiting.kind {
            Kind::Direct { number, arguments } => self.direct_answer(&mut state, number, arguments, reply),
            kind => match self.agreed(&mut state, kind, &reply) {
                Some(answer) => answer,
                None => Answer::Value(self.framed_answer(&mut state, kind, reply)),
            },
        };
        self.write_entry(&mut state, None);
        state.resumed = resumed(&state, &waiting, answer);
        self.before_answer(&mut state);
        match self.machine.path {
            TrapPath::Interruptible => self.send_interruptible(&mut state, &waiting, answer),
            TrapPath::Pinned | TrapPath::Sync => {
                drop(state);
                self.send(waiting.id, answer);
            }
        }
    }

    /// Completes a notification, and says whether it was there. One that went away was its thread's end.
    pub(super) fn send(&self, id: u64, answer: Answer) -> bool {
        let sent = self.listener.send(id, answer);
        if let Err(error) = &sent {
            tracing::trace!(%error, slot = self.slot, "an answer came too late");
        }
        sent.is_ok()
    }

    /// The same where signals cancel calls. A kick that was asked for meanwhile must come before the application's next
    /// instruction: it cancels the call, and the answer goes into the handler's frame, as one does that was outrun. The
    /// handler itself has signals blocked.
    fn send_interruptible(&self, state: &mut State, waiting: &Waiting, answer: Answer) {
        if state.kick.asked && waiting.kind.has_frame() {
            self.send_kick(state);
        }
        match (state.lost.take(), answer) {
            (Some(Lost::Awaited(handler)), answer) => {
                if let Answer::Value(value) = answer {
                    self.complete(value);
                }
                self.send(handler, Answer::Value(abi::LEAVE));
            }
            // The kick that was sent makes the host run the call again.
            (_, Answer::Error(_)) => {}
            (_, Answer::Value(value)) if state.kick.asked && !waiting.kind.has_frame() => {
                state.lost = Some(Lost::Value(value));
            }
            (_, answer) => {
                if let (false, Answer::Value(value)) = (self.send(waiting.id, answer), answer) {
                    state.lost = Some(Lost::Value(value));
                }
            }
        }
        if state.kick.asked {
            self.send_kick(state);
        }
    }

    fn direct_answer(&self, state: &mut State, number: u32, arguments: [u64; 6], reply: Reply) -> Answer {
        match reply {
            Reply::Value(value) => Answer::Value(plain(value)),
            Reply::Native if native::is_permitted(number, arguments) => Answer::Continue,
            Reply::Layout { calls, value } if state.notes_all(&calls) => Answer::Value(plain(value)),
            Reply::Restart => {
                self.send_kick(state);
                Answer::Error(ERESTARTNOINTR)
            }
            Reply::Exit => {
                state.events = None;
                self.exit_direct(state, number)
            }
            Reply::Native
            | Reply::Resume
            | Reply::Layout { .. }
            | Reply::LayoutThenResume { .. }
            | Reply::LayoutThenEvent { .. } => {
                tracing::warn!(number, ?reply, "no reply to a call without a frame");
                Answer::Value(-i64::from(Errno::EPERM.raw()))
            }
        }
    }

    fn framed_answer(&self, state: &mut State, kind: Kind, reply: Reply) -> i64 {
        match reply {
            Reply::Value(value) => plain(value),
            Reply::Layout { calls, value } if state.notes_all(&calls) => plain(value),
            Reply::Layout { calls, value } => self.begin_batch(state, &calls, plain(value), kind),
            Reply::LayoutThenResume { calls } => {
                let then = state.leave();
                self.begin_batch(state, &calls, then, kind)
            }
            Reply::LayoutThenEvent { calls } => self.begin_batch(state, &calls, abi::REPORT, kind),
            Reply::Restart if kind != Kind::Signal => abi::RESTART,
            Reply::Resume | Reply::Restart => state.leave(),
            Reply::Exit => self.exit_framed(state, kind),
            Reply::Native => {
                tracing::warn!("a call with a frame cannot be left to the host");
                -i64::from(Errno::EPERM.raw())
            }
        }
    }

    /// The application's thread is over: its word is cleared and woken, and the host's thread waits for another if
    /// there are not enough of them.
    fn exit_framed(&self, state: &mut State, kind: Kind) -> i64 {
        state.events = None;
        let (doomed, then) = if self.stub.wants_spares() { (Doom::Parks, abi::PARK) } else { (Doom::Ends, abi::EXIT) };
        state.doomed = doomed;
        let Some(address) = state.clear_tid.take() else { return then };
        memory::write(self.stub.pid(), address, &[0; 4]);
        self.begin_batch(state, &[HostCall::FutexWake { address, count: 1 }], then, kind)
    }

    /// Ends a thread that waits.
    pub(super) fn exit_from(&self, state: &mut State, waiting: Waiting) {
        let answer = match waiting.kind {
            Kind::Direct { number, .. } => self.exit_direct(state, number),
            _ => Answer::Value(abi::EXIT),
        };
        self.send(waiting.id, answer);
    }

    /// exit(2) itself is the host's; out of any other call the handler does it.
    fn exit_direct(&self, state: &mut State, number: u32) -> Answer {
        state.doomed = Doom::Ends;
        if number == SYS_EXIT {
            return Answer::Continue;
        }
        self.send_kick(state);
        Answer::Value(0)
    }
}

fn resumed(state: &State, waiting: &Waiting, answer: Answer) -> Resumed {
    let is_direct = !waiting.kind.has_frame();
    match answer {
        // The kick ends the wait at once, with an EINTR of its own.
        Answer::Continue if matches!(waiting.kind, Kind::Direct { number: native::FUTEX, .. }) => Resumed::Otherwise,
        _ if state.kick.sent => Resumed::Interrupted,
        Answer::Value(value) if value == -i64::from(Errno::EINTR.raw()) => {
            Resumed::WithEintr(is_direct.then_some(waiting.instruction_pointer))
        }
        _ => Resumed::Otherwise,
    }
}

/// A result that neither the stub nor the host takes for something else.
pub(super) fn plain(value: i64) -> i64 {
    match value {
        i64::MIN..=abi::LAST_MARKER => -i64::from(Errno::EINVAL.raw()),
        value if HOST_ONLY.contains(&value) => -i64::from(Errno::EINTR.raw()),
        value => value,
    }
}
