//! Descriptors that go to a monitor.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, Stat, fcntl_getfl, fstat, major};
use stockade_sandbox::protocol::FdRole;
use stockade_sandbox::{Error, Result, Stdio, Trace};

use crate::files::{append_at_once, open};

/// Descriptors on their way to the monitor, and what each is.
#[derive(Debug, Default)]
pub struct Luggage {
    /// The descriptors.
    pub descriptors: Vec<OwnedFd>,
    /// What each is ([`FdRole`]).
    pub roles: Vec<i32>,
}

impl Luggage {
    /// Adds one.
    pub fn add(&mut self, role: FdRole, descriptor: OwnedFd) {
        self.descriptors.push(descriptor);
        self.roles.push(role.into());
    }

    /// Adds the standard streams; the caller's own where none are given.
    pub fn add_streams(&mut self, stdio: Stdio) -> Result<()> {
        let own = |stream: rustix::fd::BorrowedFd<'_>| {
            stream.try_clone_to_owned().map_err(|error| Error::os("copy a standard stream", error))
        };
        let Stdio { stdin, stdout, stderr } = stdio;
        self.add_stream(FdRole::Stdin, stdin.map_or_else(|| own(rustix::stdio::stdin()), Ok)?);
        self.add_stream(FdRole::Stdout, stdout.map_or_else(|| own(rustix::stdio::stdout()), Ok)?);
        self.add_stream(FdRole::Stderr, stderr.map_or_else(|| own(rustix::stdio::stderr()), Ok)?);
        Ok(())
    }

    /// Adds a stream that never makes the monitor wait, if that can be had.
    pub fn add_stream(&mut self, role: FdRole, stream: OwnedFd) {
        let patient = without_waiting(&stream).unwrap_or(stream);
        self.add(role, patient);
    }

    /// Adds what takes the trace: a copy of the terminal or of standard error, or a file, which is made if need be.
    pub fn add_trace(&mut self, trace: &Trace, terminal: Option<&OwnedFd>) -> Result<()> {
        let stderr = self.roles.iter().position(|role| *role == i32::from(FdRole::Stderr));
        let stream = terminal.or_else(|| self.descriptors.get(stderr?));
        let taker = match (trace, stream) {
            (Trace::File(path), _) => append_at_once(path)?,
            (Trace::Stderr, Some(stream)) => {
                stream.try_clone().map_err(|error| Error::os("copy standard error", error))?
            }
            (Trace::Stderr, None) => return Err(Error::Other("there is no stream to trace to".to_owned())),
        };
        self.add(FdRole::Trace, taker);
        Ok(())
    }

    /// Adds the image's layers.
    pub fn add_layers(&mut self, blobs: &[PathBuf]) -> Result<()> {
        for blob in blobs {
            self.add(FdRole::Layer, open(blob, OFlags::RDONLY)?);
        }
        Ok(())
    }
}

/// The same pipe or terminal by an open file of its own, which does not block; the one at hand is shared with whoever
/// gave it, and its flags stay theirs. `None` for what never waits, what must not be opened twice, and what cannot.
fn without_waiting(stream: &OwnedFd) -> Option<OwnedFd> {
    let flags = fcntl_getfl(stream).ok()?;
    if !is_pipe_or_terminal(&fstat(stream).ok()?) {
        return None;
    }
    let wanted = flags & (OFlags::ACCMODE | OFlags::DIRECT) | OFlags::NONBLOCK | OFlags::NOCTTY;
    open(Path::new(&format!("/proc/self/fd/{}", stream.as_raw_fd())), wanted).ok()
}

fn is_pipe_or_terminal(stat: &Stat) -> bool {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => true,
        FileType::CharacterDevice => PTY_SLAVES.contains(&major(stat.st_rdev)),
        _ => false,
    }
}

/// Major numbers (Documentation/admin-guide/devices.txt of Linux). Opening a master would make another terminal.
const PTY_SLAVES: std::ops::RangeInclusive<u32> = 136..=143;
