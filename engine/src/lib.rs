//! The engine: lifecycle, state on disk, names, volumes, logs, events, and the supervisor of each running container.
//!
//! It drives isolation classes by [`stockade_sandbox::Runtime`] only, knows none by name, and prints nothing: commands
//! and tables are the binary's.
#![forbid(unsafe_code)]

mod backend;
mod conditions;
mod directories;
mod engine;
mod error;
mod events;
mod image;
mod lease;
mod lifecycle;
mod logs;
pub mod options;
mod query;
mod rotated;
mod session;
mod shm;
mod spec;
mod state;
mod supervise;
mod watch;

pub use backend::{Backend, SupervisorCommand};
pub use directories::Directories;
pub use engine::Engine;
pub use error::{LookupError, StateError};
pub use events::{Actor, Event, EventError, EventFilter, EventKind, EventsOptions};
pub use image::ContainerImage;
pub use lifecycle::{
    CreateError, ExecError, ExecOptions, PauseError, RemoveError, RemoveOptions, RenameError, SignalError, StartError,
    StopOptions, UpdateError, WaitError,
};
pub use logs::{LogLine, LogStream, LogsError, LogsOptions};
pub use options::ContainerOptions;
pub use query::{
    ContainerSummary, Inspect, ListFilter, NetworkStats, ProcessTable, QueryError, StatsSample, Status,
    own_process_table,
};
pub use session::{AttachError, AttachOptions, DetachKeys, Outcome, Session, SessionError, SignalProxy};
pub use supervise::{Ahead, supervise_main};
