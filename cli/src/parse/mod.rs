//! What people write in flags and the engine has no type for. Every error says what would have been right.

mod pairs;
mod time;

pub use pairs::{env, env_file, pair, pairs_file};
pub use time::{duration, instant};
