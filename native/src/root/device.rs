//! /dev: the default devices, those of the spec, and the links.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid, chownat, makedev, mknodat, symlinkat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use stockade_sandbox::{Error, Result};

use super::filesystem::attach;
use super::resolve::{Root, own_file};
use crate::fail::{Context, invalid};

/// The devices that every container has (OCI runtime spec, "Default Devices").
const DEFAULT: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Links of /dev (OCI runtime spec, "Dev symbolic links").
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// How device nodes come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// mknod(2).
    Make,
    /// Bind mounts of the host's: mknod is refused in a user namespace.
    Bind,
}

/// Fills /dev. The umask must be 0.
pub(crate) fn fill_dev(root: &Root, devices: &[LinuxDevice], nodes: Nodes) -> Result<()> {
    let dev = root.make_dir(Path::new("/dev"))?;
    for (name, major, minor) in DEFAULT {
        let wanted = Node { kind: FileType::CharacterDevice, mode: 0o666, major, minor };
        make_node(&dev, Path::new(name), &wanted, nodes, &Path::new("/dev").join(name))?;
    }
    devices.iter().try_for_each(|device| make_device(root, device, nodes))?;
    link_all(&dev)
}

struct Node {
    kind: FileType,
    mode: u32,
    major: u32,
    minor: u32,
}

fn make_device(root: &Root, device: &LinuxDevice, nodes: Nodes) -> Result<()> {
    let number = |value: i64| u32::try_from(value).map_err(|_| invalid(format!("device number {value}")));
    let wanted = Node {
        kind: match device.typ() {
            LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
            LinuxDeviceType::B => FileType::BlockDevice,
            LinuxDeviceType::P => FileType::Fifo,
            LinuxDeviceType::A => return Err(invalid(format!("device {}: type a", device.path().display()))),
        },
        mode: device.file_mode().unwrap_or(0o666),
        major: number(device.major())?,
        minor: number(device.minor())?,
    };
    let (dir, name) = root.parent(device.path())?;
    make_node(&dir, &name, &wanted, nodes, device.path())?;
    let (uid, gid) = (device.uid().unwrap_or(0), device.gid().unwrap_or(0));
    if nodes == Nodes::Make && (uid, gid) != (0, 0) {
        let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        chownat(&dir, &name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
            .at_with(|| format!("change the owner of {}", device.path().display()))?;
    }
    Ok(())
}

/// Makes one node. What the image has at that name already stays: it is the image's own, and in its own root.
fn make_node(dir: impl AsFd, name: &Path, node: &Node, nodes: Nodes, host: &Path) -> Result<()> {
    if nodes == Nodes::Bind {
        return bind_node(dir, name, host);
    }
    match mknodat(dir, name, node.kind, Mode::from_raw_mode(node.mode), makedev(node.major, node.minor)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Error::os(format!("make device {}", host.display()), errno)),
    }
}

fn bind_node(dir: impl AsFd, name: &Path, host: &Path) -> Result<()> {
    let tree = clone_file(host)?;
    let target = own_file(dir, name, host)?;
    attach(tree, target).at_with(|| format!("bind {}", host.display()))
}

/// A detached mount of one file of the host.
pub(crate) fn clone_file(host: &Path) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, host, flags).at_with(|| format!("open {}", host.display()))
}

fn link_all(dev: impl AsFd) -> Result<()> {
    for (name, target) in LINKS {
        link(&dev, name, target)?;
    }
    if Path::new("/proc/kcore").exists() {
        link(&dev, "core", "/proc/kcore")?;
    }
    // The instance's own multiplexer, in place of whatever the image has (OCI runtime spec, "Default Devices").
    match unlinkat(&dev, "ptmx", AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(Error::os("remove /dev/ptmx", errno)),
    }
    link(&dev, "ptmx", "pts/ptmx")
}

fn link(dev: impl AsFd, name: &str, target: &str) -> Result<()> {
    match symlinkat(target, dev, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Error::os(format!("link /dev/{name}"), errno)),
    }
}
