//! mount_setattr(2), which rustix lacks.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::AtFlags;

use super::check;

bitflags::bitflags! {
    /// Attributes of one mount (linux/mount.h).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct MountAttr: u64 {
        const RDONLY = 0x01;
        const NOSUID = 0x02;
        const NODEV = 0x04;
        const NOEXEC = 0x08;
        /// The field of access time modes; to be cleared when one of them is set. Relative is its zero.
        const ATIME = 0x70;
        const NOATIME = 0x10;
        const STRICTATIME = 0x20;
        const NODIRATIME = 0x80;
        const IDMAP = 0x0010_0000;
        const NOSYMFOLLOW = 0x0020_0000;
    }
}

/// How mounts below propagate (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Shared,
    Slave,
    Private,
    Unbindable,
}

/// Whether an operation reaches one mount or all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    One,
    All,
}

/// One change to a mount or a tree of mounts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Change<'a> {
    pub set: MountAttr,
    pub clear: MountAttr,
    pub propagation: Option<Propagation>,
    pub user_namespace: Option<BorrowedFd<'a>>,
}

/// What the kernel reads: struct mount_attr (linux/mount.h).
#[repr(C)]
struct Attributes {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Applies a change to the mount that `mount` refers to.
pub(crate) fn set_attributes(mount: impl AsFd, depth: Depth, change: &Change<'_>) -> io::Result<()> {
    let recursive = if depth == Depth::All { AtFlags::from_bits_retain(0x8000) } else { AtFlags::empty() };
    let flags = (AtFlags::EMPTY_PATH | recursive).bits();
    let attr = Attributes {
        attr_set: change.set.bits(),
        attr_clr: change.clear.bits(),
        propagation: change.propagation.map_or(0, propagation_bits),
        userns_fd: change.user_namespace.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
    };
    let empty = CString::default();
    // SAFETY: attr and the empty path live through the call and the size given is attr's.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            empty.as_ptr(),
            flags,
            &raw const attr,
            size_of::<Attributes>(),
        )
    })
    .map(drop)
}

fn propagation_bits(propagation: Propagation) -> u64 {
    match propagation {
        Propagation::Shared => libc::MS_SHARED,
        Propagation::Slave => libc::MS_SLAVE,
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::Unbindable => libc::MS_UNBINDABLE,
    }
}
