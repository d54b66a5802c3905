//! Files of the host that the processes of a class get.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stockade_sandbox::{Error, Result};

/// Opens a file of the host to write at its end.
pub fn append(path: &Path) -> Result<OwnedFd> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    file.map(Into::into).map_err(|error| Error::os(format!("open {}", path.display()), error))
}

/// The same without waiting: a named pipe must have its reader already.
pub(crate) fn append_at_once(path: &Path) -> Result<OwnedFd> {
    let wanted = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, wanted, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| Error::os(format!("open {}", path.display()), errno))
}

/// Opens a file of the host.
pub fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::os(format!("open {}", path.display()), errno))
}

/// This very program, which no process that runs from it can write to.
pub fn own_program() -> Result<OwnedFd> {
    stockade_native::seal::program().map_err(|error| Error::Other(error.to_string()))
}

/// A name in an open directory that fits into a socket's address (108 bytes, unix(7)).
pub fn short_path(dir: &OwnedFd, name: &str) -> PathBuf {
    format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()).into()
}

/// A listening socket in a directory, for root alone.
pub fn listen_in(dir: &Path, name: &str) -> Result<OwnedFd> {
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

/// As many open files as the host lets us have: a process that serves many names or streams takes one for each.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // With fewer, less can be served at a time.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
