//! Terminals: a pty of the container's own devpts, its master sent to whoever asked.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use oci_spec::runtime::Box as ConsoleSize;
use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, major, minor, openat};
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::ioctl_tiocsctty;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use stockade_sandbox::{Error, Result};

use crate::fail::Context;
use crate::root::{Links, Root};

/// Both ends of a pty.
#[derive(Debug)]
pub(crate) struct Pty {
    master: OwnedFd,
    slave: OwnedFd,
}

impl Pty {
    /// Allocates one from the devpts at /dev/pts of `root`.
    pub(crate) fn open(root: &Root) -> Result<Self> {
        let pts = root.open(Path::new("/dev/pts"), OFlags::PATH | OFlags::DIRECTORY, Links::Follow);
        let pts = pts.at("open /dev/pts")?;
        if fstatfs(&pts).at("stat /dev/pts")?.f_type != DEVPTS_MAGIC {
            return Err(Error::Other("a terminal needs a devpts mounted at /dev/pts: add it to the mounts".into()));
        }
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let master = openat(&pts, "ptmx", flags, Mode::empty()).at("open /dev/pts/ptmx")?;
        check_multiplexer(&master)?;
        unlockpt(&master).at("unlock the pty")?;
        let peer = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(&master, peer).at("open the pty's slave")?;
        Ok(Self { master, slave })
    }

    /// Sets the size, if one is given.
    pub(crate) fn resize(&self, size: Option<ConsoleSize>) -> Result<()> {
        let Some(size) = size else { return Ok(()) };
        let cells = |count: u64| u16::try_from(count).unwrap_or(u16::MAX);
        let size = Winsize { ws_row: cells(size.height()), ws_col: cells(size.width()), ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).at("set the console's size")
    }

    /// Binds the slave on /dev/console, by descriptors alone: a link there must not lead the mount elsewhere
    /// (CVE-2025-52565).
    pub(crate) fn bind_console(&self, root: &Root) -> Result<()> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let tree = open_tree(&self.slave, c"", flags).at("clone the pty's mount")?;
        let target = root.make_own_file(Path::new("/dev/console"))?;
        crate::root::attach(tree, target).at("bind /dev/console")
    }

    /// Sends the master over the console socket, with its name as data, as runc does.
    pub(crate) fn send_master(&self, socket: &UnixStream) -> Result<()> {
        let name = ptsname(&self.master, Vec::new()).at("name the pty")?;
        send_descriptor(socket, name.as_bytes(), &self.master).at("send the console's master")
    }

    /// Makes the slave the controlling terminal and the standard streams. The caller leads a session.
    pub(crate) fn take(self) -> Result<()> {
        ioctl_tiocsctty(&self.slave).at("make the console the controlling terminal")?;
        crate::streams::set([&self.slave, &self.slave, &self.slave])
    }
}

/// As fstatfs(2) answers for devpts.
const DEVPTS_MAGIC: rustix::fs::FsWord = 0x1cd1;

fn check_multiplexer(master: impl AsFd) -> Result<()> {
    let stat = fstat(master).at("stat /dev/pts/ptmx")?;
    let is_character = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    match (is_character, major(stat.st_rdev), minor(stat.st_rdev)) {
        (true, 5, 2) => Ok(()),
        _ => Err(Error::Other("/dev/pts/ptmx is not a pty multiplexer".into())),
    }
}

/// Sends one descriptor with some data.
pub(crate) fn send_descriptor(socket: impl AsFd, data: &[u8], descriptor: impl AsFd) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(data)], &mut control, SendFlags::NOSIGNAL).map(drop)
}
