//! Time: clocks, what must happen when, and the timers of processes.
//!
//! No lock of a timer is held while a signal is sent, a queue is woken, or the kernel's timers are changed.

mod alarm;
mod clock;
mod process_timers;
mod spenders;
mod timer_fd;
mod timers;

pub(crate) use alarm::{Alarm, Setting, Target};
pub(crate) use clock::{Clock, CpuKind};
pub(crate) use process_timers::{Interval, ProcessTimers};
pub(crate) use timer_fd::TimerFd;
pub use timers::{TimerKey, Timers};
