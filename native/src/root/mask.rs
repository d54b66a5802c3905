//! Masked and read-only paths.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, major, minor, open};
use rustix::mount::{OpenTreeFlags, open_tree};
use stockade_sandbox::{Error, Result};

use super::filesystem::{Filesystem, attach, restrict};
use super::resolve::{Root, file_type};
use crate::fail::Context;
use crate::sys::mount::MountAttr;

/// Flags of a clone of an open mount.
const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

/// The host's /dev/null, opened before the root changes and checked to be the real one: the container's own may be a
/// link or a file of the image (CVE-2025-31133).
fn open_null() -> Result<OwnedFd> {
    let null =
        open("/dev/null", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).at("open /dev/null")?;
    let stat = fstat(&null).at("stat /dev/null")?;
    let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3);
    if is_null { Ok(null) } else { Err(Error::Other("/dev/null of the host is not the null device".into())) }
}

/// Covers paths so that nothing of theirs is seen: files by /dev/null, directories by an empty read-only tmpfs.
pub(crate) fn mask(root: &Root, paths: &[String]) -> Result<()> {
    let mut covers = Covers::default();
    for path in paths {
        let what = || format!("mask {path}");
        let Some(target) = root.find(Path::new(path)).at_with(what)? else { continue };
        covers.cover(&target)?;
    }
    Ok(())
}

/// What masked paths are covered by. All masked directories share one file system.
#[derive(Debug, Default)]
struct Covers {
    null: Option<OwnedFd>,
    empty: Option<OwnedFd>,
}

impl Covers {
    fn cover(&mut self, target: &OwnedFd) -> Result<()> {
        if file_type(target)? != FileType::Directory {
            let null = match self.null.take() {
                Some(null) => null,
                None => open_null()?,
            };
            attach(duplicate(&null)?, target).at("cover by /dev/null")?;
            self.null = Some(null);
        } else if let Some(empty) = &self.empty {
            attach(duplicate(empty)?, target).at("cover by a tmpfs")?;
        } else {
            // Attached first, cloned later: older kernels clone no detached mount.
            let empty = empty_tmpfs()?;
            attach(&empty, target).at("cover by a tmpfs")?;
            self.empty = Some(empty);
        }
        Ok(())
    }
}

fn empty_tmpfs() -> Result<OwnedFd> {
    let tmpfs = Filesystem::new("tmpfs")?;
    tmpfs.set("nr_blocks", Some("1"))?;
    tmpfs.set("nr_inodes", Some("1"))?;
    tmpfs.mount(MountAttr::RDONLY | MountAttr::NOSUID | MountAttr::NODEV | MountAttr::NOEXEC)
}

fn duplicate(mount: &OwnedFd) -> Result<OwnedFd> {
    open_tree(mount, c"", CLONE | OpenTreeFlags::AT_EMPTY_PATH).at("clone a mount")
}

/// Makes what is at each path read-only.
pub(crate) fn make_readonly(root: &Root, paths: &[String]) -> Result<()> {
    let recursive = OpenTreeFlags::AT_RECURSIVE | OpenTreeFlags::AT_EMPTY_PATH;
    for path in paths {
        let what = || format!("make {path} read-only");
        let Some(target) = root.find(Path::new(path)).at_with(what)? else { continue };
        let tree = open_tree(&target, c"", CLONE | recursive).at_with(what)?;
        restrict(&tree, MountAttr::RDONLY).at_with(what)?;
        attach(tree, target).at_with(what)?;
    }
    Ok(())
}
