//! Namespaces, cgroup, sysctls, masked paths.

use std::collections::HashMap;
use std::path::PathBuf;

use oci_spec::runtime::{Linux, LinuxBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType as Kind};

use stockade_sandbox::CgroupParent;

use super::{Context, SpecError, devices, limits, seccomp};
use crate::Engine;
use crate::options::NamespaceMode;
use crate::state::{Container, Record};

/// Where containers' cgroups are.
const CGROUP_PARENT: &str = "/stockade";

/// Docker's masked paths.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// Docker's read-only paths.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The `linux` part.
pub(super) fn build(context: &Context<'_>) -> Result<Linux, SpecError> {
    let options = &context.record.options;
    let paths = |list: &[&str]| -> Vec<String> {
        let open = options.privileged || options.security.unmask_system_paths;
        if open { Vec::new() } else { list.iter().map(|path| (*path).to_owned()).collect() }
    };
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces(context)?)
        .cgroups_path(cgroup(context.record))
        .resources(limits::resources(context.record)?)
        .devices(devices::nodes(context.record)?)
        .sysctl(sysctls(context.record))
        .masked_paths(paths(&MASKED))
        .readonly_paths(paths(&READ_ONLY))
        .rootfs_propagation(propagation(context.record))
        .build()?;
    linux.set_seccomp(seccomp::profile(context)?);
    Ok(linux)
}

/// A parent that the caller names is the caller's.
pub(crate) fn cgroup_parent(record: &Record) -> CgroupParent {
    match record.options.cgroup_parent {
        Some(_) => CgroupParent::Foreign,
        None => CgroupParent::Shared,
    }
}

/// The cgroup, from the controllers' roots.
pub(crate) fn cgroup(record: &Record) -> PathBuf {
    let parent = record.options.cgroup_parent.as_deref().unwrap_or(CGROUP_PARENT);
    PathBuf::from("/").join(parent).join(&record.id)
}

/// New ones, or those of others.
fn namespaces(context: &Context<'_>) -> Result<Vec<LinuxNamespace>, SpecError> {
    let options = &context.record.options;
    let mut namespaces = vec![namespace(Kind::Mount, None)?];
    for (kind, file, mode) in [
        (Kind::Network, "net", &options.network),
        (Kind::Uts, "uts", &options.uts),
        (Kind::Pid, "pid", &options.pid),
        (Kind::Ipc, "ipc", &options.ipc),
        (Kind::Cgroup, "cgroup", &options.cgroupns),
    ] {
        match mode {
            NamespaceMode::Private | NamespaceMode::Shareable => namespaces.push(namespace(kind, None)?),
            NamespaceMode::Host => {}
            NamespaceMode::Path(path) => namespaces.push(namespace(kind, Some(path.clone()))?),
            NamespaceMode::Container(id) => {
                let pid = init_of(context.engine, id)?;
                namespaces.push(namespace(kind, Some(PathBuf::from(format!("/proc/{pid}/ns/{file}"))))?);
            }
        }
    }
    Ok(namespaces)
}

/// The host pid of a running container's init.
fn init_of(engine: &Engine, id: &str) -> Result<u32, SpecError> {
    let container = Container::new(&engine.directories, id);
    container.record()?;
    let state = engine.peek(&container)?;
    if state.is_live() { Ok(state.pid) } else { Err(SpecError::NotRunning(id.to_owned())) }
}

/// One namespace: a new one, or the one at a path.
fn namespace(kind: Kind, path: Option<PathBuf>) -> Result<LinuxNamespace, SpecError> {
    let mut namespace = LinuxNamespaceBuilder::default().typ(kind).build()?;
    namespace.set_path(path);
    Ok(namespace)
}

/// Docker's defaults for a network of the container's own (ping and low ports without privileges), then what was asked.
fn sysctls(record: &Record) -> HashMap<String, String> {
    let mut sysctls = HashMap::new();
    if record.options.network == NamespaceMode::Private {
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        sysctls.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned());
    }
    sysctls.extend(record.options.sysctls.clone());
    sysctls
}

/// The root mount's propagation: as wide as the widest bind mount needs.
fn propagation(record: &Record) -> String {
    let has = |word: &str| record.mounts.iter().any(|mount| mount.options.iter().any(|option| option.ends_with(word)));
    let widest = if has("shared") {
        "shared"
    } else if has("slave") {
        "rslave"
    } else {
        "rprivate"
    };
    widest.to_owned()
}
