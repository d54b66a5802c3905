//! Where the agent runs: in a virtual machine, or for tests on a host.

use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
use rustix::system::{RebootCommand, reboot};
use rustix::time::{ClockId, Timespec, clock_settime};
use stockade_sandbox::protocol::{CONTROL_PORT, STREAM_PORT, SharePath};
use stockade_sandbox::{Error, Result};

use crate::slots;
use crate::sys::{ANY, HOST, VsockAddress, peer};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// Where shares are mounted.
const SHARES: &str = "/run/shares";

/// Where the agent runs. It is process 1 either way.
#[derive(Clone, Debug)]
pub(crate) enum World {
    /// In a virtual machine of its own.
    Guest,
    /// In namespaces of a host, for tests: sockets, disks and shares lie in this directory. The host's clock, its
    /// devices and its power stay untouched.
    Host(PathBuf),
}

impl World {
    /// From the program's arguments: none in a guest, else `--host DIR`. A kernel passes on what it does not know.
    pub(crate) fn of(mut arguments: impl Iterator<Item = String>) -> Self {
        match (arguments.find(|word| word == "--host"), arguments.next()) {
            (Some(_), Some(dir)) => Self::Host(dir.into()),
            _ => Self::Guest,
        }
    }

    /// A socket that takes streams.
    pub(crate) fn listen(&self) -> Result<OwnedFd> {
        let socket = self.socket().and_then(|socket| {
            match self {
                Self::Guest => bind(&socket, &VsockAddress { cid: ANY, port: STREAM_PORT })?,
                Self::Host(dir) => bind(&socket, &SocketAddrUnix::new(dir.join("streams.sock"))?)?,
            }
            listen(&socket, BACKLOG)?;
            Ok(socket)
        });
        socket.map_err(|errno| Error::os("listen for streams", errno))
    }

    /// A socket on its way to the host: it is connected once it can be written to.
    pub(crate) fn dial(&self) -> rustix::io::Result<OwnedFd> {
        let socket = self.socket()?;
        let connected = match self {
            Self::Guest => connect(&socket, &VsockAddress { cid: HOST, port: CONTROL_PORT }),
            Self::Host(dir) => connect(&socket, &SocketAddrUnix::new(dir.join("control.sock"))?),
        };
        match connected {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(errno) => Err(errno),
        }
    }

    /// Whether a connection is the host's: processes of containers can have virtual sockets, too.
    pub(crate) fn is_from_host(&self, socket: &OwnedFd) -> bool {
        match self {
            Self::Guest => peer(socket).is_ok_and(|machine| machine == HOST),
            Self::Host(_) => true,
        }
    }

    fn socket(&self) -> rustix::io::Result<OwnedFd> {
        let family = match self {
            Self::Guest => AddressFamily::VSOCK,
            Self::Host(_) => AddressFamily::UNIX,
        };
        socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
    }

    /// The device of the disk with a serial, which may have come just now.
    pub(crate) fn disk(&self, serial: &str) -> Result<PathBuf> {
        let found = match self {
            Self::Guest => match disk_of_guest(serial) {
                None => slots::look().map(|()| disk_of_guest(serial))?,
                found => found,
            },
            Self::Host(dir) => fs::canonicalize(dir.join("disks").join(serial)).ok(),
        };
        found.ok_or_else(|| Error::Other(format!("the machine has no disk {serial:?}")))
    }

    /// Takes a card of the machine's from its driver. What is none stays.
    pub(crate) fn release_card(&self, name: &str) -> Result<()> {
        match self {
            Self::Guest => unbind(name).map_err(|error| Error::os(format!("let go of the card {name}"), error)),
            Self::Host(_) => Ok(()),
        }
    }

    /// Lets go of a disk that is about to leave the machine.
    pub(crate) fn release_disk(&self, disk: &Path) -> Result<()> {
        match self {
            Self::Guest => slots::release(disk),
            Self::Host(_) => Ok(()),
        }
    }

    /// Mounts a share, unless it is mounted.
    pub(crate) fn mount_share(&self, tag: &str) -> Result<()> {
        let at = Path::new(SHARES).join(tag);
        let failed = |error: io::Error| Error::os(format!("mount the share {tag:?}"), error);
        match fs::create_dir_all(SHARES).and_then(|()| fs::create_dir(&at)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            made => made.map_err(failed)?,
        }
        let mounted = match self {
            Self::Guest => mount(tag, &at, "virtiofs", MountFlags::empty(), None),
            Self::Host(dir) => mount_bind(dir.join("shares").join(tag), &at),
        };
        mounted.map_err(|errno| {
            let _ = fs::remove_dir(&at);
            failed(errno.into())
        })
    }

    /// A path in a share that is mounted. The share is the host's, links in it are followed as it has them.
    pub(crate) fn shared(path: &SharePath) -> Result<PathBuf> {
        path.check()?;
        let share = Path::new(SHARES).join(&path.tag);
        if !share.is_dir() {
            return Err(Error::Other(format!("the machine has no share {:?}", path.tag)));
        }
        Ok(if path.path.is_empty() { share } else { share.join(&path.path) })
    }

    /// Unmounts all shares: what the kernel still holds of their files goes to the host.
    pub(crate) fn unmount_shares() {
        for entry in fs::read_dir(SHARES).into_iter().flatten().flatten() {
            let _ = unmount(entry.path(), UnmountFlags::DETACH);
        }
    }

    /// Sets the machine's clock, in nanoseconds since 1970.
    pub(crate) fn set_time(&self, time_ns: u64) -> Result<()> {
        const SECOND: u64 = 1_000_000_000;
        let part = |ns: u64| i64::try_from(ns).unwrap_or_default();
        let time = Timespec { tv_sec: part(time_ns / SECOND), tv_nsec: part(time_ns % SECOND) };
        match self {
            Self::Guest => clock_settime(ClockId::Realtime, time).map_err(|errno| Error::os("set the clock", errno)),
            Self::Host(_) => Ok(()),
        }
    }

    /// Says something to whoever looks after the machine.
    pub(crate) fn say(&self, text: &str) {
        let line = format!("stockade-agent: {text}\n");
        let said = match self {
            Self::Guest => fs::OpenOptions::new()
                .write(true)
                .open("/dev/kmsg")
                .and_then(|mut log| log.write_all(format!("<5>{line}").as_bytes())),
            Self::Host(_) => io::stderr().write_all(line.as_bytes()),
        };
        // A machine without a log has nobody to be told that it has none.
        let _ = said;
    }

    /// Ends the machine, or the namespaces that stand for one.
    pub(crate) fn end(&self) -> ! {
        if matches!(self, Self::Guest) {
            rustix::fs::sync();
            for command in [RebootCommand::PowerOff, RebootCommand::Restart] {
                if let Err(errno) = reboot(command) {
                    self.say(&format!("end the machine: {errno}"));
                }
            }
        }
        std::process::exit(0)
    }
}

/// Loopback and the like have no device.
fn unbind(name: &str) -> io::Result<()> {
    let device = Path::new("/sys/class/net").join(name).join("device");
    match fs::canonicalize(&device) {
        Ok(path) => fs::write(device.join("driver/unbind"), path.file_name().unwrap_or_default().as_encoded_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A virtio disk tells its serial in sysfs.
fn disk_of_guest(serial: &str) -> Option<PathBuf> {
    let disks = fs::read_dir("/sys/block").ok()?.flatten();
    let has = |dir: &Path| fs::read_to_string(dir.join("serial")).is_ok_and(|text| text.trim_end() == serial);
    let name = disks.map(|disk| disk.path()).find(|dir| has(dir))?.file_name()?.to_owned();
    Some(Path::new("/dev").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_kernel_are_no_options() {
        let of = |words: &[&str]| World::of(words.iter().map(|word| (*word).to_owned()));
        assert!(matches!(of(&["/init", "nokaslr", "--host"]), World::Guest));
        assert!(matches!(of(&["agent", "--host", "/tmp/x"]), World::Host(dir) if dir == Path::new("/tmp/x")));
    }
}
