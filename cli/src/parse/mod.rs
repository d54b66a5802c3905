//! What people write in flags and the engine has no type for. Every error says what would have been right.

mod pairs;
mod size;
mod time;

pub use pairs::{env, env_file, pair, pairs_file};
pub use size::size_or_unlimited;
pub use time::{duration, instant};
