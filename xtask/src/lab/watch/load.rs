//! A VMM that is asked for a snapshot.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::trace::Trace;

/// Of the VMM's API.
const SOCKET: &str = "api.sock";
const MOMENT: Duration = Duration::from_micros(100);
const ATTEMPTS: usize = 1_000_000;

/// Asks for a snapshot as soon as the VMM listens.
pub(super) fn load(body: &str, trace: Option<&Trace>) -> Result<()> {
    let mut stream = connected()?;
    trace.map_or(Ok(()), Trace::mark_request)?;
    let head = format!("PUT /snapshot/load HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes())?;
    let mut answer = [0; 512];
    let len = stream.read(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer[..len]);
    if !answer.starts_with("HTTP/1.1 204") {
        bail!("the snapshot is not loaded: {answer}");
    }
    Ok(fs::remove_file(SOCKET)?)
}

fn connected() -> Result<UnixStream> {
    let attempt = || {
        let stream = UnixStream::connect(SOCKET).ok();
        if stream.is_none() {
            thread::sleep(MOMENT);
        }
        stream
    };
    (0..ATTEMPTS).find_map(|_| attempt()).context("the VMM does not listen")
}
