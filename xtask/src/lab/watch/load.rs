//! A VMM that is asked for a snapshot.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Phase, Traced, trace};

/// Of the VMM's API.
const SOCKET: &str = "api.sock";
const MOMENT: Duration = Duration::from_micros(100);
const ATTEMPTS: usize = 1_000_000;
/// Before the request, and after the answer.
pub const ASKED: &str = "asked to load";
pub const LOADED: &str = "loaded";

/// Asks for a snapshot as soon as the VMM listens; when that was.
pub(super) fn load(body: &str, begin: Instant, traced: Traced) -> Result<Vec<Phase>> {
    let mut stream = connected()?;
    let phase = |name: &str| Phase { name: name.to_owned(), ms: begin.elapsed().as_secs_f64() * 1e3, exits: 0 };
    let asked = phase(ASKED);
    trace::mark_request(traced)?;
    let head = format!("PUT /snapshot/load HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes())?;
    let mut answer = [0; 512];
    let len = stream.read(&mut answer)?;
    let loaded = phase(LOADED);
    let answer = String::from_utf8_lossy(&answer[..len]);
    if !answer.starts_with("HTTP/1.1 204") {
        bail!("the snapshot is not loaded: {answer}");
    }
    fs::remove_file(SOCKET)?;
    Ok(vec![asked, loaded])
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
