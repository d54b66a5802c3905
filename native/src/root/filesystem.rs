//! New file systems through the mount API of fsopen(2).

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount,
};
use stockade_sandbox::{Error, Result};

use crate::fail::Context;
use crate::sys::mount::{Change, Depth, MountAttr, set_attributes};

/// A file system under construction.
#[derive(Debug)]
pub(crate) struct Filesystem {
    kind: String,
    context: OwnedFd,
}

impl Filesystem {
    /// Of this type.
    pub(crate) fn new(kind: &str) -> Result<Self> {
        match fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC) {
            Err(Errno::NODEV) => Err(Error::Other(format!("this kernel has no file system {kind:?}"))),
            answer => {
                Ok(Self { kind: kind.to_owned(), context: answer.at_with(|| format!("open file system {kind}"))? })
            }
        }
    }

    /// Sets an option.
    pub(crate) fn set(&self, key: &str, value: Option<&str>) -> Result<()> {
        let answer = match value {
            Some(value) => fsconfig_set_string(&self.context, key, value),
            None => fsconfig_set_flag(&self.context, key),
        };
        answer.map_err(|errno| {
            let option = value.map_or_else(|| key.to_owned(), |value| format!("{key}={value}"));
            self.explain(&format!("set option {option:?} of {}", self.kind), errno)
        })
    }

    /// The context, for options that are descriptors.
    pub(crate) fn context(&self) -> impl AsFd {
        self.context.as_fd()
    }

    /// Makes the file system and a mount of it that is attached nowhere yet.
    pub(crate) fn mount(self, attributes: MountAttr) -> Result<OwnedFd> {
        let what = format!("mount {}", self.kind);
        fsconfig_create(&self.context).map_err(|errno| self.explain(&what, errno))?;
        let flags = MountAttrFlags::from_bits_retain(u32::try_from(attributes.bits()).unwrap_or_default());
        fsmount(&self.context, FsMountFlags::FSMOUNT_CLOEXEC, flags).map_err(|errno| self.explain(&what, errno))
    }

    /// An error with the kernel's own words, which it leaves in the context.
    pub(crate) fn explain(&self, what: &str, errno: Errno) -> Error {
        let mut words = [0; 512];
        let length = rustix::io::read(&self.context, &mut words[..]).unwrap_or(0);
        let words = String::from_utf8_lossy(&words[..length]);
        match words.trim().trim_start_matches(['e', 'w', 'i']).trim() {
            "" => Error::os(what, errno),
            words => Error::os(format!("{what} ({words})"), errno),
        }
    }
}

/// Attaches a detached mount on top of what `target` is a handle on.
pub(crate) fn attach(tree: impl AsFd, target: impl AsFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", target, c"", flags)
}

/// Sets attributes of one mount.
pub(crate) fn restrict(mount: impl AsFd, set: MountAttr) -> std::io::Result<()> {
    set_attributes(mount, Depth::One, &Change { set, ..Change::default() })
}
