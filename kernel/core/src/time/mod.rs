//! Time: what must happen when.

mod timers;

pub use timers::{TimerKey, Timers};
