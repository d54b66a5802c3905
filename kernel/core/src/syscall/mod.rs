//! System calls: one declarative [`table`], one file per call family, and what a handler gets.
//!
//! A handler decodes its arguments, refuses bits that it does not know, calls a domain object and returns a value. It
//! holds no state: it runs again from its start whenever what it waited for may be there (see [`crate::wait`]), with
//! [`Call::resume`] as its only memory.

mod aio;
mod ancillary;
mod at;
mod attributes;
mod call;
mod capabilities;
mod clock;
mod clone;
mod copy;
mod descriptors;
mod directory;
mod epoll;
mod eventfd;
mod exec;
mod fcntl;
mod fsopen;
mod futex;
mod groups;
mod handles;
mod ids;
mod inotify;
mod ioctl;
mod ipc;
mod kcmp;
mod kill;
mod locks;
mod madvise;
mod memfd;
mod message;
mod mmap;
mod mount;
mod mount_attributes;
mod mq;
mod msg;
mod names;
mod new_file;
mod open;
mod open_tree;
mod pidfd;
mod pipe;
mod poll;
mod prctl;
mod process_vm;
mod read_write;
mod receive;
mod sched;
mod seek;
mod select;
mod sem;
mod send;
mod shm;
mod sigaction;
mod signalfd;
mod socket;
mod socket_facts;
mod sockopt;
mod splice;
mod stat;
mod statmount;
mod system;
mod table;
mod terminal;
#[cfg(test)]
mod tests;
mod timers;
mod unserved;
mod usage;
mod wait4;
mod xattr;

pub use call::{Call, Outcome, Resume, TimeForm};
pub use pidfd::PidFd;
pub use table::{Entry, Support, TABLE, entry, trapped_calls};
pub(crate) use terminal::open_terminal;
pub(crate) use unserved::unserved_name;
pub use unserved::{UNSERVED, Unserved, absent_calls};
