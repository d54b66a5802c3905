//! Reads a file of JSON documents, one per line, that is rotated under its readers: `NAME` is the newest file, `NAME.1`
//! the one before it, and so on.

use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::StateError;

/// The name of a file; 0 is the newest.
pub(crate) fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}

/// Reads documents in order; at the end of a file it goes on with the next newer one, however often the files were
/// rotated meanwhile.
pub(crate) struct Reader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    line: Vec<u8>,
}

impl Reader {
    /// Begins with the oldest document. Files need not exist yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, line: Vec::new() }
    }

    /// The next document; `None` when there is none yet. What does not parse is skipped: half a line of a writer that
    /// was killed.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, StateError> {
        while self.next_line().map_err(StateError::io("read", &self.path))? {
            let document = serde_json::from_slice(&self.line).ok();
            self.line.clear();
            if document.is_some() {
                return Ok(document);
            }
        }
        Ok(None)
    }

    /// Reads a whole line; false when there is none yet.
    fn next_line(&mut self) -> io::Result<bool> {
        loop {
            if self.read_line()? {
                return Ok(true);
            }
            let Some(newer) = self.newer()? else { return Ok(false) };
            // What was written between the look at the file's end and its rotation.
            if self.read_line()? {
                return Ok(true);
            }
            self.line.clear();
            self.file = Some(BufReader::new(newer));
        }
    }

    /// Reads on in the open file; false at its end.
    fn read_line(&mut self) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        file.read_until(b'\n', &mut self.line)?;
        Ok(self.line.ends_with(b"\n"))
    }

    /// The file after the open one, or the oldest; `None` when the open one is the newest.
    fn newer(&self) -> io::Result<Option<File>> {
        let open = self.file.as_ref().map(|file| file.get_ref().metadata()).transpose()?;
        loop {
            let place = self.place(open.as_ref());
            let newer = (0..place).rev().find_map(|number| present(File::open(numbered(&self.path, number))));
            // A rotation meanwhile has moved the files on.
            if self.place(open.as_ref()) == place {
                return newer.transpose();
            }
        }
    }

    /// The number of the open file; how many there are when it is none of them.
    fn place(&self, open: Option<&Metadata>) -> u32 {
        let (mut number, mut missing, mut count) = (0, 0, 0);
        // A rotation under way, or cut short, leaves a gap of one.
        while missing < 2 {
            match fs::metadata(numbered(&self.path, number)) {
                Ok(found) if open.is_some_and(|open| is_same(open, &found)) => return number,
                Ok(_) => (missing, count) = (0, number + 1),
                Err(_) => missing += 1,
            }
            number += 1;
        }
        count
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// An absent file is none.
fn present(opened: io::Result<File>) -> Option<io::Result<File>> {
    match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A file that is rotated by hand; all numbers that were written are read once and in order.
    struct Rotated {
        dir: tempfile::TempDir,
        reader: Reader,
        written: u32,
        read: u32,
    }

    impl Rotated {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let reader = Reader::new(&dir.path().join("log"));
            Self { dir, reader, written: 0, read: 0 }
        }

        fn path(&self, number: u32) -> PathBuf {
            numbered(&self.dir.path().join("log"), number)
        }

        fn write(&mut self, count: u32) {
            let mut file = File::options().append(true).create(true).open(self.path(0)).unwrap();
            for _ in 0..count {
                writeln!(file, "{}", self.written).unwrap();
                self.written += 1;
            }
        }

        fn rotate(&self) {
            for number in (0..4).rev().filter(|number| self.path(*number).exists()) {
                fs::rename(self.path(number), self.path(number + 1)).unwrap();
            }
        }

        /// Reads so many of what is there, or all.
        #[track_caller]
        fn read(&mut self, count: usize) {
            for _ in 0..count {
                match self.reader.next::<u32>().unwrap() {
                    Some(number) => assert_eq!(number, self.read),
                    None => return assert_eq!(self.read, self.written, "the last is read"),
                }
                self.read += 1;
            }
        }
    }

    #[test]
    fn every_line_is_read_however_often_files_rotate() {
        let mut log = Rotated::new();
        log.read(1);
        log.write(3);
        log.read(2);
        for _ in 0..3 {
            log.rotate();
            log.write(2);
        }
        log.read(usize::MAX);
        log.rotate();
        log.read(1);
        log.write(1);
        log.read(usize::MAX);
    }

    #[test]
    fn what_is_written_just_before_a_rotation_is_read() {
        let mut log = Rotated::new();
        log.write(1);
        log.read(usize::MAX);
        log.write(1);
        log.rotate();
        log.write(1);
        log.read(usize::MAX);
    }

    #[test]
    fn a_rotation_that_was_cut_short_hides_nothing() {
        let mut log = Rotated::new();
        log.write(1);
        log.rotate();
        log.write(1);
        log.rotate();
        log.write(1);
        log.read(1);
        fs::rename(log.path(2), log.path(3)).unwrap();
        log.read(usize::MAX);
        let mut again = Reader::new(&log.path(0));
        assert_eq!(std::iter::from_fn(|| again.next::<u32>().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn lines_that_are_gone_are_skipped() {
        let mut log = Rotated::new();
        log.write(1);
        log.read(usize::MAX);
        for _ in 0..6 {
            log.rotate();
            log.write(1);
        }
        log.read += 1;
        log.read(usize::MAX);
    }

    #[test]
    fn half_a_line_waits_and_nonsense_is_skipped() {
        let mut log = Rotated::new();
        fs::write(log.path(0), "{\"half").unwrap();
        assert_eq!(log.reader.next::<u32>().unwrap(), None);
        fs::write(log.path(0), "{\"half of it\n7\n").unwrap();
        assert_eq!(log.reader.next::<u32>().unwrap(), Some(7));
    }
}
