//! The messages. Numbers of fields are for ever.

use std::io;

use prost::Message;

use super::guest::{GuestRoot, SharedMount, StreamId};
use crate::{Error, IsolationClass};

/// ttrpc's envelope of a request.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Request {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(string, tag = "2")]
    pub method: String,
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
}

/// ttrpc's envelope of an answer.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Response {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

/// google.rpc.Status, as ttrpc has it.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}

/// What a descriptor that comes with a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum FdRole {
    /// Standard input.
    Stdin = 0,
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
    /// The slave of the caller's pty, in raw mode: the process's terminal.
    Terminal = 3,
    /// An EROFS blob, lowest layer first.
    Layer = 4,
    /// A connection to a file server whose root is the container's.
    FileServer = 5,
    /// A descriptor that the process inherits (`--preserve-fds`), in order from 3.
    Preserved = 6,
    /// Where the kernel's trace of the container goes.
    Trace = 7,
    /// The file that catches the container's writes: a disk of its machine, or a part of its kernel's pool.
    Upper = 9,
}

/// [`super::Method::Create`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CreateContainer {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The bundle's config.json.
    #[prost(bytes = "vec", tag = "2")]
    pub spec: Vec<u8>,
    /// `user[:group]` by name, looked up in the container's own files.
    #[prost(string, optional, tag = "3")]
    pub user: Option<String>,
    /// What each descriptor that came along is.
    #[prost(enumeration = "FdRole", repeated, tag = "4")]
    pub descriptors: Vec<i32>,
    /// Files of the host that the spec binds, as they are now.
    #[prost(message, repeated, tag = "5")]
    pub files: Vec<BoundFile>,
    /// The container of the same sandbox whose namespaces it shares, where the spec names them by a path.
    #[prost(string, optional, tag = "6")]
    pub beside: Option<String>,
    /// In place of descriptors, where they cannot travel.
    #[prost(message, repeated, tag = "7")]
    pub streams: Vec<StreamId>,
    /// Where its root comes from, in a guest.
    #[prost(message, optional, tag = "8")]
    pub root: Option<GuestRoot>,
    /// The bind mounts that shares of the host serve.
    #[prost(message, repeated, tag = "9")]
    pub mounts: Vec<SharedMount>,
}

/// A file of the host that a spec's bind mount shows.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BoundFile {
    /// Where it shows.
    #[prost(string, tag = "1")]
    pub destination: String,
    /// What it holds.
    #[prost(bytes = "vec", tag = "2")]
    pub content: Vec<u8>,
    /// Its permission bits.
    #[prost(uint32, tag = "3")]
    pub permissions: u32,
}

/// [`super::Method::Exec`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExecProcess {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Names the process, for `Signal`, `Wait` and `Resize`.
    #[prost(string, tag = "2")]
    pub process: String,
    /// The process, as in config.json.
    #[prost(bytes = "vec", tag = "3")]
    pub spec: Vec<u8>,
    /// As in [`CreateContainer`].
    #[prost(string, optional, tag = "4")]
    pub user: Option<String>,
    /// As in [`CreateContainer`].
    #[prost(enumeration = "FdRole", repeated, tag = "5")]
    pub descriptors: Vec<i32>,
    /// As in [`CreateContainer`].
    #[prost(message, repeated, tag = "6")]
    pub streams: Vec<StreamId>,
}

/// `Start`, `Stats`, `Pause`, `Resume`, `Processes`, `Delete`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContainerRequest {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// `Wait`; the process is the init when it has no name.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ProcessRequest {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The process.
    #[prost(string, tag = "2")]
    pub process: String,
}

/// `Signal`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SignalRequest {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The process; the init when empty.
    #[prost(string, tag = "2")]
    pub process: String,
    /// The signal.
    #[prost(int32, tag = "3")]
    pub signal: i32,
    /// To every process of the container.
    #[prost(bool, tag = "4")]
    pub all: bool,
}

/// `Resize`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Resize {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The process; the init when empty.
    #[prost(string, tag = "2")]
    pub process: String,
    /// Lines.
    #[prost(uint32, tag = "3")]
    pub rows: u32,
    /// Characters of a line.
    #[prost(uint32, tag = "4")]
    pub columns: u32,
}

/// `Update`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Update {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// `linux.resources` of config.json.
    #[prost(bytes = "vec", tag = "2")]
    pub resources: Vec<u8>,
}

/// The answer to `Wait`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExitStatus {
    /// As wait(2) has it.
    #[prost(int32, tag = "1")]
    pub wait_status: i32,
}

/// The answer to `Stats`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StatsReply {
    /// [`crate::Stats`] as JSON.
    #[prost(bytes = "vec", tag = "1")]
    pub stats: Vec<u8>,
}

/// The answer to `Processes`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Processes {
    /// Host pids.
    #[prost(uint32, repeated, tag = "1")]
    pub pids: Vec<u32>,
    /// The processes as their own kernel sees them.
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<ProcessEntry>,
}

/// A process, as ps(1) tells of it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ProcessEntry {
    /// Its id in its container.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    /// Its parent's.
    #[prost(uint32, tag = "2")]
    pub parent: u32,
    /// Its process group's.
    #[prost(uint32, tag = "3")]
    pub group: u32,
    /// Its session's.
    #[prost(uint32, tag = "4")]
    pub session: u32,
    /// Its real user's.
    #[prost(uint32, tag = "5")]
    pub uid: u32,
    /// The letter of its state (proc_pid_stat(5)).
    #[prost(string, tag = "6")]
    pub state: String,
    /// Its terminal below /dev, or nothing.
    #[prost(string, tag = "7")]
    pub terminal: String,
    /// For how long it has been there, in milliseconds.
    #[prost(uint64, tag = "8")]
    pub age_ms: u64,
    /// CPU time, in milliseconds.
    #[prost(uint64, tag = "9")]
    pub cpu_ms: u64,
    /// Its threads.
    #[prost(uint64, tag = "10")]
    pub threads: u64,
    /// Bytes mapped.
    #[prost(uint64, tag = "11")]
    pub size_bytes: u64,
    /// Bytes in memory.
    #[prost(uint64, tag = "12")]
    pub resident_bytes: u64,
    /// The name of its program.
    #[prost(string, tag = "13")]
    pub name: String,
    /// Its arguments; empty for a zombie.
    #[prost(string, tag = "14")]
    pub command: String,
    /// Its effective user's id.
    #[prost(uint32, tag = "15")]
    pub effective_uid: u32,
    /// Its effective group's id.
    #[prost(uint32, tag = "16")]
    pub effective_gid: u32,
    /// Its effective user's name in the container, or nothing.
    #[prost(string, tag = "17")]
    pub user: String,
    /// Its real user's.
    #[prost(string, tag = "18")]
    pub real_user: String,
    /// Its effective group's.
    #[prost(string, tag = "19")]
    pub group_name: String,
    /// Its nice value.
    #[prost(sint32, tag = "20")]
    pub nice: i32,
    /// The process group in the foreground of its terminal, or -1.
    #[prost(sint64, tag = "21")]
    pub foreground: i64,
    /// Its threads, oldest first; none of a zombie.
    #[prost(message, repeated, tag = "22")]
    pub thread_entries: Vec<ThreadEntry>,
}

/// A thread of a process.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ThreadEntry {
    /// Its id in its container.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// The letter of its state (proc_pid_stat(5)).
    #[prost(string, tag = "2")]
    pub state: String,
    /// CPU time, in milliseconds.
    #[prost(uint64, tag = "3")]
    pub cpu_ms: u64,
    /// Its name.
    #[prost(string, tag = "4")]
    pub name: String,
}

/// Something that happened to a container.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Event {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Processes killed for lack of memory so far.
    #[prost(uint64, tag = "2")]
    pub oom_kills: u64,
}

/// Nothing to say.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Empty {}

/// An [`Error`] on its way through a status message: code and, for some, the parts.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WireError {
    /// Which variant.
    #[prost(string, tag = "1")]
    pub kind: String,
    /// Its text, or its first part.
    #[prost(string, tag = "2")]
    pub text: String,
    /// Its second part.
    #[prost(string, tag = "3")]
    pub detail: String,
    /// The errno of [`Error::Os`].
    #[prost(int32, tag = "4")]
    pub errno: i32,
    /// The class of [`Error::Unsupported`].
    #[prost(string, tag = "5")]
    pub class: String,
}

impl WireError {
    fn of(kind: &str, text: impl Into<String>) -> Self {
        Self { kind: kind.into(), text: text.into(), ..Self::default() }
    }
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::of("not-found", ""),
            Error::AlreadyExists => Self::of("exists", ""),
            Error::NotRunning => Self::of("not-running", ""),
            Error::NotPaused => Self::of("not-paused", ""),
            Error::ExecutableNotFound(program) => Self::of("no-executable", program),
            Error::NoSuchProgram(program) => Self::of("no-program", program),
            Error::InvalidConfig(text) => Self::of("config", text),
            Error::NotExecutable { program, reason } => Self { detail: reason, ..Self::of("not-executable", program) },
            Error::Unsupported { class, what, why } => {
                Self { detail: why, class: class.to_string(), ..Self::of("unsupported", what) }
            }
            Error::Os { what, source } => {
                Self { errno: source.raw_os_error().unwrap_or_default(), ..Self::of("os", what) }
            }
            other => Self::of("other", other.to_string()),
        }
    }
}

impl From<WireError> for Error {
    fn from(wire: WireError) -> Self {
        match wire.kind.as_str() {
            "not-found" => Error::NotFound,
            "exists" => Error::AlreadyExists,
            "not-running" => Error::NotRunning,
            "not-paused" => Error::NotPaused,
            "no-executable" => Error::ExecutableNotFound(wire.text),
            "no-program" => Error::NoSuchProgram(wire.text),
            "config" => Error::InvalidConfig(wire.text),
            "not-executable" => Error::NotExecutable { program: wire.text, reason: wire.detail },
            "unsupported" => Error::Unsupported {
                // The first peers were of this class and did not say so.
                class: wire.class.parse().unwrap_or(IsolationClass::Kernel),
                what: wire.text,
                why: wire.detail,
            },
            "os" => Error::os(wire.text, io::Error::from_raw_os_error(wire.errno)),
            _ => Error::Other(wire.text),
        }
    }
}
