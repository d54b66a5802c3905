//! Standard output: data only, and a reader that has gone is no error.

use std::io::{self, Write};

use stockade_sandbox::{Error, Result};

/// Prints text as it is.
pub fn text(text: &str) -> Result<i32> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::os("write to standard output", error)),
        _ => Ok(0),
    }
}

/// Prints text and a newline.
pub fn line(line: &str) -> Result<i32> {
    text(&format!("{line}\n"))
}

/// Our own data is always serialisable; if not, this names the bug.
pub fn unserialisable(error: serde_json::Error) -> Error {
    Error::Other(format!("cannot print as JSON: {error}"))
}
