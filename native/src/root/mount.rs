//! The mounts of the spec, in its order.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::Mount;
use rustix::fs::{FileType, OFlags, PROC_SUPER_MAGIC, fstat, fstatfs};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use stockade_sandbox::{Error, Result};

use super::filesystem::{Filesystem, attach};
use super::options::MountOptions;
use super::resolve::{Links, Root, cleaned, file_type};
use super::{bind, cgroup, copy_up, fill};
use crate::cgroup::Cgroup;
use crate::fail::{Context, invalid};
use crate::idmap::IdMaps;
use crate::sys::mount::{Change, MountAttr, set_attributes};

/// fsconfig(2) takes no longer string.
const OPTION_BYTES_MAX: usize = 255;

/// What of /proc may be covered, for lxcfs and the like (runc's list).
const PROC_COVERABLE: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// One mount with its options sorted, and its tree if that had to be opened outside the container's namespaces.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    pub mount: &'a Mount,
    pub options: MountOptions,
    pub tree: Option<OwnedFd>,
}

/// What the mounts need to know of the container.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub bundle: &'a Path,
    pub cgroup: &'a Cgroup,
    pub maps: &'a IdMaps,
    pub label: Option<&'a str>,
}

impl<'a> Prepared<'a> {
    /// Sorts the options of every mount.
    pub(crate) fn all(mounts: Option<&'a Vec<Mount>>) -> Result<Vec<Self>> {
        mounts.into_iter().flatten().map(Self::new).collect()
    }

    fn new(mount: &'a Mount) -> Result<Self> {
        let mut options = MountOptions::parse(mount.options().as_deref().unwrap_or_default())?;
        if mount.typ().as_deref() == Some("bind") {
            options.bind = options.bind.or(Some(crate::sys::mount::Depth::One));
        }
        if bind::is_mapped(mount, &options) && options.bind.is_none() {
            return Err(invalid(format!("mount {}: only bind mounts can map ids", mount.destination().display())));
        }
        Ok(Self { mount, options, tree: None })
    }

    /// Whether this mount's tree must be opened by a process outside the container's user namespace.
    pub(crate) fn needs_host(&self, user_namespace: bool) -> bool {
        self.options.bind.is_some() && (user_namespace || bind::is_mapped(self.mount, &self.options))
    }

    /// Whether the host's /dev, or another complete one, becomes the container's: then nothing is made in it.
    pub(crate) fn is_bind_on_dev(&self) -> bool {
        self.options.bind.is_some() && cleaned(self.destination()) == Path::new("/dev")
    }

    fn destination(&self) -> &Path {
        self.mount.destination()
    }

    /// Mounts it.
    pub(crate) fn apply(&self, root: &Root, around: &Surroundings<'_>) -> Result<()> {
        let what = || format!("mount {} at {}", self.kind(), self.destination().display());
        let target = match (self.options.bind, self.kind()) {
            (Some(_), _) => self.apply_bind(root, around),
            (None, "proc" | "sysfs") => self.apply_pseudo(root),
            (None, "cgroup" | "cgroup2") => cgroup::mount(root, self, around.cgroup),
            (None, "tmpfs") => self.apply_tmpfs(root, around),
            (None, "") => Err(invalid("a mount that is no bind mount needs a type")),
            (None, _) => self.apply_other(root, around),
        };
        let mounted = target.map_err(|error| match error {
            Error::Os { what: inner, source } => Error::os(format!("{}: {inner}", what()), source),
            Error::Other(inner) => Error::Other(format!("{}: {inner}", what())),
            other => other,
        })?;
        self.propagate(mounted).at_with(|| format!("set propagation of {}", self.destination().display()))
    }

    fn kind(&self) -> &str {
        self.mount.typ().as_deref().unwrap_or(if self.options.bind.is_some() { "bind" } else { "" })
    }

    fn apply_bind(&self, root: &Root, around: &Surroundings<'_>) -> Result<OwnedFd> {
        let tree = match &self.tree {
            Some(tree) => tree.try_clone().at("duplicate a tree")?,
            None => bind::prepare(around.bundle, self.mount, &self.options, around.maps)?,
        };
        let target = match file_type(&tree)? {
            FileType::Directory => root.make_dir(self.destination())?,
            _ => root.make_file(self.destination())?,
        };
        // Nothing is copied from where nothing may be mounted.
        self.check_target(root, &target, Some(&tree))?;
        if !self.options.copy_up {
            return self.attach_checked(root, tree, target);
        }
        if file_type(&tree)? == FileType::Directory {
            fill::fill(&target, &tree).at("copy the directory below into the volume")?;
        }
        let mounted = self.attach_checked(root, tree, target)?;
        bind::close(&mounted, &self.options).at("make the volume read-only")?;
        Ok(mounted)
    }

    /// procfs and sysfs go on ordinary directories only: a link there would put them where masked and read-only paths
    /// do not reach (CVE-2019-19921).
    fn apply_pseudo(&self, root: &Root) -> Result<OwnedFd> {
        let target = match root.open(self.destination(), OFlags::PATH | OFlags::DIRECTORY, Links::Refuse) {
            Ok(target) => target,
            Err(Errno::NOENT) => root.make_dir(self.destination())?,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(Error::Other(format!("{:?} must be mounted on ordinary directory", self.kind())));
            }
            Err(errno) => return Err(Error::os("open the mount point", errno)),
        };
        self.attach_checked(root, self.filesystem()?.mount(self.options.set)?, target)
    }

    fn apply_tmpfs(&self, root: &Root, around: &Surroundings<'_>) -> Result<OwnedFd> {
        let target = root.make_dir(self.destination())?;
        self.check_target(root, &target, None)?;
        let filesystem = self.filesystem()?;
        self.set_label(&filesystem, around)?;
        if !self.options.data.iter().any(|(key, _)| key == "mode") {
            let mode = fstat(&target).at("stat the mount point")?.st_mode & 0o7777;
            filesystem.set("mode", Some(&format!("{mode:o}")))?;
        }
        let tree = filesystem.mount(self.options.set - MountAttr::RDONLY)?;
        if self.options.copy_up {
            copy_up::copy(&target, &tree).at("copy the directory below into the tmpfs")?;
        }
        if self.options.set.contains(MountAttr::RDONLY) {
            super::filesystem::restrict(&tree, MountAttr::RDONLY).at("make the tmpfs read-only")?;
        }
        self.attach_checked(root, tree, target)
    }

    fn apply_other(&self, root: &Root, around: &Surroundings<'_>) -> Result<OwnedFd> {
        let target = root.make_dir(self.destination())?;
        if self.options.data.iter().any(|(_, value)| value.as_ref().is_some_and(|v| v.len() > OPTION_BYTES_MAX)) {
            return self.apply_long(root, target);
        }
        let filesystem = self.filesystem()?;
        if self.kind() != "mqueue" {
            self.set_label(&filesystem, around)?;
        }
        self.attach_checked(root, filesystem.mount(self.options.set)?, target)
    }

    /// mount(2), whose data may fill a page, on the directory that is made the current one.
    fn apply_long(&self, root: &Root, target: OwnedFd) -> Result<OwnedFd> {
        self.check_target(root, &target, None)?;
        rustix::process::fchdir(&target).at("enter the mount point")?;
        let words = self.options.data.iter().map(|(key, value)| match value {
            Some(value) => format!("{key}={value}"),
            None => key.clone(),
        });
        let data = std::ffi::CString::new(words.collect::<Vec<_>>().join(",")).map_err(|e| invalid(e.to_string()))?;
        let source = self.mount.source().clone().unwrap_or_else(|| "none".into());
        rustix::mount::mount(source, ".", self.kind(), MountFlags::empty(), &*data).at("mount")?;
        let mounted = root.find(self.destination()).at("open the mount")?.ok_or_else(|| invalid("mount vanished"))?;
        super::filesystem::restrict(&mounted, self.options.set).at("set mount options")?;
        Ok(mounted)
    }

    fn filesystem(&self) -> Result<Filesystem> {
        let filesystem = Filesystem::new(self.kind())?;
        if let Some(source) = self.mount.source() {
            filesystem.set("source", Some(&source.to_string_lossy()))?;
        }
        for (key, value) in &self.options.data {
            filesystem.set(key, value.as_deref())?;
        }
        Ok(filesystem)
    }

    fn set_label(&self, filesystem: &Filesystem, around: &Surroundings<'_>) -> Result<()> {
        let given = self.options.data.iter().any(|(key, _)| key == "context");
        match around.label {
            Some(label) if !given => filesystem.set("context", Some(label)),
            _ => Ok(()),
        }
    }

    /// Attaches the tree and returns it, now mounted.
    pub(crate) fn attach_checked(&self, root: &Root, tree: OwnedFd, target: OwnedFd) -> Result<OwnedFd> {
        self.check_target(root, &target, Some(&tree))?;
        attach(&tree, target).at("attach")?;
        Ok(tree)
    }

    /// Refuses to cover the root, and what of /proc must not be covered: a container could forge its own label or
    /// limits there (CVE-2019-16884).
    fn check_target(&self, root: &Root, target: &OwnedFd, tree: Option<&OwnedFd>) -> Result<()> {
        if root.is(target)? {
            return Err(Error::Other("mounting over / is prohibited".into()));
        }
        let lexical = cleaned(self.destination());
        if lexical == Path::new("/proc") && !self.is_proc(tree)? {
            return Err(Error::Other("\"/proc\" cannot be mounted because it is not of type proc".into()));
        }
        let inside = fstatfs(target).at("stat the mount point")?.f_type == PROC_SUPER_MAGIC;
        let coverable = self.options.bind.is_some() && PROC_COVERABLE.iter().any(|path| lexical == Path::new(path));
        if inside && !coverable && lexical != Path::new("/proc") {
            return Err(Error::Other(format!("{:?} cannot be mounted because it is inside /proc", lexical.display())));
        }
        Ok(())
    }

    fn is_proc(&self, tree: Option<&OwnedFd>) -> Result<bool> {
        match (self.options.bind, tree) {
            (Some(_), Some(tree)) => Ok(fstatfs(tree).at("stat the source")?.f_type == PROC_SUPER_MAGIC),
            (Some(_), None) => Ok(false),
            (None, _) => Ok(self.kind() == "proc"),
        }
    }

    fn propagate(&self, mounted: impl AsFd) -> std::io::Result<()> {
        for (propagation, depth) in &self.options.propagation {
            let change = Change { propagation: Some(*propagation), ..Change::default() };
            set_attributes(&mounted, *depth, &change)?;
        }
        Ok(())
    }
}
