//! Log lines in the two forms of runc (logrus), to standard error or a file.
//!
//! Callers read the last line of level `error` from the file to learn why a verb failed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::grammar::{Global, LogFormat};

/// The value of `--log` that means standard error.
pub const STDERR: &str = "/dev/stderr";

/// Where and how to log.
#[derive(Clone, Debug)]
pub struct Log {
    file: Option<PathBuf>,
    format: LogFormat,
    debug: bool,
}

/// How bad it is, in logrus's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For `--debug`.
    Debug,
    /// Something went otherwise than it should, and the verb went on.
    Warning,
    /// The verb failed.
    Error,
}

#[derive(Serialize)]
struct Line<'a> {
    level: Level,
    msg: &'a str,
    time: &'a str,
}

impl Log {
    /// The log that the global options ask for.
    pub fn new(global: &Global) -> Self {
        Self { file: file(&global.log), format: global.log_format, debug: global.debug }
    }

    /// The log of a command line that could not be parsed, from the words that it has.
    pub fn at(path: PathBuf, format: Option<OsString>) -> Self {
        let format = if format.is_some_and(|format| format == "json") { LogFormat::Json } else { LogFormat::Text };
        Self { file: file(&path), format, debug: false }
    }

    /// Whether lines go to a file instead of standard error.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Logs what is being done, with `--debug` only.
    pub fn debug(&self, message: &str) {
        if self.debug {
            self.write(Level::Debug, message);
        }
    }

    /// Logs why the verb failed; when the log is a file, standard error gets the bare message too.
    pub fn error(&self, message: &str) {
        self.write(Level::Error, message);
        if self.file.is_some() {
            let _ = writeln!(io::stderr(), "{message}");
        }
    }

    /// Whether `--debug` was given.
    pub fn is_debug(&self) -> bool {
        self.debug
    }

    /// A log that cannot be written must not fail the verb.
    pub fn write(&self, level: Level, message: &str) {
        let line = self.line(level, message, &now());
        let _ = match &self.file {
            Some(file) => append(file, &line),
            None => io::stderr().write_all(line.as_bytes()),
        };
    }

    fn line(&self, level: Level, msg: &str, time: &str) -> String {
        match self.format {
            LogFormat::Text => {
                let level = match level {
                    Level::Debug => "debug",
                    Level::Warning => "warning",
                    Level::Error => "error",
                };
                format!("time={time:?} level={level} msg={msg:?}\n")
            }
            LogFormat::Json => {
                let line = serde_json::to_string(&Line { level, msg, time }).unwrap_or_default();
                format!("{line}\n")
            }
        }
    }
}

/// The file behind a value of `--log`.
fn file(path: &Path) -> Option<PathBuf> {
    (path != Path::new(STDERR) && !path.as_os_str().is_empty()).then(|| path.to_owned())
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    File::options().append(true).create(true).open(path)?.write_all(line.as_bytes())
}

/// RFC 3339 in whole seconds.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: LogFormat, expected: &str) {
        let log = Log { file: None, format, debug: false };
        assert_eq!(log.line(Level::Error, "no \"such\" file", "2026-01-02T03:04:05Z"), expected);
    }

    #[test]
    fn lines_have_the_form_of_logrus() {
        check(LogFormat::Text, "time=\"2026-01-02T03:04:05Z\" level=error msg=\"no \\\"such\\\" file\"\n");
        let json = r#"{"level":"error","msg":"no \"such\" file","time":"2026-01-02T03:04:05Z"}"#;
        check(LogFormat::Json, &format!("{json}\n"));
    }
}
