//! From the host's words to a guest's: what a spec says of the host's paths, namespaces and control groups means
//! something else here, or nothing.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxNamespaceType, LinuxResources, Mount, Spec};
use stockade_sandbox::{Error, Result};

/// Above all containers' control groups.
pub(crate) const CGROUPS: &str = "/containers";
/// The agent's own network namespace is the machine's. A container that has one by name may set its parameters.
const NETWORK: &str = "/proc/self/ns/net";

/// What a spec is adapted to.
#[derive(Debug)]
pub(crate) struct Guest<'a> {
    /// The container.
    pub id: &'a str,
    /// The sources of bind mounts, by the mount's place.
    pub binds: Vec<(usize, PathBuf)>,
    /// The root, if it is a directory.
    pub root: Option<PathBuf>,
    /// The init of the container whose namespaces it shares.
    pub beside: Option<u32>,
}

impl Guest<'_> {
    /// The spec as class native takes it here.
    pub(crate) fn adapt(&self, mut spec: Spec) -> Result<Spec> {
        // The host runs its hooks itself; their programs are not here.
        spec.set_hooks(None);
        if let (Some(path), Some(root)) = (&self.root, spec.root_mut()) {
            root.set_path(path.clone());
        }
        for (place, mount) in spec.mounts_mut().iter_mut().flatten().enumerate() {
            self.adapt_mount(place, mount)?;
        }
        if let Some(linux) = spec.linux_mut() {
            self.adapt_linux(linux)?;
        }
        Ok(spec)
    }

    fn adapt_mount(&self, place: usize, mount: &mut Mount) -> Result<()> {
        if let Some((_, source)) = self.binds.iter().find(|(bound, _)| *bound == place) {
            mount.set_source(Some(source.clone()));
            return Ok(());
        }
        if !is_bind(mount) {
            return Ok(());
        }
        let at = mount.destination().display();
        Err(Error::InvalidConfig(format!("the bind mount at {at} has no source in the virtual machine")))
    }

    fn adapt_linux(&self, linux: &mut Linux) -> Result<()> {
        linux.set_cgroups_path(Some(Path::new(CGROUPS).join(self.id)));
        for namespace in linux.namespaces_mut().iter_mut().flatten() {
            let path = match (namespace.typ(), named(namespace.path().as_deref()), self.beside) {
                (LinuxNamespaceType::Network, ..) => Some(NETWORK.into()),
                (_, false, _) => None,
                (kind, true, Some(pid)) => Some(format!("/proc/{pid}/ns/{}", file_name(kind)).into()),
                (kind, true, None) => {
                    let why = format!("the {kind} namespace at a path of the host is not in the virtual machine");
                    return Err(Error::InvalidConfig(why));
                }
            };
            namespace.set_path(path);
        }
        if let Some(resources) = linux.resources_mut() {
            adapt_resources(resources);
        }
        Ok(())
    }
}

/// Numbers of the host's processors, memory nodes, disks and network classes mean nothing here: the host holds to
/// them by itself.
pub(crate) fn adapt_resources(resources: &mut LinuxResources) {
    if let Some(mut cpu) = resources.cpu().clone() {
        cpu.set_cpus(None).set_mems(None);
        resources.set_cpu(Some(cpu));
    }
    resources.set_block_io(None).set_network(None).set_rdma(None).set_hugepage_limits(None).set_unified(None);
}

/// Whether something that is there already shows at a mount's place.
pub(crate) fn is_bind(mount: &Mount) -> bool {
    let options = mount.options().iter().flatten();
    mount.typ().as_deref() == Some("bind") || options.into_iter().any(|option| option == "bind" || option == "rbind")
}

fn named(path: Option<&Path>) -> bool {
    path.is_some_and(|path| !path.as_os_str().is_empty())
}

/// As /proc/PID/ns names it.
fn file_name(kind: LinuxNamespaceType) -> &'static str {
    match kind {
        LinuxNamespaceType::Mount => "mnt",
        LinuxNamespaceType::Cgroup => "cgroup",
        LinuxNamespaceType::Uts => "uts",
        LinuxNamespaceType::Ipc => "ipc",
        LinuxNamespaceType::User => "user",
        LinuxNamespaceType::Pid => "pid",
        LinuxNamespaceType::Network => "net",
        LinuxNamespaceType::Time => "time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = r#"{
        "ociVersion": "1.2.0",
        "root": {"path": "/var/lib/host/rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/data", "type": "bind", "source": "/srv/data", "options": ["rbind", "ro"]}
        ],
        "hooks": {"prestart": [{"path": "/usr/bin/hook"}]},
        "linux": {
            "cgroupsPath": "system.slice:docker:abc",
            "namespaces": [{"type": "mount"}, {"type": "network", "path": "/run/netns/x"}, {"type": "pid"}],
            "resources": {"cpu": {"cpus": "4-7", "mems": "1", "quota": 50000}, "blockIO": {"weight": 10}}
        }
    }"#;

    fn spec() -> Spec {
        serde_json::from_str(SPEC).expect("a spec")
    }

    fn guest() -> Guest<'static> {
        Guest { id: "web", binds: vec![(1, "/run/shares/data".into())], root: Some("/r".into()), beside: None }
    }

    #[test]
    fn the_hosts_paths_are_replaced() {
        let adapted = guest().adapt(spec()).expect("it can be adapted");
        let json = serde_json::to_value(&adapted).expect("json");
        assert_eq!(json["root"]["path"], "/r");
        assert_eq!(json["mounts"][1]["source"], "/run/shares/data");
        assert!(json["hooks"].is_null());
        assert_eq!(json["linux"]["cgroupsPath"], "/containers/web");
        assert_eq!(json["linux"]["namespaces"][1]["path"], NETWORK);
        assert!(json["linux"]["namespaces"][2]["path"].is_null());
        assert_eq!(json["linux"]["resources"], serde_json::json!({"cpu": {"quota": 50000}}));
    }

    #[test]
    fn what_is_not_here_is_refused() {
        let bare = Guest { binds: Vec::new(), ..guest() };
        let error = bare.adapt(spec()).expect_err("the bind mount has no source").to_string();
        assert!(error.contains("/data"), "{error}");
        let shared = SPEC.replace(r#""pid"}"#, r#""pid", "path": "/proc/7/ns/pid"}"#);
        let shared: Spec = serde_json::from_str(&shared).expect("a spec");
        assert!(guest().adapt(shared.clone()).is_err());
        let beside = Guest { beside: Some(12), ..guest() }.adapt(shared).expect("it can be adapted");
        let namespaces = beside.linux().as_ref().and_then(|linux| linux.namespaces().clone()).expect("namespaces");
        assert_eq!(namespaces[2].path().as_deref(), Some(Path::new("/proc/12/ns/pid")));
    }
}
