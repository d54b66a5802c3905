//! overlayfs: image layers under a writable one.
//!
//! The mount is made detached, by the runtime process, and attached only in the container's mount namespace: a killed
//! runtime leaves nothing mounted.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{fsconfig_set_fd, fsconfig_set_string};
use stockade_sandbox::{Result, WritableLayer};

use super::bind::{clone_tree, detach_from_peers};
use super::filesystem::Filesystem;
use crate::fail::Context;
use crate::idmap::{IdMaps, user_namespace};
use crate::sys::identity::as_file_system_user;
use crate::sys::mount::{Change, Depth, MountAttr, Propagation, set_attributes};

/// Mounts the layers, lowest first, under the writable one. With `maps`, ids on disk stay those of the image and the
/// writable layer, and are shown as the user namespace has them.
pub(crate) fn mount(layers: &[PathBuf], writable: &WritableLayer, maps: Option<&IdMaps>) -> Result<OwnedFd> {
    prepare_writable(layers, writable)?;
    let overlay = Filesystem::new("overlay")?;
    overlay.set("source", Some("overlay"))?;
    if writable.volatile {
        overlay.set("volatile", None)?;
    }
    let Some(maps) = maps else {
        set_plain(&overlay, layers, writable)?;
        return overlay.mount(MountAttr::empty());
    };
    // Detached trees live as long as their descriptors.
    let _trees = set_mapped(&overlay, layers, writable, maps)?;
    // overlayfs works with its mounter's identity, which must have an id on the mapped trees.
    let (uid, gid) = (IdMaps::host_root(&maps.uid), IdMaps::host_root(&maps.gid));
    as_file_system_user(uid, gid, || overlay.mount(MountAttr::empty())).at("become the namespace's root for files")?
}

/// Makes `upper` and `work`. The upper directory is the root that the container sees, so it looks like the image's.
fn prepare_writable(layers: &[PathBuf], writable: &WritableLayer) -> Result<()> {
    let (upper, work) = (writable.dir.join("upper"), writable.dir.join("work"));
    if !upper.exists() {
        make_like(&upper, layers.last()).at_with(|| format!("make {}", upper.display()))?;
    }
    if writable.volatile {
        // Says that an earlier volatile mount may have lost data, and would refuse this one (overlayfs.rst).
        let _ = fs::remove_dir_all(work.join("work/incompat"));
    }
    fs::create_dir_all(&work).at_with(|| format!("make {}", work.display()))
}

fn make_like(upper: &Path, top: Option<&PathBuf>) -> io::Result<()> {
    fs::create_dir_all(upper)?;
    let Some(top) = top else { return Ok(()) };
    let root = fs::metadata(top)?;
    std::os::unix::fs::chown(upper, Some(root.uid()), Some(root.gid()))?;
    fs::set_permissions(upper, fs::Permissions::from_mode(root.mode() & 0o7777))
}

fn set_plain(overlay: &Filesystem, layers: &[PathBuf], writable: &WritableLayer) -> Result<()> {
    for layer in layers.iter().rev() {
        match fsconfig_set_string(overlay.context(), "lowerdir+", layer.as_path()) {
            Ok(()) => {}
            // Before Linux 6.5 all layers are one string.
            Err(Errno::INVAL) if layer.exists() => return set_joined(overlay, layers, writable),
            Err(errno) => return Err(overlay.explain(&format!("add layer {}", layer.display()), errno)),
        }
    }
    set_upper(overlay, writable)
}

/// One `lowerdir` with short names for all layers, as fsconfig(2) takes no more than 255 bytes.
fn set_joined(overlay: &Filesystem, layers: &[PathBuf], writable: &WritableLayer) -> Result<()> {
    let open = |layer: &PathBuf| fs::File::open(layer).at_with(|| format!("open layer {}", layer.display()));
    let files = layers.iter().rev().map(open).collect::<Result<Vec<_>>>()?;
    let names: Vec<String> = files.iter().map(|file| format!("/proc/self/fd/{}", file.as_raw_fd())).collect();
    overlay.set("lowerdir", Some(&names.join(":")))?;
    set_upper(overlay, writable)
}

fn set_upper(overlay: &Filesystem, writable: &WritableLayer) -> Result<()> {
    overlay.set("upperdir", Some(&writable.dir.join("upper").to_string_lossy()))?;
    overlay.set("workdir", Some(&writable.dir.join("work").to_string_lossy()))
}

fn set_mapped(
    overlay: &Filesystem,
    layers: &[PathBuf],
    writable: &WritableLayer,
    maps: &IdMaps,
) -> Result<Vec<OwnedFd>> {
    let namespace = user_namespace(maps)?;
    let trees = layers.iter().rev().map(|layer| mapped(layer, &namespace)).collect::<Result<Vec<_>>>()?;
    trees.iter().try_for_each(|tree| set_tree(overlay, "lowerdir+", tree))?;
    // Both must lie on one mount.
    let upper = mapped(&writable.dir, &namespace)?;
    for (key, name) in [("upperdir", "upper"), ("workdir", "work")] {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat(&upper, name, flags, Mode::empty()).at_with(|| format!("open {name}"))?;
        set_tree(overlay, key, &dir)?;
    }
    Ok(trees.into_iter().chain([upper]).collect())
}

fn mapped(path: &Path, namespace: &OwnedFd) -> Result<OwnedFd> {
    let what = || format!("map the ids of {}", path.display());
    let tree = clone_tree(path, Depth::One).at_with(what)?;
    detach_from_peers(&tree, Propagation::Private).at_with(what)?;
    let change = Change { set: MountAttr::IDMAP, user_namespace: Some(namespace.as_fd()), ..Change::default() };
    set_attributes(&tree, Depth::One, &change).at_with(what)?;
    Ok(tree)
}

fn set_tree(overlay: &Filesystem, key: &str, tree: &OwnedFd) -> Result<()> {
    fsconfig_set_fd(overlay.context(), key, tree)
        .map_err(|errno| overlay.explain(&format!("set {key} of the overlay for a user namespace"), errno))
}
