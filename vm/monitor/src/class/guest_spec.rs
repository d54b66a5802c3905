//! A spec as the guest's agent gets it: without what is the host's.

use oci_spec::runtime::{Linux, LinuxNamespaceType, LinuxResources, Process, Spec};

/// The network namespace of process 1, which has the machine's interfaces: a container has its machine's network, and
/// settings of it are its own.
const MACHINES_NETWORK: &str = "/proc/1/ns/net";

/// The spec for the guest.
pub(super) fn of(spec: &Spec) -> Spec {
    let mut guest = spec.clone();
    // They run on the host.
    guest.set_hooks(None);
    if let Some(linux) = guest.linux_mut() {
        adapt_linux(linux);
    }
    if let Some(process) = guest.process_mut() {
        adapt_process(process);
    }
    guest
}

fn adapt_linux(linux: &mut Linux) {
    // The guest has no such policy.
    linux.set_mount_label(None).set_intel_rdt(None);
    if let Some(resources) = linux.resources() {
        let resources = self::resources(resources);
        linux.set_resources(Some(resources));
    }
    for namespace in linux.namespaces_mut().iter_mut().flatten() {
        if namespace.typ() == LinuxNamespaceType::Network {
            namespace.set_path(Some(MACHINES_NETWORK.into()));
        }
    }
}

/// A process: the guest has none of the host's security modules.
pub(super) fn adapt_process(process: &mut Process) {
    process.set_apparmor_profile(None).set_selinux_label(None);
}

/// Limits that the guest enforces. Processors, memory nodes and devices have the host's numbers.
pub(super) fn resources(resources: &LinuxResources) -> LinuxResources {
    let mut guest = resources.clone();
    guest.set_block_io(None).set_hugepage_limits(None).set_network(None).set_rdma(None).set_unified(None);
    if let Some(cpu) = guest.cpu_mut() {
        cpu.set_cpus(None).set_mems(None);
    }
    guest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_hosts_stays_there() {
        let spec = r#"{"ociVersion": "1.2.0", "hooks": {"poststop": [{"path": "/x"}]},
            "process": {"cwd": "/", "apparmorProfile": "docker-default"},
            "linux": {"namespaces": [{"type": "network", "path": "/var/run/netns/a"}, {"type": "pid"}],
                "resources": {"cpu": {"cpus": "5", "shares": 7}, "pids": {"limit": 5}, "blockIO": {"weight": 100}}}}"#;
        let guest = of(&serde_json::from_str(spec).expect("a spec"));
        let text = serde_json::to_string(&guest).expect("plain data");
        for host in ["hooks", "docker-default", "netns", "\"cpus\"", "blockIO"] {
            assert!(!text.contains(host), "{host}: {text}");
        }
        for guests in [MACHINES_NETWORK, "\"shares\":7", "\"limit\":5"] {
            assert!(text.contains(guests), "{guests}: {text}");
        }
    }
}
