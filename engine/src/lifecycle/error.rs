//! The errors of the verbs that change a container.

use crate::options::InvalidOption;
use crate::{LookupError, StateError};

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
    #[error("{message}")]
    Failed {
        /// 127 (program not found), or 126 (anything else that keeps it from starting).
        exit_code: u8,
        /// For people.
        message: String,
    },
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
}

impl ExecError {
    /// 126, 127, or 1 for what is not the program's fault (Docker's codes).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed { exit_code, .. } => *exit_code,
            _ => 1,
        }
    }
}
