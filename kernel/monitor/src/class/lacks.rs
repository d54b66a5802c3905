//! What a spec may ask for and this class does not have: refused by name, never ignored.

use oci_spec::runtime::{Linux, LinuxNamespaceType as Kind, Spec};
use stockade_sandbox::{ContainerId, Error, IsolationClass, Result};

/// Set for every container with a network of its own; the kernel keeps to both.
const HARMLESS_SYSCTLS: &[&str] = &["net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"];

/// Says which class has it.
const INSTEAD: &str = "use --isolation native";

/// Refuses what would silently not be so.
pub(super) fn refuse(spec: &Spec, joined: Option<&ContainerId>) -> Result<()> {
    let Some(linux) = spec.linux() else { return Ok(()) };
    refuse_devices(linux)?;
    refuse_namespaces(linux, joined.is_some())?;
    refuse_clocks(linux, joined)?;
    let harmless = |name: &&String| HARMLESS_SYSCTLS.contains(&name.as_str());
    match linux.sysctl().iter().flat_map(|all| all.keys()).find(|name| !harmless(name)) {
        Some(name) => Err(lacks(format!("set sysctl {name}"), "the host's settings are not its kernel's")),
        None => Ok(()),
    }
}

fn refuse_devices(linux: &Linux) -> Result<()> {
    match linux.devices().iter().flatten().next() {
        Some(device) => {
            let what = format!("give a container the host's device {}", device.path().display());
            Err(lacks(what, "its kernel serves /dev itself"))
        }
        None => Ok(()),
    }
}

/// Those of a container whose sandbox is joined can be shared, its processes excepted.
fn refuse_namespaces(linux: &Linux, joins: bool) -> Result<()> {
    let all = linux.namespaces().as_deref().unwrap_or_default();
    for (kind, name) in
        [(Kind::Pid, "processes"), (Kind::Ipc, "IPC"), (Kind::Uts, "host name"), (Kind::Network, "network")]
    {
        match all.iter().find(|namespace| namespace.typ() == kind) {
            None => return Err(lacks(format!("share the host's {name}"), "the application must not reach the host")),
            Some(namespace) if namespace.path().is_some() && kind != Kind::Network && (!joins || kind == Kind::Pid) => {
                return Err(lacks(
                    format!("share another container's {name}"),
                    "only what joins its network can, and no processes",
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// They are the whole sandbox's, which begins with its first container.
fn refuse_clocks(linux: &Linux, joined: Option<&ContainerId>) -> Result<()> {
    let mut namespaces = linux.namespaces().iter().flatten();
    if namespaces.any(|namespace| namespace.typ() == Kind::Time && namespace.path().is_some()) {
        return Err(lacks("share the clocks of others".to_owned(), "a sandbox has its own"));
    }
    match joined {
        Some(_) if linux.time_offsets().as_ref().is_some_and(|all| !all.is_empty()) => {
            Err(lacks("move one container's clocks".to_owned(), "they are those of the sandbox that it joins"))
        }
        _ => Ok(()),
    }
}

fn lacks(what: String, why: &str) -> Error {
    Error::Unsupported { class: IsolationClass::Kernel, what, why: format!("{why}; {INSTEAD}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACES: &str = r#"{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network", "path": "/n"}"#;

    fn check(linux: &str, expected: Option<&str>) {
        let spec: Spec =
            serde_json::from_str(&format!(r#"{{"ociVersion": "1.0.2", "linux": {{{linux}}}}}"#)).expect("a spec");
        let said = refuse(&spec, None).err().map(|error| error.to_string());
        match expected {
            None => assert_eq!(said, None, "{linux}"),
            Some(text) => assert!(said.as_deref().is_some_and(|said| said.contains(text)), "{linux}: {said:?}"),
        }
    }

    #[test]
    fn what_is_lacking_is_named() {
        let own = format!(r#""namespaces": [{NAMESPACES}]"#);
        check(&own, None);
        check(&format!(r#"{own}, "sysctl": {{"net.ipv4.ping_group_range": "0 1"}}"#), None);
        check(&format!(r#"{own}, "sysctl": {{"net.ipv4.ip_forward": "1"}}"#), Some("set sysctl net.ipv4.ip_forward"));
        check(&format!(r#"{own}, "devices": [{{"path": "/dev/x", "type": "c"}}]"#), Some("device /dev/x"));
        check(&own.replace(r#"{"type": "network", "path": "/n"}"#, r#"{"type": "mount"}"#), Some("the host's network"));
        let clocks = own.replace(r#"{"type": "pid"}"#, r#"{"type": "pid"}, {"type": "time", "path": "/t"}"#);
        check(&clocks, Some("share the clocks of others"));
        check(&own.replace(r#""ipc""#, r#""ipc", "path": "/i""#), Some("another container's IPC"));
    }
}
