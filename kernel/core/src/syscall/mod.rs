//! System calls: one declarative [`table`], one file per call family, and what a handler gets.
//!
//! A handler decodes its arguments, refuses bits that it does not know, calls a domain object and returns a value. It
//! holds no state: it runs again from its start whenever what it waited for may be there (see [`crate::wait`]), with
//! [`Call::resume`] as its only memory.

mod call;
mod capabilities;
mod clock;
mod clone;
mod epoll;
mod eventfd;
mod exec;
mod futex;
mod groups;
mod ids;
mod kill;
mod madvise;
mod mmap;
mod new_file;
mod pidfd;
mod poll;
mod prctl;
mod process_vm;
mod sched;
mod select;
mod shm;
mod sigaction;
mod system;
mod table;
mod timers;
mod usage;
mod wait4;

pub use call::{Call, Outcome, Resume};
pub use pidfd::PidFd;
pub use table::{Entry, Support, TABLE, entry, trapped_calls};
