//! System calls: one declarative [`table`], one file per call family, and what a handler gets.
//!
//! A handler decodes its arguments, refuses bits that it does not know, calls a domain object and returns a value. It
//! holds no state: it runs again from its start whenever what it waited for may be there (see [`crate::wait`]), with
//! [`Call::resume`] as its only memory.

mod call;
mod exec;
mod ids;
mod madvise;
mod mmap;
mod table;

pub use call::{Call, Outcome, Resume};
pub use table::{Entry, Support, TABLE, entry, trapped_calls};
