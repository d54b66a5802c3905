//! A caller's end of a container's streams: the caller's descriptors 0, 1 and 2 joined to a process.

mod detach;
mod proxy;
mod signals;
mod terminal;

use std::os::fd::OwnedFd;

use crate::query::Status;
use crate::state::Container;
use crate::supervise::greeting;
use crate::supervise::protocol::{Request, Role, WindowSize, connect, send};
use crate::{Engine, LookupError, StateError};
pub use detach::DetachKeys;
pub(crate) use terminal::own_window;

/// Why `attach` failed.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It does not run.
    #[error("You cannot attach to a stopped container, start it first")]
    NotRunning,
    /// It is frozen.
    #[error("You cannot attach to a paused container, unpause it first")]
    Paused,
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A session broke.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A descriptor of ours failed.
    #[error("cannot {verb}: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The host's answer.
        source: std::io::Error,
    },
    /// The supervisor died.
    #[error("the container's supervisor ended")]
    SupervisorLost,
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What to join.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// Whether our standard input goes to the container.
    pub stdin: bool,
}

/// What a session does with signals that the caller receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalProxy {
    /// Sends them on to the container (`--sig-proxy`, Docker's default).
    Forward,
    /// Lets them end the caller.
    Off,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The process ended with this code (128 + n for signal n).
    Exited(i32),
    /// The caller typed the detach keys; the process runs on.
    Detached,
}

/// Streams joined to a container's init or to an exec'd process.
#[derive(Debug)]
pub struct Session<'e> {
    engine: &'e Engine,
    container: Container,
    socket: OwnedFd,
    role: Role,
    tty: bool,
    target: Target,
}

/// What a session is joined to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// The container's init: signals can be sent on to it.
    Init,
    /// An exec'd process.
    Exec,
}

impl<'e> Session<'e> {
    /// A session with an init.
    pub(crate) fn new(engine: &'e Engine, container: &Container, socket: OwnedFd, role: Role, tty: bool) -> Self {
        Self { engine, container: container.clone(), socket, role, tty, target: Target::Init }
    }

    /// A session with an exec'd process.
    pub(crate) fn of_exec(engine: &'e Engine, container: &Container, socket: OwnedFd, role: Role, tty: bool) -> Self {
        Self { engine, container: container.clone(), socket, role, tty, target: Target::Exec }
    }

    /// Moves bytes, window sizes and signals until the process ends or the caller detaches. Puts a terminal on
    /// standard input in raw mode meanwhile, when the process has one too.
    pub fn run(self, keys: &DetachKeys, proxy: SignalProxy) -> Result<Outcome, SessionError> {
        proxy::run(&self, keys, proxy)
    }
}

/// A window that does not change tells no program to draw what it drew for an earlier client: it is made larger first.
fn redrawing(request: Request<'_>) -> Vec<Request<'_>> {
    match request {
        Request::Resize(size) => {
            let larger = WindowSize { rows: size.rows.saturating_add(1), columns: size.columns.saturating_add(1) };
            vec![Request::Resize(larger), request]
        }
        other => vec![other],
    }
}

impl Engine {
    /// Joins a running container's streams.
    pub fn attach(&self, name: &str, options: &AttachOptions) -> Result<Session<'_>, AttachError> {
        let container = self.find(name)?;
        match self.peek(&container)?.status {
            Status::Running => {}
            Status::Paused => return Err(AttachError::Paused),
            _ => return Err(AttachError::NotRunning),
        }
        let record = container.record()?;
        let role = if options.stdin && record.options.interactive { Role::InputOutput } else { Role::Output };
        let join = || {
            let socket = connect(&container.run, "attach.sock")?;
            let mut packet = Vec::new();
            for request in greeting(role, own_window()).into_iter().flat_map(redrawing) {
                request.encode(&mut packet);
                send(&socket, &packet)?;
            }
            Ok(socket)
        };
        // A supervisor that ends just now counts as ended.
        let socket = join().map_err(|_: rustix::io::Errno| AttachError::NotRunning)?;
        self.log_event(&record, "attach", &[]);
        Ok(Session::new(self, &container, socket, role, record.options.tty))
    }
}
