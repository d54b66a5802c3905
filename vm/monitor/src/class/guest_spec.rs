//! A spec as the guest's agent gets it: without the policies of security modules that the guest has not. What else is
//! the host's, the agent knows itself.

use oci_spec::runtime::{Process, Spec};

/// The spec for the guest.
pub(super) fn of(spec: &Spec) -> Spec {
    let mut guest = spec.clone();
    if let Some(linux) = guest.linux_mut() {
        linux.set_mount_label(None);
    }
    if let Some(process) = guest.process_mut() {
        adapt_process(process);
    }
    guest
}

/// A process of it.
pub(super) fn adapt_process(process: &mut Process) {
    process.set_apparmor_profile(None).set_selinux_label(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_of_the_host_stay_there() {
        let spec = r#"{"ociVersion": "1.2.0", "linux": {"mountLabel": "host_t"},
            "process": {"cwd": "/", "user": {"uid": 0, "gid": 0}, "apparmorProfile": "docker-default", "selinuxLabel": "host_t"}}"#;
        let guest = of(&serde_json::from_str(spec).expect("a spec"));
        let text = serde_json::to_string(&guest).expect("plain data");
        assert!(!text.contains("docker-default") && !text.contains("host_t"), "{text}");
    }
}
