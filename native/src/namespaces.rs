//! Which namespaces a container gets, new or joined, and the order in which they are entered.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType};
use stockade_sandbox::Result;

use crate::clocks;
use crate::fail::{Context, invalid};
use crate::sys::clone::{CloneFlags, namespace_type, setns};

/// A container's namespaces.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// To be made.
    pub new: CloneFlags,
    /// To be joined, each file checked to be a namespace of its type.
    pub joined: Vec<(CloneFlags, OwnedFd)>,
}

impl Namespaces {
    /// As the spec has them. Opens those to join.
    pub(crate) fn from_spec(linux: &Linux) -> Result<Self> {
        let mut namespaces = Self { new: CloneFlags::empty(), joined: Vec::new() };
        for namespace in linux.namespaces().iter().flatten() {
            namespaces.add(namespace)?;
        }
        namespaces.validate(linux)?;
        Ok(namespaces)
    }

    fn add(&mut self, namespace: &LinuxNamespace) -> Result<()> {
        let flag = flag(namespace.typ());
        if self.has(flag) {
            return Err(invalid(format!("duplicate namespace {:?}", namespace.typ().to_string())));
        }
        match namespace.path() {
            Some(path) if !path.as_os_str().is_empty() => self.join(flag, path)?,
            _ => self.new |= flag,
        }
        Ok(())
    }

    fn join(&mut self, flag: CloneFlags, path: &Path) -> Result<()> {
        let file = File::open(path).at_with(|| format!("open namespace {}", path.display()))?;
        match namespace_type(&file) {
            Ok(kind) if kind == flag => {}
            _ => return Err(invalid(format!("{} is not a {} namespace", path.display(), name(flag)))),
        }
        // setns(2) refuses the caller's own user namespace.
        if flag != CloneFlags::NEWUSER || !is_own_user_namespace(&file).at("stat /proc/self/ns/user")? {
            self.joined.push((flag, file.into()));
        }
        Ok(())
    }

    fn validate(&self, linux: &Linux) -> Result<()> {
        let mapped = linux.uid_mappings().is_some() || linux.gid_mappings().is_some();
        if self.new.contains(CloneFlags::NEWUSER) && (linux.uid_mappings().is_none() || linux.gid_mappings().is_none())
        {
            return Err(invalid("a new user namespace needs uidMappings and gidMappings"));
        }
        if mapped && !self.has(CloneFlags::NEWUSER) {
            return Err(invalid("uidMappings and gidMappings need a user namespace"));
        }
        clocks::offsets_of(linux)?;
        if !self.new.contains(CloneFlags::NEWNS) {
            return Err(invalid("a new mount namespace is required: add {\"type\": \"mount\"} to linux.namespaces"));
        }
        Ok(())
    }

    /// Whether the container has a namespace of this type that is not the host's.
    pub(crate) fn has(&self, flag: CloneFlags) -> bool {
        self.new.contains(flag) || self.joined.iter().any(|(joined, _)| *joined == flag)
    }

    /// Whether the init ends up in a user namespace other than the caller's.
    pub(crate) fn user(&self) -> bool {
        self.has(CloneFlags::NEWUSER)
    }

    /// Whether an intermediate process is needed: one that joins before the final clone, so that a new namespace is
    /// owned by a joined user namespace, or a joined one is entered with the privilege that a new user namespace ends.
    pub(crate) fn needs_stage(&self) -> bool {
        let joins = self.joined.iter().any(|(flag, _)| *flag != CloneFlags::NEWPID);
        self.user() && joins
    }

    /// The pid namespace to join, if any.
    pub(crate) fn joined_pid(&self) -> Option<&OwnedFd> {
        self.joined.iter().find(|(flag, _)| *flag == CloneFlags::NEWPID).map(|(_, file)| file)
    }

    /// Joins all but the pid namespace, which only a clone can enter. Those that the caller may enter as it is come
    /// first, then the user namespace, then what only its members may enter.
    pub(crate) fn join_all(&self) -> Result<()> {
        let mut later = Vec::new();
        for (flag, file) in self.others() {
            if setns(file, flag).is_err() {
                later.push((flag, file));
            }
        }
        if let Some((flag, file)) = self.joined.iter().find(|(flag, _)| *flag == CloneFlags::NEWUSER) {
            setns(file, *flag).at("join the user namespace")?;
        }
        later
            .into_iter()
            .try_for_each(|(flag, file)| setns(file, flag).at_with(|| format!("join the {} namespace", name(flag))))
    }

    fn others(&self) -> impl Iterator<Item = (CloneFlags, &OwnedFd)> {
        let skipped = CloneFlags::NEWPID | CloneFlags::NEWUSER;
        self.joined.iter().filter(move |(flag, _)| !skipped.contains(*flag)).map(|(flag, file)| (*flag, file))
    }
}

fn is_own_user_namespace(file: &File) -> io::Result<bool> {
    let (own, other) = (std::fs::metadata("/proc/self/ns/user")?, file.metadata()?);
    Ok((own.dev(), own.ino()) == (other.dev(), other.ino()))
}

fn flag(kind: LinuxNamespaceType) -> CloneFlags {
    match kind {
        LinuxNamespaceType::Mount => CloneFlags::NEWNS,
        LinuxNamespaceType::Cgroup => CloneFlags::NEWCGROUP,
        LinuxNamespaceType::Uts => CloneFlags::NEWUTS,
        LinuxNamespaceType::Ipc => CloneFlags::NEWIPC,
        LinuxNamespaceType::User => CloneFlags::NEWUSER,
        LinuxNamespaceType::Pid => CloneFlags::NEWPID,
        LinuxNamespaceType::Network => CloneFlags::NEWNET,
        LinuxNamespaceType::Time => CloneFlags::NEWTIME,
    }
}

/// A namespace type as /proc/PID/ns names it.
pub(crate) fn name(flag: CloneFlags) -> &'static str {
    match flag {
        CloneFlags::NEWNS => "mnt",
        CloneFlags::NEWCGROUP => "cgroup",
        CloneFlags::NEWUTS => "uts",
        CloneFlags::NEWIPC => "ipc",
        CloneFlags::NEWUSER => "user",
        CloneFlags::NEWPID => "pid",
        CloneFlags::NEWNET => "net",
        CloneFlags::NEWTIME => "time",
        _ => "unknown",
    }
}
