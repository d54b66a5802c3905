//! What is logged, and where to.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// The least important level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What may be wrong.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// Details.
    Debug,
    /// Everything.
    Trace,
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        match text.to_ascii_lowercase().as_str() {
            "off" => Ok(Self::Off),
            "error" => Ok(Self::Error),
            "warn" | "warning" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(UnknownLevel(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("Invalid LevelFilter"))
    }
}

/// A word that is no level.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("Failed to parse string to level filter: {0}")]
pub struct UnknownLevel(String);

/// The body of `PUT /logger`: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LoggerConfig {
    /// A file or a named pipe.
    pub log_path: Option<PathBuf>,
    /// The least important level; [`Level::Info`] where it is absent.
    pub level: Option<Level>,
    /// Whether lines show their level.
    pub show_level: Option<bool>,
    /// Whether lines show the source file and line they come from.
    pub show_log_origin: Option<bool>,
    /// Only lines of modules whose path begins with this.
    pub module: Option<String>,
}
