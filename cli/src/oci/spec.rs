//! `spec`: the starter config.json.

use std::fs::File;
use std::io::{ErrorKind, Write};

use oci_spec::runtime::Spec;
use rustix::process::{getgid, getuid};
use serde_json::{Value, json};
use stockade_sandbox::{Error, Result};

use super::grammar;

/// What `runc spec` writes.
const DEFAULT: &str = include_str!("spec.json");

/// Writes config.json, unless there is one.
pub fn spec(args: &grammar::Spec) -> Result<i32> {
    let path = args.bundle.join("config.json");
    let text = if args.rootless { rootless(getuid().as_raw(), getgid().as_raw())? } else { DEFAULT.to_owned() };
    let mut file = File::create_new(&path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::Other(format!("File {} exists. Remove it first", path.display())),
        _ => Error::os(format!("create {}", path.display()), error),
    })?;
    file.write_all(text.as_bytes()).map_err(|e| Error::os(format!("write {}", path.display()), e))?;
    Ok(0)
}

/// The default without what an unprivileged user cannot have: a network of its own, a group mapped for terminals, a
/// fresh sysfs, resource limits.
fn rootless(uid: u32, gid: u32) -> Result<String> {
    let mut spec: Value = serde_json::from_str(DEFAULT).map_err(|e| Error::Other(e.to_string()))?;
    let linux = &mut spec["linux"];
    linux["uidMappings"] = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
    linux["gidMappings"] = json!([{"containerID": 0, "hostID": gid, "size": 1}]);
    linux.as_object_mut().map(|linux| linux.remove("resources"));
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "network");
        namespaces.push(json!({"type": "user"}));
    }
    spec["mounts"].as_array_mut().into_iter().flatten().for_each(soften);
    // Through the typed form, which keeps the order of the specification's documents.
    let spec: Spec = serde_json::from_value(spec).map_err(|e| Error::Other(e.to_string()))?;
    serde_json::to_string_pretty(&spec).map_err(super::out::unserialisable)
}

fn soften(mount: &mut Value) {
    if mount["destination"] == "/sys" {
        mount["type"] = "none".into();
        mount["source"] = "/sys".into();
        mount["options"] = json!(["rbind", "nosuid", "noexec", "nodev", "ro"]);
    }
    if let Some(options) = mount["options"].as_array_mut() {
        options.retain(|option| option != "gid=5");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_specs() {
        let default: Spec = serde_json::from_str(DEFAULT).unwrap();
        assert_eq!(default.linux().as_ref().unwrap().namespaces().as_ref().unwrap().len(), 5);
        let rootless: Spec = serde_json::from_str(&rootless(1000, 1001).unwrap()).unwrap();
        let linux = rootless.linux().as_ref().unwrap();
        assert_eq!(linux.uid_mappings().as_ref().unwrap()[0].host_id(), 1000);
        assert_eq!(linux.gid_mappings().as_ref().unwrap()[0].host_id(), 1001);
        assert!(linux.resources().is_none());
    }
}
