//! Reads a log, across its rotated files, and follows it.

use std::collections::VecDeque;
use std::os::fd::AsFd;

use jiff::Timestamp;

use super::{LogLine, LogsError, LogsOptions};
use crate::Engine;
use crate::rotated::Reader;
use crate::state::Container;
use crate::supervise::protocol::connect;
use crate::watch::Watch;

/// Where lines go.
type Sink<'a> = &'a mut dyn FnMut(&LogLine) -> std::io::Result<()>;

/// Shows what is there, then what comes until the container ends.
pub(super) fn show(
    engine: &Engine,
    container: &Container,
    options: &LogsOptions,
    sink: Sink<'_>,
) -> Result<(), LogsError> {
    let watch = if options.follow { Some(Watch::directory(&container.dir)?) } else { None };
    // Connected before the first look: whoever is connected is told of the end.
    let mut supervisor = options.follow.then(|| connect(&container.run, "attach.sock").ok()).flatten();
    let mut reader = Reader::new(&container.log_path());
    history(&mut reader, options, sink)?;
    let Some(watch) = watch else { return Ok(()) };
    loop {
        let running = container.dir.is_dir() && engine.peek(container).is_ok_and(|state| state.is_live());
        while let Some(line) = reader.next::<LogLine>()? {
            match place(&line, options) {
                Place::Within => sink(&line).map_err(LogsError::Sink)?,
                Place::Before => {}
                Place::After => return Ok(()),
            }
        }
        if !running {
            return Ok(());
        }
        if supervisor.is_none() {
            supervisor = connect(&container.run, "attach.sock").ok();
        }
        watch.wait_also(supervisor.as_ref().map(AsFd::as_fd), None)?;
    }
}

/// The lines that exist, or the last of them.
fn history(reader: &mut Reader, options: &LogsOptions, sink: Sink<'_>) -> Result<(), LogsError> {
    let mut last = VecDeque::new();
    while let Some(line) = reader.next::<LogLine>()? {
        match (place(&line, options), options.tail) {
            (Place::Before, _) => {}
            (Place::After, _) => break,
            (Place::Within, None) => sink(&line).map_err(LogsError::Sink)?,
            (Place::Within, Some(count)) => {
                last.push_back(line);
                last.drain(..last.len().saturating_sub(count));
            }
        }
    }
    last.iter().try_for_each(sink).map_err(LogsError::Sink)
}

/// Where a line is in relation to the times asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Within,
    After,
}

/// Compares a line's time with those asked for.
fn place(line: &LogLine, options: &LogsOptions) -> Place {
    if options.since_ns.is_none() && options.until_ns.is_none() {
        return Place::Within;
    }
    let Ok(time) = line.time.parse::<Timestamp>().map(|time| time.as_nanosecond()) else { return Place::Within };
    if options.since_ns.is_some_and(|since| time < since) {
        Place::Before
    } else if options.until_ns.is_some_and(|until| time > until) {
        Place::After
    } else {
        Place::Within
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LogStream, LogWriter};
    use super::*;
    use crate::options::LogConfig;
    use crate::rotated::numbered;

    /// What `history` shows of a log of ten numbered lines in files of about three.
    fn check(options: &LogsOptions, expected: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let config = LogConfig { max_size_bytes: Some(200), max_file: 9, ..LogConfig::default() };
        let mut log = LogWriter::open(&path, &config).unwrap();
        (0..10).for_each(|number| log.write(LogStream::Stdout, format!("{number}\n").as_bytes()).unwrap());
        assert!(numbered(&path, 2).exists());
        let mut seen = Vec::new();
        let mut sink = |line: &LogLine| {
            seen.push(line.text.trim().to_owned());
            Ok(())
        };
        history(&mut Reader::new(&path), options, &mut sink).unwrap();
        assert_eq!(seen, expected, "{options:?}");
    }

    #[test]
    fn choices() {
        let all = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        check(&LogsOptions::default(), &all);
        check(&LogsOptions { tail: Some(3), ..Default::default() }, &["7", "8", "9"]);
        check(&LogsOptions { tail: Some(0), ..Default::default() }, &[]);
        check(&LogsOptions { tail: Some(99), ..Default::default() }, &all);
        check(&LogsOptions { since_ns: Some(0), ..Default::default() }, &all);
        check(&LogsOptions { since_ns: Some(i128::MAX), ..Default::default() }, &[]);
        check(&LogsOptions { until_ns: Some(0), ..Default::default() }, &[]);
    }
}
