//! `cgroup` mounts: the container's own directory of each hierarchy, bound where the container expects it. In a cgroup
//! namespace it looks like the hierarchy's root.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};
use stockade_sandbox::{Error, Result};

use super::bind::clone_tree;
use super::filesystem::{Filesystem, attach, restrict};
use super::mount::Prepared;
use super::resolve::Root;
use crate::cgroup::{Cgroup, Hierarchy, Version};
use crate::fail::Context;
use crate::sys::mount::{Depth, MountAttr};

/// Mounts what the host has: the v2 hierarchy itself, or a tmpfs with a directory for each v1 hierarchy.
pub(crate) fn mount(root: &Root, mount: &Prepared<'_>, cgroup: &Cgroup) -> Result<OwnedFd> {
    let target = root.make_dir(mount.mount.destination())?;
    match cgroup.hierarchies() {
        [only] if only.version == Version::V2 => {
            mount.attach_checked(root, hierarchy_tree(only, mount.options.set)?, target)
        }
        all => {
            let tmpfs = mount.attach_checked(root, holder()?, target)?;
            all.iter().try_for_each(|hierarchy| add(&tmpfs, hierarchy, mount.options.set))?;
            restrict(&tmpfs, mount.options.set).at("restrict the directory of hierarchies")?;
            Ok(tmpfs)
        }
    }
}

fn holder() -> Result<OwnedFd> {
    let tmpfs = Filesystem::new("tmpfs")?;
    tmpfs.set("mode", Some("755"))?;
    tmpfs.mount(MountAttr::NOSUID | MountAttr::NODEV | MountAttr::NOEXEC)
}

fn hierarchy_tree(hierarchy: &Hierarchy, set: MountAttr) -> Result<OwnedFd> {
    let tree = clone_tree(&hierarchy.path, Depth::One).at_with(|| format!("bind {}", hierarchy.path.display()))?;
    restrict(&tree, set).at_with(|| format!("restrict {}", hierarchy.path.display()))?;
    Ok(tree)
}

fn add(tmpfs: &OwnedFd, hierarchy: &Hierarchy, set: MountAttr) -> Result<()> {
    let name = hierarchy.mountpoint.file_name().map(Path::new).unwrap_or(Path::new("unified"));
    let what = || format!("mount cgroup {}", name.display());
    mkdirat(tmpfs, name, Mode::from_raw_mode(0o755)).at_with(what)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let point = openat(tmpfs, name, flags, Mode::empty()).at_with(what)?;
    attach(hierarchy_tree(hierarchy, set)?, point).at_with(what)?;
    link_controllers(tmpfs, hierarchy, name)
}

/// `cpu -> cpu,cpuacct` where one hierarchy has several controllers.
fn link_controllers(tmpfs: impl AsFd, hierarchy: &Hierarchy, name: &Path) -> Result<()> {
    for controller in hierarchy.controllers.iter().filter(|_| hierarchy.controllers.len() > 1) {
        symlinkat(name, &tmpfs, controller.as_str())
            .map_err(|errno| Error::os(format!("link cgroup controller {controller}"), errno))?;
    }
    Ok(())
}
