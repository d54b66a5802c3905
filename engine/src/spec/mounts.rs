//! Docker's default mounts, the container's /etc files, and what was asked for.

use std::path::Path;

use oci_spec::runtime::{Mount, MountBuilder};

use super::{Context, SpecError, etc};
use crate::options::NamespaceMode;
use crate::shm;
use crate::state::{Container, MountKind, MountRecord};

/// Every mount of the container, parents before what is below them.
pub(super) fn all(context: &Context<'_>) -> Result<Vec<Mount>, SpecError> {
    let asked = &context.record.mounts;
    let mut mounts = system(context)?;
    mounts.extend(etc::mounts(context)?);
    // What was asked for replaces a default at the same place.
    mounts.retain(|mount| !asked.iter().any(|record| record.target == *mount.destination()));
    for record in asked {
        mounts.push(from_record(record)?);
    }
    sort(&mut mounts);
    Ok(mounts)
}

/// Shallow targets first, so that none hides a deeper one: `/etc` is to lie below `/etc/hosts`, and `/dev` below
/// `/dev/pts`. Mounts of one depth keep their order.
fn sort(mounts: &mut [Mount]) {
    mounts.sort_by_key(|mount| mount.destination().components().count());
}

/// /proc, /dev, /sys and what is in them.
fn system(context: &Context<'_>) -> Result<Vec<Mount>, SpecError> {
    let access = if context.record.options.privileged { "rw" } else { "ro" };
    Ok(vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"])?,
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"])?,
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        )?,
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access])?,
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", access])?,
        // Shows the queues of the IPC namespace that the container is in, whosever it is.
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"])?,
        shared_memory(context)?,
    ])
}

/// /dev/shm: that of whom the IPC namespace is shared with.
fn shared_memory(context: &Context<'_>) -> Result<Mount, SpecError> {
    let flags = ["rbind", "nosuid", "noexec", "nodev"];
    match &context.record.options.ipc {
        NamespaceMode::Host => bind(Path::new("/dev/shm"), "/dev/shm", &flags),
        NamespaceMode::Shareable => bind(&context.container.file("shm"), "/dev/shm", &flags),
        NamespaceMode::Container(id) => {
            bind(&Container::new(&context.engine.directories, id).file("shm"), "/dev/shm", &flags)
        }
        NamespaceMode::Private | NamespaceMode::Path(_) => {
            let size = context.record.options.shm_size_bytes.unwrap_or(shm::BYTES);
            mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &format!("size={size}")])
        }
    }
}

/// What was asked for.
fn from_record(record: &MountRecord) -> Result<Mount, SpecError> {
    let (kind, source) = match record.kind {
        MountKind::Tmpfs => ("tmpfs", Path::new("tmpfs")),
        MountKind::Bind | MountKind::Volume { .. } => ("bind", record.source.as_path()),
    };
    let mut options = record.options.clone();
    // The class fills what is empty, and finishes what a killed start began.
    options.extend(record.copy_up.then(|| "tmpcopyup".to_owned()));
    let mount = MountBuilder::default().destination(record.target.clone()).typ(kind).source(source).options(options);
    Ok(mount.build()?)
}

/// A bind mount.
pub(super) fn bind(source: &Path, target: &str, options: &[&str]) -> Result<Mount, SpecError> {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    Ok(MountBuilder::default().destination(target).typ("bind").source(source).options(options).build()?)
}

/// A file system.
fn mount(target: &str, kind: &str, source: &str, options: &[&str]) -> Result<Mount, SpecError> {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    Ok(MountBuilder::default().destination(target).typ(kind).source(source).options(options).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shallow_targets_come_first() {
        let check = |targets: &[&str], expected: &[&str]| {
            let mut mounts: Vec<_> = targets.iter().map(|target| bind(Path::new("/x"), target, &[]).unwrap()).collect();
            sort(&mut mounts);
            let sorted: Vec<_> = mounts.iter().map(|mount| mount.destination().to_str().unwrap()).collect();
            assert_eq!(sorted, expected);
        };
        check(&["/etc/hosts", "/etc"], &["/etc", "/etc/hosts"]);
        check(&["/proc", "/dev/pts", "/dev/shm", "/dev"], &["/proc", "/dev", "/dev/pts", "/dev/shm"]);
        check(&["/b", "/a/long/one", "/a", "/a/b"], &["/b", "/a", "/a/b", "/a/long/one"]);
    }
}
