//! Which microVM this is and how it fares.

use serde::{Serialize, Serializer};
use thiserror::Error;

const MAX_ID_CHARS: usize = 64;

/// The name of a microVM: 1 to 64 letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceId(String);

impl InstanceId {
    /// Checks a name.
    ///
    /// # Errors
    /// See the variants of [`InvalidInstanceId`].
    pub fn new(id: &str) -> Result<Self, InvalidInstanceId> {
        if id.is_empty() || id.len() > MAX_ID_CHARS {
            return Err(InvalidInstanceId::Length(id.len()));
        }
        match id.chars().enumerate().find(|(_, char)| *char != '-' && !char.is_alphanumeric()) {
            Some((at, char)) => Err(InvalidInstanceId::Char(char, at)),
            None => Ok(Self(id.to_owned())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for InstanceId {
    fn default() -> Self {
        Self("anonymous-instance".to_owned())
    }
}

/// Why a name is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidInstanceId {
    /// A character that does not belong, and where it is.
    #[error("Invalid char ({0}) at position {1}")]
    Char(char, usize),
    /// Empty or too long.
    #[error("Invalid len ({0});  the length must be between 1 and {max}", max = MAX_ID_CHARS)]
    Length(usize),
}

/// What a microVM does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VmState {
    /// It is being configured.
    #[default]
    NotStarted,
    /// Its virtual CPUs run.
    Running,
    /// They stand still.
    Paused,
}

impl VmState {
    /// The word that clients are told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "Not started",
            Self::Running => "Running",
            Self::Paused => "Paused",
        }
    }
}

impl Serialize for VmState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The answer to `GET /`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceInfo {
    /// The microVM's name.
    pub id: InstanceId,
    /// What it does.
    pub state: VmState,
    /// The version of this program.
    pub vmm_version: String,
    /// The name of this program.
    pub app_name: String,
}
