//! What a spec may ask for and this class does not have: refused by name, never ignored.

use oci_spec::runtime::{Linux, LinuxNamespaceType as Kind};
use stockade_sandbox::protocol::PARTS_MAX;
use stockade_sandbox::{CreateRequest, ExecRequest, Result, Rootfs};

use super::lacking;
use crate::share::servers_max;

/// Says which class has it.
const INSTEAD: &str = "use --isolation native";

/// Refuses what would silently not be so.
pub(super) fn refuse(request: &CreateRequest) -> Result<()> {
    if request.sandbox.is_some() && servers_max(&request.spec, &request.rootfs) > 0 {
        let what = "share a host's directory or file with a container that joins a sandbox";
        return Err(lacking(what, "its machine got all its shares when it was made"));
    }
    if request.trace.is_some() {
        return Err(lacking("trace system calls", "they are the guest's kernel's; use strace in the container"));
    }
    match &request.rootfs {
        Rootfs::Layers { blobs, .. } if blobs.len() > PARTS_MAX => {
            return Err(lacking(format!("stack {} layers", blobs.len()), "a guest takes 255 parts of a disk"));
        }
        Rootfs::Layers { .. } | Rootfs::Bundle => {}
    }
    refuse_descriptors(request.preserve_fds)?;
    if let Some(hooks) = request.spec.hooks()
        && [hooks.create_container(), hooks.start_container()].into_iter().flatten().any(|all| !all.is_empty())
    {
        return Err(lacking("run hooks inside a container", format!("their programs are the host's; {INSTEAD}")));
    }
    let joins = if request.sandbox.is_some() { Joins::Sandbox } else { Joins::Nothing };
    request.spec.linux().as_ref().map_or(Ok(()), |linux| refuse_linux(linux, joins))
}

/// The same for one more process.
pub(super) fn refuse_exec(request: &ExecRequest) -> Result<()> {
    refuse_descriptors(request.preserve_fds)?;
    match &request.sub_cgroup {
        Some(path) => Err(lacking(format!("use the control group {}", path.display()), "the guest has its own")),
        None => Ok(()),
    }
}

fn refuse_descriptors(count: u32) -> Result<()> {
    match count {
        0 => Ok(()),
        _ => Err(lacking("hand descriptors to a process", format!("a guest has none of the host's; {INSTEAD}"))),
    }
}

/// Whether a container is to be one of another's sandbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joins {
    Sandbox,
    Nothing,
}

/// Namespaces of a container whose sandbox is joined can be shared.
fn refuse_linux(linux: &Linux, joins: Joins) -> Result<()> {
    if let Some(device) = linux.devices().iter().flatten().next() {
        let what = format!("give a container the host's device {}", device.path().display());
        return Err(lacking(what, format!("its kernel is the guest's; {INSTEAD}")));
    }
    let all = linux.namespaces().as_deref().unwrap_or_default();
    let mut owners = all.iter().filter_map(|namespace| namespace.path().as_deref()?.parent());
    if let (Joins::Sandbox, Some(first)) = (joins, owners.next())
        && owners.any(|owner| owner != first)
    {
        return Err(lacking("share namespaces of several containers", "they are those of the one that it joins"));
    }
    for (kind, name) in
        [(Kind::Pid, "processes"), (Kind::Ipc, "IPC"), (Kind::Uts, "host name"), (Kind::Network, "network")]
    {
        match all.iter().find(|namespace| namespace.typ() == kind) {
            None => {
                return Err(lacking(format!("share the host's {name}"), format!("the guest is no host; {INSTEAD}")));
            }
            Some(namespace) if namespace.path().is_some() && kind != Kind::Network && joins == Joins::Nothing => {
                let why = format!("its machine is its own; {INSTEAD}");
                return Err(lacking(format!("use the namespace of {name} that a path names"), why));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::Spec;

    use super::*;

    const NAMESPACES: &str = r#"{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}"#;

    fn check(linux: &str, expected: Option<&str>) {
        check_joining(linux, Joins::Nothing, expected);
    }

    fn check_joining(linux: &str, joins: Joins, expected: Option<&str>) {
        let spec: Spec =
            serde_json::from_str(&format!(r#"{{"ociVersion": "1.0.2", "linux": {{{linux}}}}}"#)).expect("a spec");
        let said = spec.linux().as_ref().and_then(|linux| refuse_linux(linux, joins).err());
        let said = said.map(|error| error.to_string());
        match expected {
            None => assert_eq!(said, None, "{linux}"),
            Some(text) => assert!(said.as_deref().is_some_and(|said| said.contains(text)), "{linux}: {said:?}"),
        }
    }

    #[test]
    fn what_is_lacking_is_named() {
        let own = format!(r#""namespaces": [{NAMESPACES}]"#);
        check(&own, None);
        check(&format!(r#"{own}, "sysctl": {{"net.ipv4.ip_forward": "1"}}"#), None);
        check(&format!(r#"{own}, "devices": [{{"path": "/dev/x", "type": "c"}}]"#), Some("device /dev/x"));
        check(&own.replace(r#"{"type": "network"}"#, r#"{"type": "mount"}"#), Some("the host's network"));
        check(&own.replace(r#""ipc""#, r#""ipc", "path": "/i""#), Some("use the namespace of IPC that a path names"));
        check(&own.replace(r#""network""#, r#""network", "path": "/n""#), None);
    }

    #[test]
    fn who_joins_shares_namespaces_of_that_one() {
        let of = |ipc: &str| {
            let own = format!(r#""namespaces": [{NAMESPACES}]"#);
            own.replace(r#""network""#, r#""network", "path": "/proc/1/ns/net""#)
                .replace(r#""ipc""#, &format!(r#""ipc", "path": "{ipc}""#))
        };
        check_joining(&of("/proc/1/ns/ipc"), Joins::Sandbox, None);
        check_joining(&of("/proc/2/ns/ipc"), Joins::Sandbox, Some("namespaces of several containers"));
    }
}
