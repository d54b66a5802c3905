//! Masked and read-only paths of a spec, over this kernel's own /proc and /sys: nothing of the host's lies there, but
//! programs see what they see in class `native`.

use std::sync::Arc;

use oci_spec::runtime::{Linux, Spec};
use stockade_kernel::fs;
use stockade_kernel::task::Namespaces;
use stockade_kernel::vfs::{
    FileKind, Filesystem, Follow, FsContext, MountFlags, MountNamespace, Name, Path, Superblock,
};
use stockade_kernel::{Errno, Kernel};
use stockade_sandbox::{Error, Result};

use super::root::root_caller;

/// Of a file system that covers a directory.
const EMPTY: MountFlags = MountFlags::READ_ONLY
    .union(MountFlags::NO_SUID)
    .union(MountFlags::NO_DEV)
    .union(MountFlags::NO_EXEC)
    .union(MountFlags::RELATIVE_ATIME);

/// Makes the paths that are there read-only, or covers them.
pub(super) fn apply(kernel: &Arc<Kernel>, namespaces: &Arc<Namespaces>, fs: &FsContext, spec: &Spec) -> Result<()> {
    let Some(linux) = spec.linux() else { return Ok(()) };
    for path in paths(linux, Linux::readonly_paths) {
        with(fs, path, |target| make_read_only(fs, target))?;
    }
    let mut covers = Covers { kernel, namespaces, null: None, empty: None };
    for path in paths(linux, Linux::masked_paths) {
        with(fs, path, |target| covers.cover(fs, target))?;
    }
    Ok(())
}

fn paths(linux: &Linux, which: fn(&Linux) -> &Option<Vec<String>>) -> &[String] {
    which(linux).as_deref().unwrap_or_default()
}

/// Does it to what is at a path, if that exists.
fn with(fs: &FsContext, path: &str, apply: impl FnOnce(&Path) -> std::result::Result<(), Errno>) -> Result<()> {
    let caller = root_caller();
    let done = match Name::new(fs, &caller, path.as_bytes()).find(Follow::Yes) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
        found => found.and_then(|target| apply(&target)),
    };
    done.map_err(|errno| Error::Other(format!("mask {path}: {errno}")))
}

fn make_read_only(fs: &FsContext, target: &Path) -> std::result::Result<(), Errno> {
    let namespace = fs.namespace();
    let top = namespace.bind_all(target, target)?;
    for mount in [top.clone()].into_iter().chain(namespace.below(&top)) {
        mount.set_flags(mount.flags() | MountFlags::READ_ONLY);
    }
    Ok(())
}

/// What masked paths are covered by. All masked directories share one file system.
struct Covers<'a> {
    kernel: &'a Arc<Kernel>,
    namespaces: &'a Arc<Namespaces>,
    null: Option<Path>,
    empty: Option<Arc<Superblock>>,
}

impl Covers<'_> {
    fn cover(&mut self, fs: &FsContext, target: &Path) -> std::result::Result<(), Errno> {
        let namespace = fs.namespace();
        if target.inode().kind() == FileKind::Directory {
            return namespace.mount(target, &self.empty()?, EMPTY, b"none").map(drop);
        }
        namespace.bind(&self.null()?, target).map(drop)
    }

    fn empty(&mut self) -> std::result::Result<Arc<Superblock>, Errno> {
        if let Some(empty) = &self.empty {
            return Ok(empty.clone());
        }
        let empty = self.kernel.vfs().superblock(self.make("tmpfs", "size=4k,nr_inodes=1")?);
        Ok(self.empty.insert(empty).clone())
    }

    /// The null device, which no image can replace.
    fn null(&mut self) -> std::result::Result<Path, Errno> {
        if let Some(null) = &self.null {
            return Ok(null.clone());
        }
        let superblock = self.kernel.vfs().superblock(self.make("devtmpfs", "mode=755")?);
        let namespace = MountNamespace::new(&superblock, MountFlags::RELATIVE_ATIME, b"devtmpfs");
        let caller = root_caller();
        let null = Name::new(&FsContext::new(namespace), &caller, b"/null").find(Follow::No)?;
        Ok(self.null.insert(null).clone())
    }

    fn make(&self, kind: &str, data: &str) -> std::result::Result<Arc<dyn Filesystem>, Errno> {
        fs::make(self.kernel, self.namespaces, kind.as_bytes(), data.as_bytes())
    }
}
