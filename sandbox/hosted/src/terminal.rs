//! The host's side of a container's terminal.
//!
//! The kernel that serves the container has a line discipline of its own, so the host's is switched off: the slave is
//! raw and goes to the monitor, the master to whoever asked for a console.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use stockade_sandbox::{Error, Result};

/// Opens a pty, sends its master over the console socket as runc does, and returns the slave.
pub fn open(console: &UnixStream) -> Result<OwnedFd> {
    let failed = |what: &'static str| move |errno: rustix::io::Errno| Error::os(what, errno);
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).map_err(failed("open a pty"))?;
    grantpt(&master).map_err(failed("grant the pty"))?;
    unlockpt(&master).map_err(failed("unlock the pty"))?;
    let slave = ioctl_tiocgptpeer(&master, flags).map_err(failed("open the pty's slave"))?;
    let mut modes = tcgetattr(&slave).map_err(failed("read the pty's modes"))?;
    modes.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &modes).map_err(failed("set the pty's modes"))?;
    let name = ptsname(&master, Vec::new()).map_err(failed("name the pty"))?;
    send(console, name.as_bytes(), &master).map_err(failed("send the console's master"))?;
    Ok(slave)
}

fn send(socket: impl AsFd, data: &[u8], descriptor: impl AsFd) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(data)], &mut control, SendFlags::NOSIGNAL).map(drop)
}
