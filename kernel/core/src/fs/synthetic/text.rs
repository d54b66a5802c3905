//! Text as Linux formats it.

use alloc::vec::Vec;
use core::fmt;

use crate::Errno;

/// Text in the making. `write!` and `writeln!` on it cannot fail.
#[derive(Clone, Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends; this is what `write!` calls.
    pub fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) {
        struct Bytes<'a>(&'a mut Vec<u8>);
        impl fmt::Write for Bytes<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        fmt::write(&mut Bytes(&mut self.0), arguments).expect("memory takes any text");
    }

    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends bytes with some of them as `\ooo` (`mangle_path` of Linux); so is the backslash when it is one of them.
    pub fn escaped(&mut self, bytes: &[u8], special: &[u8]) -> &mut Self {
        for byte in bytes {
            match byte {
                byte if special.contains(byte) => write!(self, "\\{byte:03o}"),
                byte => self.0.push(*byte),
            }
        }
        self
    }

    /// Fills up with spaces to a column of the line that began at `line`.
    pub fn pad(&mut self, line: usize, column: usize) -> &mut Self {
        let to = line + column;
        if self.0.len() < to {
            self.0.resize(to, b' ');
        }
        self
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line of /proc/meminfo and its like: name, and KiB in a column.
    pub fn kib(&mut self, name: &str, bytes: u64) {
        let line = self.len();
        write!(self, "{name}:");
        self.pad(line, 16);
        writeln!(self, "{:>8} kB", bytes >> 10);
    }

    /// All of it.
    pub fn finish(self) -> Result<Vec<u8>, Errno> {
        Ok(self.0)
    }
}

impl From<Text> for Vec<u8> {
    fn from(text: Text) -> Self {
        text.0
    }
}
