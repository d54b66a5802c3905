//! What every launcher of a container does.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::OFlags;
use stockade_native::Helper;
use stockade_sandbox::protocol::{Client, FdRole};
use stockade_sandbox::{ContainerId, CreateRequest, Error, Result, Terminal};

use crate::luggage::Luggage;
use crate::{PROXY, SOCKET, files, terminal};

/// Connects to the monitor whose socket lies in a directory, whatever the length of its path.
pub fn connect(dir: &Path) -> Result<Client> {
    let dir = files::open(dir, OFlags::PATH | OFlags::DIRECTORY)?;
    Client::connect(&files::short_path(&dir, SOCKET))
}

/// The streams of a container's init, and its terminal's slave if it has one.
pub fn pack(request: &mut CreateRequest) -> Result<(Option<OwnedFd>, Luggage)> {
    let mut luggage = Luggage::default();
    let terminal = match &request.terminal {
        Terminal::Console(socket) => Some(terminal::open(socket)?),
        Terminal::None => None,
    };
    match &terminal {
        Some(slave) => luggage.add_stream(FdRole::Terminal, copy(slave)?),
        None => luggage.add_streams(std::mem::take(&mut request.stdio))?,
    }
    Ok((terminal, luggage))
}

/// What a proxy gets: a connection as descriptor 0, an init's fifo as 1, its terminal as 2.
pub fn proxy_of(
    id: &ContainerId,
    process: &str,
    connection: OwnedFd,
    fifo: Option<OwnedFd>,
    terminal: Option<&OwnedFd>,
) -> Result<Helper> {
    let terminal = terminal.map_or_else(null, copy)?;
    Ok(Helper {
        program: files::own_program()?,
        arguments: vec![PROXY.to_owned(), id.to_string(), process.to_owned()],
        environment: Vec::new(),
        streams: [connection, fifo.map_or_else(null, Ok)?, terminal],
        descriptors: Vec::new(),
    })
}

/// The null device.
pub fn null() -> Result<OwnedFd> {
    files::open(Path::new("/dev/null"), OFlags::RDWR)
}

/// Another descriptor of the same open file.
pub fn copy(descriptor: &OwnedFd) -> Result<OwnedFd> {
    descriptor.try_clone().map_err(|error| Error::os("copy a descriptor", error))
}
