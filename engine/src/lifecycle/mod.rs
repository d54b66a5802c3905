//! The verbs that change a container.

use std::collections::BTreeMap;

use crate::options::{InvalidOption, Resources, Signal};
use crate::{ContainerImage, ContainerOptions, Engine, LookupError, Session, StateError};

/// Why `create` failed.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The name is taken.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". \
         You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Its owner.
        id: String,
    },
    /// The name has a shape that names may not have.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    /// An option makes no sense.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// Neither the image nor the caller says what to run.
    #[error("no command specified")]
    NoCommand,
    /// A container that `--network container:…` or the like names.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The class, for example one that this build lacks.
    #[error(transparent)]
    Class(#[from] stockade_sandbox::Error),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why `start` failed. [`StartError::exit_code`] is what `run` exits with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It is frozen.
    #[error("cannot start a paused container, try unpause instead")]
    Paused,
    /// The class refused, or the program cannot run.
    #[error("{message}")]
    Failed {
        /// 125, 126 (not executable) or 127 (not found).
        exit_code: u8,
        /// For people.
        message: String,
    },
    /// The supervisor died before the container ran.
    #[error("the supervisor of {0} ended before the container started")]
    SupervisorLost(String),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

impl StartError {
    /// The exit status that `run` owes its caller.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed { exit_code, .. } => *exit_code,
            _ => 125,
        }
    }
}

/// Why `kill` or `stop` failed.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It does not run.
    #[error("Cannot kill container: {name}: Container {id} is not running")]
    NotRunning {
        /// As asked for.
        name: String,
        /// Its id.
        id: String,
    },
    /// The class refused.
    #[error(transparent)]
    Class(#[from] stockade_sandbox::Error),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why `pause` or `unpause` failed.
#[derive(Debug, thiserror::Error)]
pub enum PauseError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It does not run.
    #[error("Container {0} is not running")]
    NotRunning(String),
    /// `pause` of a frozen one.
    #[error("Container {0} is already paused")]
    AlreadyPaused(String),
    /// `unpause` of one that is not frozen.
    #[error("Container {0} is not paused")]
    NotPaused(String),
    /// The class refused.
    #[error(transparent)]
    Class(#[from] stockade_sandbox::Error),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why `rm` failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It runs and force was not asked for.
    #[error("You cannot remove a running container {0}. Stop the container before attempting removal or force remove")]
    Running(String),
    /// It is frozen and force was not asked for.
    #[error(
        "You cannot remove a paused container {0}. Unpause and then stop the container before attempting removal or force remove"
    )]
    Paused(String),
    /// The class refused.
    #[error(transparent)]
    Class(#[from] stockade_sandbox::Error),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why `rename` failed.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The new name is taken or has a wrong shape.
    #[error(transparent)]
    Name(#[from] CreateError),
    /// Old and new are the same.
    #[error("Renaming a container with the same name as its current name")]
    SameName,
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why `update` failed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The limits contradict each other.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// The class refused.
    #[error(transparent)]
    Class(#[from] stockade_sandbox::Error),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why `wait` failed.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why `exec` failed. [`ExecError::exit_code`] is what the command exits with.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// No such container.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It does not run.
    #[error("Container {0} is not running")]
    NotRunning(String),
    /// It is frozen.
    #[error("Container {0} is paused, unpause the container before exec")]
    Paused(String),
    /// An option makes no sense.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// The class refused, or the program cannot run.
    #[error(transparent)]
    Class(#[from] stockade_sandbox::Error),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

impl ExecError {
    /// 126, 127, or 1 for what is not the program's fault (Docker's codes).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Class(error) => crate::supervise::exit_code_of(error, 1),
            _ => 1,
        }
    }
}

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
    /// `--force`: kill it first; an absent container is an error still.
    pub force: bool,
    /// `--volumes`: its anonymous volumes too.
    pub volumes: bool,
}

/// What `exec` runs.
#[derive(Clone, Debug, Default)]
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

impl Engine {
    /// Makes a container and returns its id (64 hexadecimal digits). Nothing of it runs yet.
    pub fn create(&self, options: ContainerOptions, image: ContainerImage) -> Result<String, CreateError> {
        let _ = (options, image);
        Err(unfinished().into())
    }

    /// Starts a container in the background. Starting one that runs does nothing.
    pub fn start(&self, name: &str) -> Result<(), StartError> {
        let _ = name;
        Err(unfinished().into())
    }

    /// Starts a container and returns a session that sees all its output from the first byte on.
    pub fn start_attached(&self, name: &str, options: &crate::AttachOptions) -> Result<Session, StartError> {
        let _ = (name, options);
        Err(unfinished().into())
    }

    /// Sends a signal to the init.
    pub fn kill(&self, name: &str, signal: Signal) -> Result<(), SignalError> {
        let _ = (name, signal);
        Err(unfinished().into())
    }

    /// Asks the init to end, and kills the container if it takes too long. Stopping one that does not run does nothing.
    pub fn stop(&self, name: &str, options: &StopOptions) -> Result<(), SignalError> {
        let _ = (name, options);
        Err(unfinished().into())
    }

    /// Freezes.
    pub fn pause(&self, name: &str) -> Result<(), PauseError> {
        let _ = name;
        Err(unfinished().into())
    }

    /// Thaws.
    pub fn unpause(&self, name: &str) -> Result<(), PauseError> {
        let _ = name;
        Err(unfinished().into())
    }

    /// Removes a container and all it held.
    pub fn remove(&self, name: &str, options: RemoveOptions) -> Result<(), RemoveError> {
        let _ = (name, options);
        Err(unfinished().into())
    }

    /// Gives a container another name.
    pub fn rename(&self, name: &str, new_name: &str) -> Result<(), RenameError> {
        let _ = (name, new_name);
        Err(unfinished().into())
    }

    /// Changes limits, now if it runs, and for its next start.
    pub fn update(&self, name: &str, resources: &Resources) -> Result<(), UpdateError> {
        let _ = (name, resources);
        Err(unfinished().into())
    }

    /// Blocks until the container does not run, and returns its exit code.
    pub fn wait(&self, name: &str) -> Result<i32, WaitError> {
        let _ = name;
        Err(unfinished().into())
    }

    /// Runs one more process in a running container, attached to the caller.
    pub fn exec(&self, name: &str, options: &ExecOptions) -> Result<Session, ExecError> {
        let _ = (name, options);
        Err(unfinished().into())
    }

    /// Runs one more process in the background, without streams.
    pub fn exec_detached(&self, name: &str, options: &ExecOptions) -> Result<(), ExecError> {
        let _ = (name, options);
        Err(unfinished().into())
    }

    /// Ids of the containers, running or not, that use the image with this id (`sha256:…`).
    pub fn image_users(&self, image_id: &str) -> Result<Vec<String>, StateError> {
        let _ = (image_id, BTreeMap::<String, String>::new());
        Err(unfinished())
    }
}

/// Stands in for verbs that are not written yet.
pub(crate) fn unfinished() -> StateError {
    StateError::Damaged { path: "engine".into(), reason: "not written yet".into() }
}
