//! What a spec's limits mean to the host's control groups.
//!
//! The applications' part has the limits that were asked for. The container's own holds the monitor as well, so its
//! limits of memory and of processes leave room for that: the applications run out first, and if ever all of it should
//! be used up, the host ends applications before the monitor.

use oci_spec::runtime::{LinuxMemory, LinuxPids, LinuxResources, Spec};

/// Host threads per thread of the application, at most: its own and one kept for the next, their receivers, and its
/// process's spawner.
const THREADS_EACH: i64 = 5;
/// Those of an empty sandbox, with some to spare.
const THREADS_ALWAYS: i64 = 64;
/// The same in the applications alone: threads, those kept, spawners; and the zygote.
const STUB_THREADS_EACH: i64 = 3;
const STUB_THREADS_ALWAYS: i64 = 16;
/// What the monitor may use beside the applications: so much, and this part of their limit.
const MONITOR_BYTES: i64 = 64 << 20;
const MONITOR_PART: i64 = 8;

/// The resources of the container's control group.
pub(super) fn on_host(resources: &LinuxResources) -> LinuxResources {
    let mut host = resources.clone();
    if let Some(limit) = pids_limit(resources) {
        host.set_pids(Some(pids(limit.saturating_mul(THREADS_EACH).saturating_add(THREADS_ALWAYS))));
    }
    if let Some(memory) = resources.memory() {
        host.set_memory(Some(memory_on_host(memory)));
    }
    host
}

/// Those of the applications' part of it.
pub(super) fn of_applications(resources: &LinuxResources) -> LinuxResources {
    let mut own = LinuxResources::default();
    own.set_memory(*resources.memory());
    own.set_pids(match pids_limit(resources) {
        Some(limit) => Some(pids(limit.saturating_mul(STUB_THREADS_EACH).saturating_add(STUB_THREADS_ALWAYS))),
        None => *resources.pids(),
    });
    // Unset is not "nobody": an empty list leaves the rules of devices alone.
    own.set_devices(None);
    own
}

fn pids_limit(resources: &LinuxResources) -> Option<i64> {
    resources.pids().as_ref().map(LinuxPids::limit).filter(|limit| *limit > 0)
}

fn pids(limit: i64) -> LinuxPids {
    let mut pids = LinuxPids::default();
    pids.set_limit(limit);
    pids
}

/// With room for the monitor. The other settings are the applications'.
fn memory_on_host(memory: &LinuxMemory) -> LinuxMemory {
    let room = MONITOR_BYTES.saturating_add(memory.limit().unwrap_or(0).max(0) / MONITOR_PART);
    let wider = |bytes: Option<i64>| bytes.map(|bytes| if bytes > 0 { bytes.saturating_add(room) } else { bytes });
    let mut host = LinuxMemory::default();
    host.set_limit(wider(memory.limit()));
    host.set_swap(wider(memory.swap()));
    host
}

/// The same as [`on_host`] for a whole spec.
pub(super) fn spec_on_host(spec: &Spec) -> Spec {
    let mut host = spec.clone();
    if let Some(resources) = host.linux_mut().as_mut().and_then(|linux| linux.resources_mut().as_mut()) {
        *resources = on_host(resources);
    }
    host
}

/// The spec's resources, if it has any.
pub(super) fn of_spec(spec: &Spec) -> LinuxResources {
    spec.linux().as_ref().and_then(|linux| linux.resources().clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(text: &str) -> LinuxResources {
        serde_json::from_str(text).expect("resources")
    }

    fn check_pids(text: &str, host: Option<i64>, applications: Option<i64>) {
        let resources = resources(text);
        let limit = |all: LinuxResources| all.pids().as_ref().map(LinuxPids::limit);
        assert_eq!((limit(on_host(&resources)), limit(of_applications(&resources))), (host, applications), "{text}");
    }

    fn check_memory(text: &str, host: [Option<i64>; 2]) {
        let resources = resources(text);
        let limits = |all: LinuxResources| all.memory().map_or([None; 2], |memory| [memory.limit(), memory.swap()]);
        assert_eq!(limits(on_host(&resources)), host, "{text}");
        assert_eq!(limits(of_applications(&resources)), limits(resources), "{text}");
    }

    #[test]
    fn the_host_has_room_for_what_the_kernel_allows() {
        check_pids(r#"{"pids": {"limit": 5}}"#, Some(89), Some(31));
        check_pids(r#"{"pids": {"limit": -1}}"#, Some(-1), Some(-1));
        check_pids("{}", None, None);
    }

    #[test]
    fn the_monitor_has_memory_of_its_own() {
        const MIB: i64 = 1 << 20;
        let limit = 80 * MIB;
        check_memory(&format!(r#"{{"memory": {{"limit": {limit}}}}}"#), [Some(154 * MIB), None]);
        check_memory(&format!(r#"{{"memory": {{"limit": {limit}, "swap": -1}}}}"#), [Some(154 * MIB), Some(-1)]);
        check_memory("{}", [None, None]);
    }
}
