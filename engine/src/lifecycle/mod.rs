//! The verbs that change a container.

mod create;
mod error;
mod exec;
mod limits;
mod mounts;
mod remove;
mod rename;
mod signal;
mod start;

use serde::{Deserialize, Serialize};

use crate::options::Signal;
pub use error::{
    CreateError, ExecError, PauseError, RemoveError, RenameError, SignalError, StartError, UpdateError, WaitError,
};
pub(crate) use signal::stop_signal;

/// How `stop` asks, and how long it waits before it kills.
#[derive(Clone, Debug, Default)]
pub struct StopOptions {
    /// `--signal`; the container's stop signal when absent.
    pub signal: Option<Signal>,
    /// `--time` in seconds, -1 for no limit; the container's own when absent.
    pub timeout_s: Option<i32>,
}

/// What `rm` may take along.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// `--force`: kill it first.
    pub force: bool,
    /// `--volumes`: its anonymous volumes too.
    pub volumes: bool,
}

/// What `exec` runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ExecOptions {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// `-t`.
    pub tty: bool,
    /// `-i`.
    pub interactive: bool,
    /// `-e`, `--env-file`: `NAME=value`, on top of the container's.
    pub env: Vec<String>,
    /// `-w`.
    pub workdir: Option<String>,
    /// `-u`.
    pub user: Option<String>,
    /// `--privileged`.
    pub privileged: bool,
}
