//! What a limit of processes means to the host: monitor and stubs have threads of their own for each of the sandbox's.

use oci_spec::runtime::{LinuxPids, LinuxResources, Spec};

/// Host threads per thread of the application, at most: its own, its listener, and as many kept for the next one.
const THREADS_EACH: i64 = 4;
/// Those of an empty sandbox, with some to spare.
const THREADS_ALWAYS: i64 = 64;

/// The resources that the host's control group gets: the kernel itself keeps to the limit of processes, and the host's
/// is wide enough for that.
pub(super) fn on_host(resources: &LinuxResources) -> LinuxResources {
    let mut host = resources.clone();
    if let Some(pids) = resources.pids().as_ref().filter(|pids| pids.limit() > 0) {
        let mut wider = LinuxPids::default();
        wider.set_limit(pids.limit().saturating_mul(THREADS_EACH).saturating_add(THREADS_ALWAYS));
        host.set_pids(Some(wider));
    }
    host
}

/// The same for a whole spec.
pub(super) fn spec_on_host(spec: &Spec) -> Spec {
    let mut host = spec.clone();
    if let Some(resources) = host.linux_mut().as_mut().and_then(|linux| linux.resources_mut().as_mut()) {
        *resources = on_host(resources);
    }
    host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_room_for_what_the_kernel_allows() {
        let limit = |text: &str| {
            let spec: Spec = serde_json::from_str(text).expect("a spec");
            let host = spec_on_host(&spec);
            host.linux().as_ref().and_then(|linux| linux.resources().as_ref()?.pids().as_ref().map(|pids| pids.limit()))
        };
        let with = |pids: &str| format!(r#"{{"ociVersion": "1.0.2", "linux": {{"resources": {{{pids}}}}}}}"#);
        assert_eq!(limit(&with(r#""pids": {"limit": 5}"#)), Some(84));
        assert_eq!(limit(&with(r#""pids": {"limit": -1}"#)), Some(-1));
        assert_eq!(limit(&with("")), None);
    }
}
