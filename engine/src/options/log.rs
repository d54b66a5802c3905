//! `--log-driver` and `--log-opt`.

use serde::{Deserialize, Serialize};

use super::{InvalidOption, parse_size};

/// Where a container's output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// The driver.
    pub driver: LogDriver,
    /// Rotate once the file has this many bytes; never when absent.
    pub max_size_bytes: Option<u64>,
    /// How many files to keep, the current one included.
    pub max_file: u32,
}

/// What keeps the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// Docker's json-file.
    #[default]
    JsonFile,
    /// Nothing does.
    None,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { driver: LogDriver::JsonFile, max_size_bytes: None, max_file: 1 }
    }
}

impl LogConfig {
    /// Sets the driver by its name.
    pub fn set_driver(&mut self, name: &str) -> Result<(), InvalidOption> {
        self.driver = match name {
            "json-file" => LogDriver::JsonFile,
            "none" => LogDriver::None,
            _ => return Err(InvalidOption(format!("unknown log driver {name:?}: choose json-file or none"))),
        };
        Ok(())
    }

    /// Applies one `--log-opt KEY=VALUE`.
    pub fn set_option(&mut self, option: &str) -> Result<(), InvalidOption> {
        let (key, value) = option
            .split_once('=')
            .ok_or_else(|| InvalidOption(format!("invalid log option {option:?}: use KEY=VALUE")))?;
        match key {
            "max-size" => self.max_size_bytes = Some(parse_size(value)?).filter(|size| *size > 0),
            "max-file" => self.max_file = parse_count(value)?,
            _ => return Err(InvalidOption(format!("unknown log option {key:?}: choose max-size or max-file"))),
        }
        Ok(())
    }
}

/// A number of files, at least one.
fn parse_count(text: &str) -> Result<u32, InvalidOption> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| InvalidOption(format!("invalid max-file {text:?}: use a number above 0")))
}
