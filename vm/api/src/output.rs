//! Files and named pipes that take lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// A file or a named pipe. A pipe needs no reader to be opened, and a full one loses lines instead of stopping the
/// monitor.
#[derive(Debug)]
pub(crate) struct Output(File);

impl Output {
    /// Opens a file or a pipe, and makes a file that is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Reading too: a pipe opened for writing alone wants a reader first (fifo(7)).
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::APPEND).bits()).map_err(io::Error::other)?;
        OpenOptions::new().read(true).write(true).create(true).truncate(false).custom_flags(flags).open(path).map(Self)
    }

    /// Writes a line in one call, so that lines of several writers do not mix.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        (&self.0).write_all(format!("{text}\n").as_bytes())
    }
}
