//! A container's root: its tree of mounts, built in the container's own mount namespace, then entered.
//!
//! Invariants:
//! - the host's mounts are cut off from propagation before anything is mounted;
//! - the root's tree is mounted on top of the namespace's `/`, where no path look-up of ours sees it: all access goes
//!   through its descriptor, and host paths go on working until `enter`;
//! - after `enter` no mount of the host's is left in the namespace.

mod bind;
mod cgroup;
mod copy_up;
mod device;
mod filesystem;
pub(crate) mod fill;
mod mask;
mod mount;
mod options;
pub(crate) mod overlay;
mod resolve;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, Spec};
use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{chroot, fchdir, pivot_root};
use stockade_sandbox::{PivotRoot, Result};

use crate::cgroup::Cgroup;
use crate::fail::{Context, invalid};
use crate::idmap::IdMaps;
use crate::sys::mount::{Change, Depth, MountAttr, Propagation, set_attributes};

pub(crate) use bind::{clone_tree, source as bind_source};
pub(crate) use filesystem::attach;
pub(crate) use mount::Prepared;
pub(crate) use resolve::{Links, Root, file_type};

/// Where the tree of the root comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A directory of the host that the container's processes can reach.
    Directory(PathBuf),
    /// A detached tree, opened by a more privileged process.
    Tree(OwnedFd),
}

/// All that is needed to build the root.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub spec: &'a Spec,
    pub linux: &'a Linux,
    pub bundle: &'a Path,
    pub source: Source,
    pub mounts: Vec<Prepared<'a>>,
    pub cgroup: &'a Cgroup,
    pub maps: &'a IdMaps,
    pub user_namespace: bool,
    pub pivot: PivotRoot,
}

impl<'a> Plan<'a> {
    /// Opens now, with the caller's privilege, what the container's own processes could not.
    pub(crate) fn open_for_user_namespace(&mut self) -> Result<()> {
        let propagation = self.propagation_of_binds()?;
        for prepared in &mut self.mounts {
            if prepared.needs_host(self.user_namespace) {
                let tree = bind::prepare(self.bundle, prepared.mount, &prepared.options, self.maps)?;
                bind::detach_from_peers(&tree, propagation).at("cut a bind mount off from its peers")?;
                prepared.tree = Some(tree);
            }
        }
        if let (true, Source::Directory(path)) = (self.user_namespace, &self.source) {
            let tree = bind::clone_tree(path, Depth::All).at_with(|| format!("bind {}", path.display()))?;
            bind::detach_from_peers(&tree, propagation).at("cut the root off from its peers")?;
            self.source = Source::Tree(tree);
        }
        Ok(())
    }

    /// The trees that are open already.
    pub(crate) fn trees(&self) -> impl Iterator<Item = &OwnedFd> {
        let source = match &self.source {
            Source::Tree(tree) => Some(tree),
            Source::Directory(_) => None,
        };
        source.into_iter().chain(self.mounts.iter().filter_map(|prepared| prepared.tree.as_ref()))
    }

    /// What a tree cloned in the host's mount namespace becomes; as if it had been cloned after `isolate`.
    fn propagation_of_binds(&self) -> Result<Propagation> {
        Ok(match self.propagation()? {
            None => Propagation::Slave,
            Some((Propagation::Unbindable, _)) => Propagation::Private,
            Some((propagation, _)) => propagation,
        })
    }

    fn propagation(&self) -> Result<Option<(Propagation, Depth)>> {
        let Some(word) = self.linux.rootfs_propagation().as_deref().filter(|word| !word.is_empty()) else {
            return Ok(None);
        };
        options::propagation(word).map(Some).ok_or_else(|| invalid(format!("rootfsPropagation {word:?}")))
    }

    /// Builds the whole tree. Runs in the container's new mount namespace, as its root user, with umask 0.
    pub(crate) fn build(&self) -> Result<Built> {
        let host = open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).at("open /")?;
        self.isolate(&host)?;
        let tree = match &self.source {
            Source::Tree(tree) => tree.try_clone().at("duplicate the root's tree")?,
            Source::Directory(path) => {
                bind::clone_tree(path, Depth::All).at_with(|| format!("bind {}", path.display()))?
            }
        };
        filesystem::attach(&tree, &host).at("mount the root")?;
        let root = Root::new(tree);
        self.fill(&root)?;
        Ok(Built { root, host })
    }

    fn isolate(&self, host: &OwnedFd) -> Result<()> {
        let wanted = match self.propagation()? {
            None => (Propagation::Slave, Depth::All),
            // Nothing could be bound from there; the new root becomes unbindable once it is entered.
            Some((Propagation::Unbindable, depth)) => (Propagation::Private, depth),
            Some(wanted) => wanted,
        };
        let change = Change { propagation: Some(wanted.0), ..Change::default() };
        set_attributes(host, wanted.1, &change).at("set propagation of /")?;
        if wanted.0 == Propagation::Shared {
            // The mount that ours goes on must not tell its peers.
            let private = Change { propagation: Some(Propagation::Private), ..Change::default() };
            set_attributes(host, Depth::One, &private).at("make / private")?;
        }
        Ok(())
    }

    /// Makes the entered root read-only if the spec says so.
    pub(crate) fn restrict(&self, root: &Root) -> Result<()> {
        if self.spec.root().as_ref().and_then(|root| root.readonly()) == Some(true) {
            filesystem::restrict(root.as_fd(), MountAttr::RDONLY).at("make the root read-only")?;
        }
        Ok(())
    }

    fn fill(&self, root: &Root) -> Result<()> {
        let around = mount::Surroundings {
            bundle: self.bundle,
            cgroup: self.cgroup,
            maps: self.maps,
            label: self.linux.mount_label().as_deref().filter(|label| !label.is_empty()),
        };
        self.mounts.iter().try_for_each(|prepared| prepared.apply(root, &around))?;
        if !self.mounts.iter().any(Prepared::is_bind_on_dev) {
            let nodes = if self.user_namespace { device::Nodes::Bind } else { device::Nodes::Make };
            device::fill_dev(root, self.linux.devices().as_deref().unwrap_or_default(), nodes)?;
        }
        mask::make_readonly(root, self.linux.readonly_paths().as_deref().unwrap_or_default())?;
        mask::mask(root, self.linux.masked_paths().as_deref().unwrap_or_default())
    }
}

/// A root that is ready to be entered.
#[derive(Debug)]
pub(crate) struct Built {
    pub root: Root,
    host: OwnedFd,
}

impl Built {
    /// Makes the tree the root of the namespace and leaves the host's mounts behind.
    pub(crate) fn enter(self, plan: &Plan<'_>) -> Result<Root> {
        fchdir(self.root.as_fd()).at("enter the root")?;
        match plan.pivot {
            PivotRoot::Pivot => self.pivot()?,
            PivotRoot::Move => change_root()?,
        }
        rustix::process::chdir("/").at("enter the new root")?;
        if let Some((propagation, depth)) = plan.propagation()? {
            let change = Change { propagation: Some(propagation), ..Change::default() };
            set_attributes(self.root.as_fd(), depth, &change).at("set rootfsPropagation")?;
        }
        Ok(self.root)
    }

    fn pivot(&self) -> Result<()> {
        // pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one.
        pivot_root(".", ".").at("pivot_root")?;
        let slave = Change { propagation: Some(Propagation::Slave), ..Change::default() };
        set_attributes(&self.host, Depth::All, &slave).at("cut the old root off from its peers")?;
        unmount(".", UnmountFlags::DETACH).at("unmount the old root")
    }
}

/// For a root on the initramfs, which cannot be pivoted: the tree already lies on top of `/`.
fn change_root() -> Result<()> {
    for covered in ["/proc", "/sys"] {
        // Else the host's instance could be reached by whoever escapes the chroot.
        let _ = unmount(covered, UnmountFlags::DETACH);
    }
    chroot(".").at("chroot to the root")
}
