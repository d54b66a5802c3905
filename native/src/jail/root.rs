//! A jailed process's root: read-only, with nothing in it but its own processes and the places that it was given.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_string,
    fsmount, fsopen, move_mount, unmount,
};
use rustix::process::{fchdir, pivot_root};
use stockade_sandbox::Result;

use crate::fail::{Context, invalid};
use crate::root::{clone_tree, file_type};
use crate::sys::mount::{Change, Depth, MountAttr, Propagation, set_attributes};

/// A directory or a file of the host's in a jail's root.
#[derive(Debug)]
pub struct Place {
    /// Without the slash that it begins with.
    at: PathBuf,
    tree: OwnedFd,
    is_directory: bool,
}

impl Place {
    /// A detached tree of mounts, to be at an absolute path.
    pub fn new(at: &Path, tree: OwnedFd) -> Result<Self> {
        let plain = at.strip_prefix("/").ok().filter(|path| !path.as_os_str().is_empty());
        let at = plain.ok_or_else(|| invalid(format!("{} is no place in a root", at.display())))?.to_owned();
        let is_directory = file_type(&tree)? == FileType::Directory;
        Ok(Self { at, tree, is_directory })
    }

    /// What is at a path of the host, at the same path and to be read only.
    pub fn read_only(path: &Path) -> Result<Self> {
        let what = || format!("copy the mount at {}", path.display());
        let tree = clone_tree(path, Depth::One).at_with(what)?;
        let change = Change {
            set: MountAttr::RDONLY | MountAttr::NOSUID | MountAttr::NODEV,
            propagation: Some(Propagation::Private),
            ..Change::default()
        };
        set_attributes(&tree, Depth::One, &change).at_with(what)?;
        Self::new(path, tree)
    }

    fn attach(&self, root: &OwnedFd) -> Result<()> {
        let what = || format!("attach /{}", self.at.display());
        let mut parents: Vec<&Path> = self.at.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        parents.reverse();
        parents.into_iter().try_for_each(|path| make_directory(root, path)).at_with(what)?;
        match self.is_directory {
            true => make_directory(root, &self.at).at_with(what)?,
            false => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                openat(root, &self.at, flags, Mode::from_raw_mode(0o444)).at_with(what)?;
            }
        }
        move_mount(&self.tree, c"", root, &self.at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at_with(what)
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tree.as_fd()
    }
}

fn make_directory(root: &OwnedFd, path: &Path) -> rustix::io::Result<()> {
    match mkdirat(root, path, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

/// Makes the root and enters it.
pub(super) fn enter(places: &[&[Place]]) -> Result<()> {
    let tree = detached(c"tmpfs", MountAttrFlags::MOUNT_ATTR_NOSUID, None)?;
    // Any directory will do: the mount namespace is the jail's own, and this hides it there for a moment.
    move_mount(&tree, c"", CWD, c"/dev", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at("attach the empty root")?;
    match places.is_empty() {
        true => attach_processes(&tree, "proc", None)?,
        false => attach_own_processes(&tree)?,
    }
    places.iter().copied().flatten().try_for_each(|place| place.attach(&tree))?;
    let sealed = Change { set: MountAttr::RDONLY | MountAttr::NOEXEC | MountAttr::NODEV, ..Change::default() };
    set_attributes(&tree, Depth::One, &sealed).at("make the root read-only")?;
    fchdir(&tree).at("enter the empty root")?;
    pivot_root(".", ".").at("pivot_root")?;
    unmount(".", UnmountFlags::DETACH).at("unmount the old root")?;
    rustix::process::chdir("/").at("enter the empty root")
}

/// `/proc` tells a monitor what its stubs use.
fn attach_processes(tree: &OwnedFd, at: &str, option: Option<(&CStr, &CStr)>) -> Result<()> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let processes = detached(c"proc", attributes, option)?;
    mkdirat(tree, at, Mode::from_raw_mode(0o555)).at("make /proc")?;
    move_mount(&processes, c"", tree, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at("attach /proc")
}

/// Who acts as the host's root sees processes only: the files below `/proc/sys` are that user's to write. `/proc` is a
/// directory with the process itself, in which places can be.
fn attach_own_processes(tree: &OwnedFd) -> Result<()> {
    attach_processes(tree, "processes", Some((c"subset", c"pid")))?;
    mkdirat(tree, "proc", Mode::from_raw_mode(0o755)).at("make /proc")?;
    symlinkat("/processes/self", tree, "proc/self").at("make /proc/self")
}

fn detached(kind: &CStr, attributes: MountAttrFlags, option: Option<(&CStr, &CStr)>) -> Result<OwnedFd> {
    let what = || format!("mount {}", kind.to_string_lossy());
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).at_with(what)?;
    if let Some((key, value)) = option {
        fsconfig_set_string(&context, key, value).at_with(what)?;
    }
    fsconfig_create(&context).at_with(what)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).at_with(what)
}
