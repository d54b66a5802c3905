//! Time: what must happen when.

mod process_timers;
mod timers;

pub(crate) use process_timers::ProcessTimers;
pub use timers::{TimerKey, Timers};
