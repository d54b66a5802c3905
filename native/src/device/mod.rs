//! Which devices a container may open and make: the spec's rules, enforced by the v1 controller or a v2 BPF program.

use oci_spec::runtime::LinuxDeviceCgroup;

use crate::cgroup::{Cgroup, CgroupError};

mod access;
mod bpf;
mod program;
mod v1;

use access::Policy;

/// Enforces the spec's rules and, after them, what every container may do. Replaces what was in force.
pub(crate) fn apply(cgroup: &Cgroup, rules: &[LinuxDeviceCgroup]) -> Result<(), CgroupError> {
    let policy = Policy::of_container(rules)?;
    match (cgroup.has_v1("devices"), cgroup.v2()) {
        (Some(dir), _) => v1::apply(dir, &policy),
        (None, Some(own)) => bpf::replace(&own.path, &program::assemble(&policy))
            .map_err(|error| CgroupError::file("attach the device filter to", &own.path, error)),
        (None, None) => Err(CgroupError::NoController("devices")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::Command;

    use oci_spec::runtime::LinuxResources;
    use stockade_sandbox::CgroupManager;

    use super::*;

    /// What no container may use unless told, and root on any host with FUSE may.
    const GUARDED: &str = "/dev/fuse";

    /// Whether a process that goes into the cgroup can open the device.
    fn may_open(dir: &Path, device: &str) -> bool {
        let mut shell = Command::new("sh");
        shell.args(["-c", ": < \"$0\"", device]).stderr(std::process::Stdio::null());
        let procs = dir.join("cgroup.procs");
        let procs = std::fs::OpenOptions::new().write(true).open(procs).unwrap();
        // SAFETY: the closure makes one system call.
        unsafe { shell.pre_exec(move || rustix::io::write(&procs, b"0").map(drop).map_err(Into::into)) };
        shell.status().unwrap().success()
    }

    /// A cgroup that goes with the test.
    struct Own(Cgroup);

    impl Drop for Own {
        fn drop(&mut self) {
            let _ = self.0.remove();
        }
    }

    fn create(name: &str, resources: &str) -> Own {
        let id = format!("limits-devices-{name}-{}", std::process::id()).parse().unwrap();
        let resources: LinuxResources = serde_json::from_str(resources).unwrap();
        Own(Cgroup::create(None, &id, &resources, CgroupManager::Cgroupfs).unwrap())
    }

    #[test]
    fn rules_hold_and_change_on_v1() {
        let cgroup = create("v1", r#"{"devices": [{"allow": false, "access": "rwm"}]}"#);
        let dir = cgroup.0.has_v1("devices").unwrap().to_owned();
        assert!(may_open(&dir, "/dev/urandom") && !may_open(&dir, GUARDED));
        let more = r#"{"devices": [{"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"}]}"#;
        cgroup.0.apply(&serde_json::from_str(more).unwrap()).unwrap();
        assert!(may_open(&dir, "/dev/urandom") && may_open(&dir, GUARDED));
    }

    /// The hybrid host's v2 hierarchy has no controllers, but it takes device filters.
    #[test]
    fn programs_hold_and_change_on_v2() {
        let cgroup = create("v2", "{}");
        let dir = cgroup.0.v2().unwrap().path.clone();
        let enforce = |rules: &str| {
            let rules: Vec<LinuxDeviceCgroup> = serde_json::from_str(rules).unwrap();
            bpf::replace(&dir, &program::assemble(&Policy::of_container(&rules).unwrap())).unwrap();
        };
        let allow = |access: &str| {
            format!(r#"[{{"allow": true, "type": "c", "major": 10, "minor": 229, "access": "{access}"}}]"#)
        };
        assert!(may_open(&dir, GUARDED));
        enforce("[]");
        assert!(may_open(&dir, "/dev/urandom") && !may_open(&dir, GUARDED));
        enforce(&allow("r"));
        assert!(may_open(&dir, "/dev/urandom") && may_open(&dir, GUARDED));
        enforce(&allow("w"));
        assert!(!may_open(&dir, GUARDED));
        enforce(r#"[{"allow": true}, {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "r"}]"#);
        assert!(may_open(&dir, "/dev/urandom") && !may_open(&dir, GUARDED));
    }
}
