//! From a notification to an event.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use stockade_kernel::Errno;
use stockade_kernel::platform::{Event, Fault, Form, Interruption, LayoutError, WaitLimit};
use stockade_kernel_stub::abi::{self, Context};

use super::follow::{self, Step};
use super::{Doom, Heard, Inner, Lost, Resumed, Spare, State, proposal};
use crate::native;
use crate::stub::Running;
use crate::sys::seccomp::{Answer, Notification};

const SYS_FUTEX: u64 = 202;
const SYSCALL_INSTRUCTION: [u8; 2] = [0x0f, 0x05];
const EINTR: i64 = 4;
const FUTEX_WAIT_BITSET: u64 = 9;

/// A notification that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) kind: Kind,
    pub(super) instruction_pointer: u64,
}

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The application's own.
    Direct { number: u32, arguments: [u64; 6] },
    /// Of the handler, for a trapped call.
    Trapped,
    /// Of the handler: a mapping that it expects to be told to make.
    Proposed { arguments: [u64; 6] },
    /// Of the handler, for a signal.
    Signal,
}

impl Kind {
    /// Whether there is a frame.
    pub(super) fn has_frame(self) -> bool {
        !matches!(self, Kind::Direct { .. })
    }
}

/// What becomes of a notification.
enum Notice {
    /// The kernel hears of it.
    Event(Kind, Event),
    /// It is answered at once.
    Answer(Answer),
    /// It is answered when a call before it is.
    Held,
    /// No stub of ours does this.
    Forged,
}

impl Inner {
    /// The receiver: until there is nobody that it receives for.
    pub(crate) fn receive(self: Arc<Self>) {
        if !self.begun.swap(true, Ordering::Relaxed) {
            self.attend();
            self.begin_again();
        }
        let mut next = Some(self);
        while let Some(thread) = next {
            thread.attend();
            next = thread.receive_here();
        }
        follow::rest();
    }

    /// Receives for this thread until it is dead or left; whom to receive for then.
    fn receive_here(self: &Arc<Self>) -> Option<Arc<Self>> {
        loop {
            let mut ahead = self.look_ahead();
            match self.listener.receive() {
                Ok(notification) if self.parks(&notification) => {
                    ahead.give_up();
                    self.park(notification.id);
                    return follow::take_next();
                }
                Ok(notification) => {
                    self.called(notification.number, &mut ahead);
                    self.notice(&notification);
                    match self.after_call(ahead) {
                        Step::Stay => {}
                        Step::Follow(next) => return Some(next),
                        Step::Rest => return None,
                    }
                }
                Err(error) => {
                    ahead.give_up();
                    let is_over = match error.kind() {
                        io::ErrorKind::Interrupted => false,
                        _ => error.raw_os_error() != Some(libc::ENOENT) || self.is_dead(),
                    };
                    if is_over {
                        break;
                    }
                }
            }
        }
        self.gone();
        follow::take_next()
    }

    /// Whether nothing more will be heard of it, when there was nothing to hear.
    fn is_dead(&self) -> bool {
        self.stub.is_killed() || self.listener.is_dead()
    }

    /// A parked thread has said hello already.
    fn begin_again(self: &Arc<Self>) {
        let Some((id, _)) = self.parked else { return };
        let mut state = self.state();
        let notice = self.enter(&mut state);
        self.act(state, (id, self.machine.hello.syscall_ip), notice);
    }

    /// Whether a thread that is to park does. Anything else that it does is seen as misuse.
    fn parks(&self, notification: &Notification) -> bool {
        let is_hello = notification.number == abi::HELLO && self.is_stubs(notification);
        is_hello && self.state().doomed == Doom::Parks
    }

    fn is_stubs(&self, notification: &Notification) -> bool {
        notification.instruction_pointer == self.machine.hello.syscall_ip
    }

    fn park(&self, id: u64) {
        let (listener, tid) = (self.listener.clone(), self.tid.load(Ordering::Relaxed));
        self.count(&mut self.state(), Running::No);
        self.stub.park(Spare {
            slot: self.slot,
            listener,
            tid,
            parked: Some((id, self.used_in_all())),
            beginning: None,
        });
    }

    fn notice(self: &Arc<Self>, notification: &Notification) {
        let mut state = self.state();
        let notice = match self.is_stubs(notification) {
            _ if !self.is_its_threads(notification) => Notice::Forged,
            true if state.doomed == Doom::Parks => park_unwoken(&mut state, notification),
            false if state.doomed == Doom::Parks => Notice::Forged,
            true => self.stub_call(&mut state, notification),
            // What was ordered comes before anything else.
            false if state.owes_calls() => Notice::Forged,
            false => direct(notification),
        };
        if matches!(notice, Notice::Forged) {
            tracing::warn!(pid = self.stub.pid().as_raw_nonzero(), ?notification, "a stub's code was misused");
        }
        state.heard = Heard::Yes;
        self.act(state, (notification.id, notification.instruction_pointer), notice);
    }

    /// Whether it comes from the thread that its process said, or from a new one that says hello: only of these is it
    /// known whom an interrupt goes to.
    fn is_its_threads(&self, notification: &Notification) -> bool {
        match self.tid.load(Ordering::Relaxed) {
            0 => notification.number == abi::HELLO && self.is_stubs(notification),
            tid => u32::try_from(tid) == Ok(notification.tid),
        }
    }

    /// Does what a notification asks for.
    fn act(self: &Arc<Self>, state: MutexGuard<'_, State>, (id, instruction_pointer): (u64, u64), notice: Notice) {
        match notice {
            Notice::Event(kind, event) => self.raise(state, Waiting { id, kind, instruction_pointer }, event),
            Notice::Answer(answer) => drop(self.send(id, answer)),
            Notice::Held => {}
            Notice::Forged => self.stub.kill(),
        }
    }

    fn raise(self: &Arc<Self>, mut state: MutexGuard<'_, State>, waiting: Waiting, event: Event) {
        if state.doomed == Doom::Ends {
            return self.exit_from(&mut state, waiting);
        }
        state.waiting = Some(waiting);
        state.batch = None;
        self.count(&mut state, Running::No);
        let events = state.events.clone();
        drop(state);
        if let Some(events) = events {
            events.event(event);
        }
    }

    /// A call from the stub's own instruction. Anything can have jumped there.
    fn stub_call(&self, state: &mut State, notification: &Notification) -> Notice {
        let arguments = notification.arguments;
        match notification.number {
            abi::HELLO | abi::EVENT | abi::TRAP_BASE..abi::TRAP_END if state.owes_calls() => Notice::Forged,
            abi::HELLO => self.hello(state, notification),
            abi::EVENT => self.signal(state, notification.id, arguments),
            abi::DONE => self.done(state, arguments),
            number @ abi::TRAP_BASE..abi::TRAP_END => {
                let number = number - abi::TRAP_BASE;
                Notice::Event(Kind::Trapped, Event::Call { number, arguments, form: Form::Trapped })
            }
            proposal::MMAP if !state.owes_calls() => proposed(arguments),
            _ => self.host_call(state, notification).map_or(Notice::Forged, Notice::Answer),
        }
    }

    fn hello(&self, state: &mut State, notification: &Notification) -> Notice {
        let tid = i32::try_from(notification.tid).unwrap_or(0);
        if self.tid.swap(tid, Ordering::Relaxed) != 0 {
            return Notice::Forged;
        }
        self.enter(state)
    }

    /// Lets a thread that waits become the application's. Nobody is asked to do what only the platform notes.
    fn enter(&self, state: &mut State) -> Notice {
        self.machine.path.place(self.tid.load(Ordering::Relaxed));
        if state.kick.asked {
            self.send_kick(state);
        }
        self.count(state, Running::Yes);
        let setup = std::mem::take(&mut state.setup);
        if setup.is_empty() {
            return Notice::Answer(Answer::Value(state.leave()));
        }
        if state.notes_all(&setup) {
            return Notice::Event(Kind::Signal, Event::LayoutDone(Ok(())));
        }
        Notice::Answer(Answer::Value(self.begin_batch(state, &setup, abi::REPORT, Kind::Signal)))
    }

    fn signal(&self, state: &mut State, id: u64, arguments: [u64; 6]) -> Notice {
        let [signal, code, address, error_code, trap_number, _] = arguments;
        let (signal, code) = (low_i32(signal), low_i32(code));
        if signal != abi::KICK_SIGNAL {
            let fault = Fault { signal, code, address, error_code, trap_number };
            return Notice::Event(Kind::Signal, Event::Fault(fault));
        }
        state.kick.sent = false;
        if state.waiting.is_some() {
            state.lost = Some(Lost::Awaited(id));
            return Notice::Held;
        }
        if let Some(Lost::Value(value)) = state.lost.take() {
            self.complete(value);
        }
        match std::mem::take(&mut state.kick.asked) {
            true => Notice::Event(Kind::Signal, Event::Interrupted(self.interruption(state))),
            false if state.doomed == Doom::Ends => Notice::Answer(Answer::Value(abi::EXIT)),
            false => Notice::Answer(Answer::Value(abi::LEAVE)),
        }
    }

    /// What the handler says about its batch.
    fn done(&self, state: &mut State, arguments: [u64; 6]) -> Notice {
        let Some(batch) = state.batch.take() else { return Notice::Forged };
        let [index, result, ..] = arguments;
        let is_true = if result == 0 { batch.is_made() } else { batch.may_fail_at(index) };
        if !is_true {
            return Notice::Forged;
        }
        if result == 0 && !batch.is_last() {
            return Notice::Answer(Answer::Value(self.next_chunk(state, batch)));
        }
        let errno = Errno::from_raw(low_i32(result).wrapping_neg()).unwrap_or(Errno::EIO);
        let outcome = match result {
            0 => Ok(()),
            _ => Err(LayoutError { index: batch.index(index), errno }),
        };
        Notice::Event(batch.origin, Event::LayoutDone(outcome))
    }

    /// Lets a call that a signal cancelled return in the handler's frame, as if the signal had come after it.
    pub(super) fn complete(&self, value: i64) {
        let Some((_, mut context)) = self.read_context() else { return };
        context.rip = context.rip.wrapping_add(2);
        context.rax = value.cast_unsigned();
        self.write_context(&context);
    }

    /// What the thread was doing. A futex wait with a timeout comes out of the host as EINTR; it is rewound.
    fn interruption(&self, state: &mut State) -> Interruption {
        let Some(mut context) = self.see_context(state) else { return Interruption::Running };
        let is_ours = match state.resumed {
            Resumed::Interrupted => true,
            Resumed::WithEintr(at) => at.is_none_or(|at| at == context.rip),
            Resumed::Otherwise => false,
        };
        if !is_ours && at_newer_wait(&context) && self.is_call(context.rip) {
            return Interruption::Waiting(WaitLimit::None);
        }
        let at_call = context.rax == SYS_FUTEX && context.rcx == context.rip.wrapping_add(2);
        let behind_call = context.rax.cast_signed() == -EINTR && context.rcx == context.rip;
        let call_at = if behind_call { context.rip.wrapping_sub(2) } else { context.rip };
        let Some(limit) = limit(&context) else { return Interruption::Running };
        // One that lasts for some time ends in EINTR: at its call it has not begun, or is to go on.
        let waited = behind_call || at_call && limit != WaitLimit::For;
        if is_ours || !waited || !self.is_call(call_at) {
            return Interruption::Running;
        }
        if behind_call {
            (context.rip, context.rax) = (call_at, SYS_FUTEX);
            self.write_context(&context);
            state.seen = None;
        }
        Interruption::Waiting(limit)
    }

    /// Lets a trapped call return in the handler's frame.
    pub(super) fn put_value(&self, value: i64) {
        let Some((_, mut context)) = self.read_context() else { return };
        context.rax = value.cast_unsigned();
        self.write_context(&context);
    }

    fn is_call(&self, address: u64) -> bool {
        let mut bytes = [0; 2];
        crate::sys::memory::read(self.stub.pid(), address, &mut bytes) == 2 && bytes == SYSCALL_INSTRUCTION
    }
}

/// The word that a thread's end clears may be gone before it is woken: whoever joined it has unmapped it. As on Linux,
/// that matters to nobody.
fn park_unwoken(state: &mut State, notification: &Notification) -> Notice {
    let batch = state.batch.take().filter(|_| notification.number == abi::DONE);
    batch.map_or(Notice::Forged, |batch| Notice::Answer(Answer::Value(batch.then())))
}

/// Whether the thread is to make futex_waitv(2) or futex_wait(2) again, whose timeouts are times of a clock: a handler
/// with SA_RESTART lets them wait on.
fn at_newer_wait(context: &Context) -> bool {
    let is_wait = [native::FUTEX_WAITV, native::FUTEX_WAIT].iter().any(|number| u64::from(*number) == context.rax);
    is_wait && context.rcx == context.rip.wrapping_add(2)
}

/// How long a call of futex(2) waits, if it does.
fn limit(context: &Context) -> Option<WaitLimit> {
    match (context.rsi & native::FUTEX_COMMAND_MASK, context.r10) {
        (native::FUTEX_WAIT_COMMAND | FUTEX_WAIT_BITSET, 0) => Some(WaitLimit::None),
        (native::FUTEX_WAIT_COMMAND, _) => Some(WaitLimit::For),
        (FUTEX_WAIT_BITSET, _) => Some(WaitLimit::Until),
        _ => None,
    }
}

fn proposed(arguments: [u64; 6]) -> Notice {
    let Some((number, of_call)) = proposal::call(arguments) else { return Notice::Forged };
    Notice::Event(Kind::Proposed { arguments }, Event::Call { number, arguments: of_call, form: Form::Trapped })
}

fn direct(notification: &Notification) -> Notice {
    let (number, arguments) = (notification.number, notification.arguments);
    Notice::Event(Kind::Direct { number, arguments }, Event::Call { number, arguments, form: Form::Direct })
}

fn low_i32(value: u64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}
