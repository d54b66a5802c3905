//! Writes Docker's json-file format, with rotation.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::LogStream;
use crate::options::LogConfig;
use crate::rotated::numbered;
use crate::state::now;

/// A longer line is split in pieces of this size, as Docker does.
const PIECE_BYTES: usize = 16 << 10;

/// The log of one running container.
#[derive(Debug)]
pub(crate) struct LogWriter {
    path: PathBuf,
    file: File,
    size_bytes: u64,
    max_size_bytes: Option<u64>,
    max_file: u32,
    unfinished: [Vec<u8>; 2],
}

/// One entry as it is written.
#[derive(Serialize)]
struct Entry<'a> {
    log: &'a str,
    stream: LogStream,
    time: &'a str,
}

impl LogWriter {
    /// Opens a log to append to.
    pub(crate) fn open(path: &Path, config: &LogConfig) -> std::io::Result<Self> {
        let file = open_append(path)?;
        Ok(Self {
            path: path.to_owned(),
            size_bytes: file.metadata()?.len(),
            file,
            max_size_bytes: config.max_size_bytes,
            max_file: config.max_file,
            unfinished: Default::default(),
        })
    }

    /// Appends output: whole lines at once, the beginning of a line once it is whole or too long.
    pub(crate) fn write(&mut self, stream: LogStream, data: &[u8]) -> std::io::Result<()> {
        let time = now();
        let mut line = std::mem::take(&mut self.unfinished[slot(stream)]);
        line.extend(data);
        let mut rest = &line[..];
        let mut entries = Vec::with_capacity(data.len() + 256);
        while let Some(length) = piece(rest) {
            let (piece, after) = rest.split_at(length);
            encode(&mut entries, stream, piece, &time);
            rest = after;
            if self.is_full(entries.len()) {
                self.append(&mut entries)?;
            }
        }
        self.unfinished[slot(stream)] = rest.to_vec();
        self.append(&mut entries)
    }

    /// Writes what never got its newline.
    pub(crate) fn finish(&mut self) {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let line = std::mem::take(&mut self.unfinished[slot(stream)]);
            if !line.is_empty() {
                let mut entries = Vec::new();
                encode(&mut entries, stream, &line, &now());
                let _ = self.append(&mut entries);
            }
        }
    }

    /// Whether so many more bytes make the file full.
    fn is_full(&self, more: usize) -> bool {
        let size = self.size_bytes.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        self.max_size_bytes.is_some_and(|max| size >= max)
    }

    /// Writes the entries, and turns to a new file if this one is full.
    fn append(&mut self, entries: &mut Vec<u8>) -> std::io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.file.write_all(entries)?;
        self.size_bytes += u64::try_from(entries.len()).unwrap_or(0);
        entries.clear();
        if self.is_full(0) { self.rotate() } else { Ok(()) }
    }

    /// `log.json` becomes `log.json.1`, that one `.2`, and so on; the last one goes.
    fn rotate(&mut self) -> std::io::Result<()> {
        for number in (1..self.max_file.saturating_sub(1)).rev() {
            let _ = fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1));
        }
        if self.max_file > 1 {
            fs::rename(&self.path, numbered(&self.path, 1))?;
        } else {
            fs::remove_file(&self.path)?;
        }
        self.file = open_append(&self.path)?;
        self.size_bytes = 0;
        Ok(())
    }
}

/// Opens a file to append to.
fn open_append(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// Where a stream's unfinished line is kept.
fn slot(stream: LogStream) -> usize {
    match stream {
        LogStream::Stdout => 0,
        LogStream::Stderr => 1,
    }
}

/// The length of the next entry: up to a newline, or a piece of a long line. `None` for the beginning of a line.
fn piece(data: &[u8]) -> Option<usize> {
    let window = &data[..data.len().min(PIECE_BYTES)];
    match window.iter().position(|byte| *byte == b'\n') {
        Some(newline) => Some(newline + 1),
        None if data.len() > PIECE_BYTES => Some(PIECE_BYTES),
        None => None,
    }
}

/// Appends one entry.
fn encode(entries: &mut Vec<u8>, stream: LogStream, line: &[u8], time: &str) {
    let text = String::from_utf8_lossy(line);
    let entry = Entry { log: &text, stream, time };
    if serde_json::to_writer(&mut *entries, &entry).is_ok() {
        entries.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::LogLine;
    use super::*;

    fn lines(path: &Path) -> Vec<LogLine> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn texts(path: &Path) -> Vec<String> {
        lines(path).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_and_pieces() {
        let check = |writes: &[&str], expected: &[&str]| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            let mut log = LogWriter::open(&path, &LogConfig::default()).unwrap();
            for write in writes {
                log.write(LogStream::Stdout, write.as_bytes()).unwrap();
            }
            log.finish();
            assert_eq!(texts(&path), expected, "{writes:.20?}");
        };
        check(&["a\nb\n"], &["a\n", "b\n"]);
        check(&["a", "b\nc"], &["ab\n", "c"]);
        check(&["\n\n"], &["\n", "\n"]);
        check(&[""], &[]);
        let long = "x".repeat(PIECE_BYTES);
        check(&[&format!("{long}y\n")], &[&long, "y\n"]);
        check(&[&format!("{long}\n")], &[&long, "\n"]);
        check(&["\"\u{7}\n"], &["\"\u{7}\n"]);
    }

    #[test]
    fn streams_do_not_mix_within_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogWriter::open(&path, &LogConfig::default()).unwrap();
        log.write(LogStream::Stdout, b"o").unwrap();
        log.write(LogStream::Stderr, b"e\n").unwrap();
        log.write(LogStream::Stdout, b"ut\n").unwrap();
        let found: Vec<_> = lines(&path).into_iter().map(|line| (line.stream, line.text)).collect();
        assert_eq!(found, [(LogStream::Stderr, "e\n".to_owned()), (LogStream::Stdout, "out\n".to_owned())]);
    }

    #[test]
    fn rotation_keeps_so_many_files() {
        let check = |max_file: u32, expected: &[&[&str]]| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            let config = LogConfig { max_size_bytes: Some(1), max_file, ..LogConfig::default() };
            let mut log = LogWriter::open(&path, &config).unwrap();
            log.write(LogStream::Stdout, b"1\n2\n3\n4\n").unwrap();
            let found: Vec<_> = (1..=4).map(|number| texts(&numbered(&path, number))).collect();
            assert_eq!(texts(&path), [""; 0]);
            assert_eq!(found, expected, "{max_file}");
        };
        check(1, &[&[], &[], &[], &[]]);
        check(2, &[&["4\n"], &[], &[], &[]]);
        check(3, &[&["4\n"], &["3\n"], &[], &[]]);
    }
}
