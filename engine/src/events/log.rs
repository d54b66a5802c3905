//! The log's file: `log`, one JSON document per line, and `log.1`, the one before it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use jiff::Timestamp;

use super::{Event, EventError, EventsOptions};
use crate::StateError;
use crate::rotated::{Reader, numbered};
use crate::state::flock_path;
use crate::watch::Watch;

/// A file of this size is put aside.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Appends one event. Writers take turns, so that no event goes to a file that has been put aside.
pub(super) fn append(directory: &Path, event: &Event) -> Result<(), StateError> {
    let path = directory.join("log");
    let lock = match flock_path(&directory.join(".lock")) {
        Err(StateError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(directory).map_err(StateError::io("create", directory))?;
            flock_path(&directory.join(".lock"))?
        }
        other => other?,
    };
    let write = || {
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        if file.metadata()?.len() >= FILE_BYTES_MAX {
            fs::rename(&path, numbered(&path, 1))?;
            file = OpenOptions::new().append(true).create(true).open(&path)?;
        }
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        file.write_all(&line)
    };
    let written = write().map_err(StateError::io("write", &path));
    lock.release();
    written
}

/// History, then what happens, until the time asked for.
pub(super) fn follow(
    directory: &Path,
    options: &EventsOptions,
    sink: &mut dyn FnMut(&Event) -> std::io::Result<()>,
) -> Result<(), EventError> {
    fs::create_dir_all(directory).map_err(StateError::io("create", directory))?;
    let watch = Watch::directory(directory)?;
    let since = options.since_ns.unwrap_or_else(now_ns);
    let mut reader = Reader::new(&directory.join("log"));
    loop {
        while let Some(event) = reader.next::<Event>()? {
            let in_time = event.time_ns >= since && options.until_ns.is_none_or(|until| event.time_ns <= until);
            if in_time && options.filter.accepts(&event) {
                sink(&event).map_err(EventError::Sink)?;
            }
        }
        let left = options.until_ns.map(|until| until - now_ns());
        if left.is_some_and(|left| left <= 0) {
            return Ok(());
        }
        watch.wait(left.and_then(|left| u64::try_from(left).ok()).map(std::time::Duration::from_nanos))?;
    }
}

/// Nanoseconds since the epoch.
fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::{Actor, EventKind};
    use super::*;

    fn event(action: &str) -> Event {
        let actor = Actor::default();
        let time_ns = now_ns();
        Event { kind: EventKind::Image, action: action.into(), actor, scope: "local".into(), time: 0, time_ns }
    }

    #[test]
    fn history_across_files_until_now() {
        let dir = tempfile::tempdir().unwrap();
        let mut long = event("one");
        long.actor.id = "x".repeat(usize::try_from(FILE_BYTES_MAX).unwrap());
        append(dir.path(), &long).unwrap();
        append(dir.path(), &event("two")).unwrap();
        assert!(dir.path().join("log.1").exists());
        let options = EventsOptions { since_ns: Some(0), until_ns: Some(now_ns()), ..Default::default() };
        let mut seen = Vec::new();
        follow(dir.path(), &options, &mut |event| {
            seen.push(event.action.clone());
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn what_happens_while_following() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let writer = std::thread::spawn(move || {
            for action in ["one", "two"] {
                std::thread::sleep(std::time::Duration::from_millis(20));
                append(&path, &event(action)).unwrap();
            }
        });
        let options = EventsOptions { since_ns: Some(0), ..Default::default() };
        let mut seen = Vec::new();
        let answer = follow(dir.path(), &options, &mut |event| {
            seen.push(event.action.clone());
            if seen.len() == 2 { Err(ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        });
        writer.join().unwrap();
        assert!(matches!(answer, Err(EventError::Sink(_))));
        assert_eq!(seen, ["one", "two"]);
    }
}
