//! What applications do, and what they are answered.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Debug;

use super::HostCall;
use crate::Errno;

/// How a system call arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Number and arguments only. Can be answered with [`Reply::Value`] and [`Reply::Native`].
    Direct,
    /// Through the stub's signal handler: there is a frame, and host calls can be asked for.
    Trapped,
}

/// An exception of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGTRAP.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: u64,
    /// The processor's error code, for the application's frame.
    pub error_code: u64,
    /// The processor's vector, for the application's frame.
    pub trap_number: u64,
}

/// What a thread did. It waits for one reply after each, [`Event::Gone`] excepted.
#[derive(Clone, Debug)]
pub enum Event {
    /// A system call.
    Call {
        /// Its number; hostile.
        number: u32,
        /// Its arguments; hostile.
        arguments: [u64; 6],
        /// How it came.
        form: Form,
    },
    /// An exception. Has a frame.
    Fault(Fault),
    /// [`super::UserThread::interrupt`] took effect. Has a frame.
    Interrupted(Interruption),
    /// Host calls of the last [`Reply::Layout`] are done, or one failed. Has a frame.
    LayoutDone(Result<(), LayoutError>),
    /// The thread is dead: its space was killed, or the host ended it. Nothing waits for a reply. Comes once, and not
    /// after [`Reply::Exit`].
    Gone,
}

/// What an interrupted thread was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// It computed, or was about to take its last reply.
    Running,
    /// It waited in futex(2), which the host serves. The registers are those before the call, so that
    /// [`Reply::Resume`] waits again. To fail the call instead (before a handler without SA_RESTART, or any handler
    /// when it has a timeout), set `rax` to `-EINTR` and add the 2 bytes of the instruction to `rip`.
    Waiting(WaitLimit),
}

/// Whether an interrupted wait has a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitLimit {
    /// It waits for ever.
    None,
    /// It waits until a time.
    Until,
    /// It waits for some time from its call on, which came as [`Event::Call`].
    For,
}

/// The host refused a layout change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutError {
    /// Which of the calls.
    pub index: usize,
    /// What it said.
    pub errno: Errno,
}

impl Event {
    /// Whether registers can be read and changed before the reply.
    pub fn has_frame(&self) -> bool {
        !matches!(self, Event::Call { form: Form::Direct, .. } | Event::Gone)
    }
}

/// The answer to an event.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The system call's result (negative: an errno), in whichever form it came.
    Value(i64),
    /// Let the host do this call as it stands: its arguments were validated, and they are all it has
    /// ([`Form::Direct`] only).
    Native,
    /// Do these host calls first, then let the system call return `value`. When one fails the rest is left out, and
    /// [`Event::LayoutDone`] says so; otherwise the application goes on without another event.
    Layout {
        /// In this order.
        calls: Vec<HostCall>,
        /// The system call's result when all succeed.
        value: i64,
    },
    /// Do these host calls first, then go on as with [`Reply::Resume`]. When one fails the rest is left out, and
    /// [`Event::LayoutDone`] says so; otherwise no event comes of it.
    LayoutThenResume {
        /// In this order.
        calls: Vec<HostCall>,
    },
    /// Do these host calls, then raise [`Event::LayoutDone`].
    LayoutThenEvent {
        /// In this order.
        calls: Vec<HostCall>,
    },
    /// Go on with the registers as they are, or as [`super::UserThread::set_frame`] left them.
    Resume,
    /// Run the same system call again from its start (after a signal was handled, or nothing was there to do).
    Restart,
    /// End this host thread. No event follows.
    Exit,
}

/// Where a thread's events go. The platform calls it on the thread's own receiver, one event at a time.
pub trait ThreadEvents: Debug + Send + Sync {
    /// Handles one event. The reply may be given before this returns, or at any later time from any host thread.
    fn event(self: Arc<Self>, event: Event);
}
