//! Files of the host that the class's processes get.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat, fcntl_getfl, fstat, major};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use stockade_sandbox::protocol::FdRole;
use stockade_sandbox::{Error, Result, Stdio, Trace};

/// Descriptors on their way to the monitor, and what each is.
#[derive(Debug, Default)]
pub(super) struct Luggage {
    pub descriptors: Vec<OwnedFd>,
    pub roles: Vec<i32>,
}

impl Luggage {
    /// Adds one.
    pub(super) fn add(&mut self, role: FdRole, descriptor: OwnedFd) {
        self.descriptors.push(descriptor);
        self.roles.push(role.into());
    }

    /// Adds the standard streams; the caller's own where none are given.
    pub(super) fn add_streams(&mut self, stdio: Stdio) -> Result<()> {
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
    pub(super) fn add_stream(&mut self, role: FdRole, stream: OwnedFd) {
        let patient = without_waiting(&stream).unwrap_or(stream);
        self.add(role, patient);
    }

    /// Adds what takes the trace: a copy of the terminal or of standard error, or a file, which is made if need be.
    pub(super) fn add_trace(&mut self, trace: &Trace, terminal: Option<&OwnedFd>) -> Result<()> {
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
    pub(super) fn add_layers(&mut self, blobs: &[PathBuf]) -> Result<()> {
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

/// Opens a file of the host to write at its end.
pub(super) fn append(path: &Path) -> Result<OwnedFd> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    file.map(Into::into).map_err(|error| Error::os(format!("open {}", path.display()), error))
}

/// The same without waiting: a named pipe must have its reader already.
fn append_at_once(path: &Path) -> Result<OwnedFd> {
    let wanted = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, wanted, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| Error::os(format!("open {}", path.display()), errno))
}

/// Opens a file of the host.
pub(super) fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::os(format!("open {}", path.display()), errno))
}

/// This very program, which no process that runs from it can write to.
pub(super) fn own_program() -> Result<OwnedFd> {
    stockade_native::seal::program().map_err(|error| Error::Other(error.to_string()))
}

/// A name in an open directory that fits into a socket's address (108 bytes, unix(7)).
pub(super) fn short_path(dir: &OwnedFd, name: &str) -> PathBuf {
    format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()).into()
}

/// A listening socket in a directory, for root alone.
pub(super) fn listen_in(dir: &Path, name: &str) -> Result<OwnedFd> {
    let failed = |errno| Error::os(format!("listen on {}", dir.join(name).display()), errno);
    let opened = open(dir, OFlags::PATH | OFlags::DIRECTORY)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
    let address = SocketAddrUnix::new(short_path(&opened, name)).map_err(failed)?;
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    bind(&socket, &address).map_err(failed)?;
    listen(&socket, 64).map_err(failed)?;
    Ok(socket)
}
