//! A monitor's log: what its parts report by `tracing`, on the descriptor of its messages.
//!
//! Applications can cause such reports, so the log has an end, and nothing of theirs reaches a reader's terminal as
//! more than text.

use std::fmt::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Most bytes of a log.
const LOG_BYTES_MAX: usize = 256 << 10;
/// Most characters of a report.
const REPORT_CHARS_MAX: usize = 1000;

/// Warnings and errors as lines. Spans are ignored.
struct Log {
    /// The monitor's name as a program.
    program: &'static str,
    taker: OwnedFd,
    /// Bytes that there is room for.
    room: Mutex<usize>,
}

/// Sends what is reported from here on to `taker`, as the words of `program`.
pub fn install(program: &'static str, taker: OwnedFd) {
    // Only a second call can fail, and there is none.
    let _ = tracing::subscriber::set_global_default(Log::new(program, taker));
}

impl Log {
    fn new(program: &'static str, taker: OwnedFd) -> Self {
        Self { program, taker, room: Mutex::new(LOG_BYTES_MAX) }
    }

    fn write(&self, level: tracing::Level, report: &str) {
        let line = format!("{}: {level}: {}\n", self.program, shown(report));
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        match room.checked_sub(line.len()) {
            Some(left) => *room = left,
            None if *room == 0 => return,
            None => {
                *room = 0;
                return self.put(&format!("{}: the log is full: nothing more is reported\n", self.program));
            }
        }
        self.put(&line);
    }

    /// A log that takes nothing must not stop anybody.
    fn put(&self, line: &str) {
        let _ = rustix::io::write(&self.taker, line.as_bytes());
    }
}

/// A report on one line, without control characters, and not too long.
pub fn shown(report: &str) -> String {
    let mut text = String::new();
    for character in report.trim_start().chars().take(REPORT_CHARS_MAX) {
        match character.is_control() {
            true => text.extend(character.escape_default()),
            false => text.push(character),
        }
    }
    text
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut report = Report::default();
        event.record(&mut report);
        self.write(*event.metadata().level(), &report.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message and the fields of an event.
#[derive(Default)]
struct Report(String);

impl Visit for Report {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    /// What is in a log after some reports.
    fn logged(report: impl FnOnce()) -> String {
        let file = File::from(memfd_create("log", MemfdFlags::CLOEXEC).expect("make a memory file"));
        let log = Log::new("stockade-monitor", file.try_clone().expect("copy a descriptor").into());
        tracing::subscriber::with_default(log, report);
        let len = file.metadata().expect("look at it").len();
        let mut bytes = vec![0; usize::try_from(len).expect("a short file")];
        file.read_exact_at(&mut bytes, 0).expect("read it");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn warnings_and_errors_are_lines() {
        let log = logged(|| {
            tracing::warn!(pid = 7, "a stub's code was misused");
            tracing::error!("stubs are not watched any more");
            tracing::debug!("a choice");
        });
        let lines = ["WARN: a stub's code was misused pid=7", "ERROR: stubs are not watched any more"];
        assert_eq!(log, lines.map(|line| format!("stockade-monitor: {line}\n")).concat());
    }

    #[test]
    fn what_an_application_says_stays_text_on_one_line() {
        let log = logged(|| tracing::warn!("evil\x1b[2J\nstockade-monitor: ERROR: forged\r\u{9b}1m"));
        assert_eq!(log.matches('\n').count(), 1);
        assert!(!log.trim_end().chars().any(char::is_control), "{log:?}");
        let log = logged(|| tracing::warn!("{}", "long".repeat(10_000)));
        assert!(log.len() < 1100, "{}", log.len());
    }

    #[test]
    fn it_has_an_end_and_says_so_once() {
        let log = logged(|| (0..10_000).for_each(|number| tracing::warn!(number, "a report of fifty bytes or so")));
        assert!(log.len() < LOG_BYTES_MAX + 100, "{}", log.len());
        assert!(log.ends_with("the log is full: nothing more is reported\n"));
        assert_eq!(log.matches("is full").count(), 1);
    }
}
