//! A spec as the guest's agent gets it: without the policies of security modules that the guest has not, and without
//! the id maps of mounts, which the host applies to what it shares. What else is the host's, the agent knows itself.

use oci_spec::runtime::{Mount, Process, Spec};
use stockade_hosted::binds;

/// The spec for the guest.
pub(super) fn of(spec: &Spec) -> Spec {
    let mut guest = spec.clone();
    if let Some(linux) = guest.linux_mut() {
        linux.set_mount_label(None);
    }
    if let Some(process) = guest.process_mut() {
        adapt_process(process);
    }
    guest.mounts_mut().iter_mut().flatten().filter(|mount| binds::is_bind(mount)).for_each(drop_id_maps);
    guest
}

fn drop_id_maps(mount: &mut Mount) {
    let words = mount.options().iter().flatten().filter(|word| !matches!(word.as_str(), "idmap" | "ridmap"));
    let words = words.cloned().collect::<Vec<_>>();
    mount.set_options(Some(words)).set_uid_mappings(None).set_gid_mappings(None);
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

    #[test]
    fn ids_of_shared_mounts_are_mapped_at_the_host() {
        let spec = r#"{"ociVersion": "1.2.0", "mounts": [{"destination": "/d", "source": "/s", "type": "bind",
            "options": ["rbind", "ridmap", "ro"], "uidMappings": [{"containerID": 0, "hostID": 9, "size": 1}]}]}"#;
        let guest = serde_json::to_value(of(&serde_json::from_str(spec).expect("a spec"))).expect("plain data");
        let expected =
            serde_json::json!({"destination": "/d", "source": "/s", "type": "bind", "options": ["rbind", "ro"]});
        assert_eq!(guest["mounts"][0], expected);
    }
}
