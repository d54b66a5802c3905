//! Signals (signal(7)): what processes do about them, how they are sent, queued and delivered.
//!
//! A task's *attention* is one atomic word that says whether anything must be looked at before its application goes on;
//! system calls that need not wait load it once. Signals wait in queues of the task or of its process. Senders queue
//! first and set the attention after; the task clears the attention first and looks into the queues after.

mod action;
mod context;
mod deliver;
mod file;
mod fp_state;
mod frame;
mod info;
mod number;
mod queue;
mod restart;
mod send;
mod stack;
mod state;

pub use action::{Action, ActionFlags, Actions, DefaultAction};
pub(crate) use file::SignalFd;
pub use info::{Detail, SignalInfo, code};
pub use number::{Signal, SignalSet};
pub use queue::{Pending, Queued};
pub(crate) use restart::Restart;
pub use stack::{AlternateStack, StackAbi, StackFlags};
pub(crate) use state::{Attention, ProcessSignals, TaskSignals};
