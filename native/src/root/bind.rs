//! Bind mounts: what is mounted, with its attributes and id maps, before it is known where.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;
use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};
use stockade_sandbox::Result;

use super::options::MountOptions;
use crate::fail::{Context, invalid};
use crate::idmap::{IdMaps, user_namespace};
use crate::sys::mount::{Change, Depth, MountAttr, Propagation, set_attributes};

/// A detached copy of what is mounted at a host path.
pub(crate) fn clone_tree(path: &Path, depth: Depth) -> rustix::io::Result<OwnedFd> {
    let recursive = if depth == Depth::All { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | recursive)
}

/// A bind mount's source path.
pub(crate) fn source_path(bundle: &Path, mount: &Mount) -> Result<PathBuf> {
    let source = mount.source().as_ref().filter(|source| !source.as_os_str().is_empty());
    let missing = || invalid(format!("bind mount of {} has no source", mount.destination().display()));
    Ok(bundle.join(source.ok_or_else(missing)?))
}

/// Makes a bind mount's detached tree, writable for as long as it may have to be filled. `container` has the maps that
/// an `idmap` without maps of its own means.
pub(crate) fn prepare(bundle: &Path, mount: &Mount, options: &MountOptions, container: &IdMaps) -> Result<OwnedFd> {
    let source = source_path(bundle, mount)?;
    let tree =
        clone_tree(&source, options.bind.unwrap_or(Depth::One)).at_with(|| format!("bind {}", source.display()))?;
    map_ids(&tree, mount, options, container)?;
    let held = if options.copy_up { MountAttr::RDONLY } else { MountAttr::empty() };
    change(&tree, options, held).at_with(|| format!("set options of the bind mount of {}", source.display()))?;
    Ok(tree)
}

/// Makes a tree that was filled read-only if its options say so.
pub(crate) fn close(tree: impl AsFd, options: &MountOptions) -> std::io::Result<()> {
    change(tree, options, MountAttr::RDONLY.complement())
}

/// Sets what the options say, without what is held back.
fn change(tree: impl AsFd, options: &MountOptions, held: MountAttr) -> std::io::Result<()> {
    let all = Change { set: options.set_all - held, clear: options.clear_all - held, ..Change::default() };
    let one = Change { set: options.set - held, clear: options.clear - held, ..Change::default() };
    for (depth, change) in [(Depth::All, all), (Depth::One, one)] {
        if change.set | change.clear != MountAttr::empty() {
            set_attributes(&tree, depth, &change)?;
        }
    }
    Ok(())
}

/// Whether the mount's owner ids are to be mapped.
pub(crate) fn is_mapped(mount: &Mount, options: &MountOptions) -> bool {
    options.idmap.is_some() || mount.uid_mappings().is_some() || mount.gid_mappings().is_some()
}

fn map_ids(tree: impl AsFd, mount: &Mount, options: &MountOptions, container: &IdMaps) -> Result<()> {
    if !is_mapped(mount, options) {
        return Ok(());
    }
    let own = IdMaps::new(mount.uid_mappings(), mount.gid_mappings());
    let maps = if own.uid.is_empty() && own.gid.is_empty() { container } else { &own };
    let destination = mount.destination().display();
    if maps.uid.is_empty() || maps.gid.is_empty() {
        return Err(invalid(format!("idmapped mount {destination}: both uidMappings and gidMappings are needed")));
    }
    let namespace = user_namespace(maps)?;
    let change = Change { set: MountAttr::IDMAP, user_namespace: Some(namespace.as_fd()), ..Change::default() };
    set_attributes(tree, options.idmap.unwrap_or(Depth::One), &change)
        .at_with(|| format!("map the ids of {destination}: the source's file system may not support it"))
}

/// The tree of a mount that its options, or its type, make a bind mount.
pub(crate) fn source(bundle: &Path, mount: &Mount, container: &IdMaps) -> Result<OwnedFd> {
    let options = MountOptions::parse(mount.options().as_deref().unwrap_or_default())?;
    prepare(bundle, mount, &options, container)
}

/// Cuts a tree that was cloned outside the container's mount namespace off from its peers, as the namespace's own
/// mounts are.
pub(crate) fn detach_from_peers(tree: impl AsFd, propagation: Propagation) -> std::io::Result<()> {
    set_attributes(tree, Depth::All, &Change { propagation: Some(propagation), ..Change::default() })
}
