//! A container's namespaces: its own, or those of another one in its sandbox.

use std::sync::Arc;

use oci_spec::runtime::{LinuxNamespaceType as Kind, Spec};
use stockade_kernel::task::{Namespaces, Shared};

use super::limits;

/// Makes them. Those that the spec names by a path are shared with the container beside it.
pub(super) fn make(spec: &Spec, beside: Option<&Arc<Namespaces>>) -> Arc<Namespaces> {
    let shares = |kind| beside.filter(|_| has_path(spec, kind));
    let shared = Shared {
        uts: shares(Kind::Uts).map(|other| other.uts.clone()),
        ipc: shares(Kind::Ipc).map(|other| other.ipc.clone()),
        net: shares(Kind::Network).map(|other| other.net.clone()),
    };
    let hostname = spec.hostname().clone().unwrap_or_else(|| "localhost".to_owned());
    let namespaces = Namespaces::beside(shared, hostname.as_bytes());
    if let Some(name) = spec.domainname().as_ref().filter(|_| !has_path(spec, Kind::Uts)) {
        namespaces.uts.set_domainname(name.as_bytes().to_vec());
    }
    if let Some(port) = limits::unprivileged_port_start(spec) {
        namespaces.net.set_unprivileged_port_start(port);
    }
    if let Some((first, last)) = limits::ping_groups(spec) {
        namespaces.net.set_ping_groups(first, last);
    }
    namespaces
}

fn has_path(spec: &Spec, kind: Kind) -> bool {
    let all = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    all.iter().any(|namespace| namespace.typ() == kind && namespace.path().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_a_path_is_shared() {
        let namespaces = r#"[{"type": "network", "path": "/n"}, {"type": "ipc"}, {"type": "uts"}, {"type": "pid"}]"#;
        let spec = format!(r#"{{"ociVersion": "1.2.0", "hostname": "b", "linux": {{"namespaces": {namespaces}}}}}"#);
        let spec: Spec = serde_json::from_str(&spec).expect("a spec");
        let first = Namespaces::new(b"a");
        let second = make(&spec, Some(&first));
        assert!(Arc::ptr_eq(&first.net, &second.net) && !Arc::ptr_eq(&first.ipc, &second.ipc));
        assert_eq!(second.uts.hostname(), b"b");
        assert!(!Arc::ptr_eq(&first.net, &make(&spec, None).net));
    }
}
