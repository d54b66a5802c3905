//! The system call filter: Docker's default, none, or a profile in Docker's or the OCI's JSON.

use oci_spec::runtime::{Capabilities, LinuxSeccomp};
use serde_json::Value;

use super::{Context, SpecError, capabilities};
use crate::options::{InvalidOption, SeccompProfile};
use crate::state::Record;

/// The architectures that a Docker profile's `archMap` stands for here.
const ARCHITECTURES: [&str; 3] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];

/// The container's filter. A privileged container has none unless one is asked for.
pub(super) fn profile(context: &Context<'_>) -> Result<Option<LinuxSeccomp>, SpecError> {
    let record = context.record;
    let bounding = capabilities::bounding(record)?;
    match &record.options.security.seccomp {
        SeccompProfile::Unconfined => Ok(None),
        SeccompProfile::Default if record.options.privileged => Ok(None),
        SeccompProfile::Default => Ok(context.engine.backend.default_seccomp(record.isolation, &bounding)),
        SeccompProfile::Json(text) => Ok(Some(parse(text, &bounding)?)),
        SeccompProfile::File(path) => {
            Err(InvalidOption(format!("seccomp profile {} was not read at create", path.display())).into())
        }
    }
}

/// Refuses a profile that does not parse.
pub(super) fn check(record: &Record) -> Result<(), InvalidOption> {
    match &record.options.security.seccomp {
        SeccompProfile::Json(text) => parse(text, &capabilities::bounding(record)?).map(drop),
        _ => Ok(()),
    }
}

/// A profile for a container with these capabilities.
fn parse(text: &str, bounding: &Capabilities) -> Result<LinuxSeccomp, InvalidOption> {
    let invalid = |error| InvalidOption(format!("decoding seccomp profile failed: {error}"));
    let mut profile: Value = serde_json::from_str(text).map_err(invalid)?;
    if let Some(rules) = profile.get_mut("syscalls").and_then(Value::as_array_mut) {
        rules.retain(|rule| applies(rule, bounding));
        rules.iter_mut().for_each(plural_name);
    }
    if profile.get("archMap").is_some() && profile.get("architectures").is_none() {
        profile["architectures"] = ARCHITECTURES.as_slice().into();
    }
    serde_json::from_value(profile).map_err(invalid)
}

/// Docker's conditions on a rule: `includes` must hold, `excludes` must not.
fn applies(rule: &Value, bounding: &Capabilities) -> bool {
    let names = |part: &str, key: &str| -> Vec<String> {
        let list = rule.get(part).and_then(|part| part.get(key)).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
    };
    let held = |name: &String| bounding.iter().any(|capability| format!("CAP_{capability}") == *name);
    let ours = |arch: &String| ["amd64", "x86", "x32"].contains(&arch.as_str());
    let included = names("includes", "arches");
    names("includes", "caps").iter().all(held)
        && !names("excludes", "caps").iter().any(held)
        && (included.is_empty() || included.iter().any(ours))
        && !names("excludes", "arches").iter().any(ours)
}

/// Old profiles say `name` for a list of one.
fn plural_name(rule: &mut Value) {
    if rule.get("names").is_none()
        && let Some(name) = rule.get("name").cloned()
    {
        rule["names"] = Value::Array(vec![name]);
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::Capability;

    use super::*;

    #[test]
    fn conditions_on_capabilities() {
        let text = r#"{"defaultAction": "SCMP_ACT_ERRNO", "archMap": [], "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": []},
            {"name": "write", "action": "SCMP_ACT_ALLOW", "args": []},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["s390_x"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}}]}"#;
        let check = |bounding: &[Capability], expected: &[&str]| {
            let profile = parse(text, &bounding.iter().copied().collect()).unwrap();
            let names: Vec<_> =
                profile.syscalls().iter().flatten().flat_map(|rule| rule.names().iter().cloned()).collect();
            assert_eq!(names, expected);
            assert_eq!(profile.architectures().as_ref().map(Vec::len), Some(3));
        };
        check(&[], &["read", "write", "clone"]);
        check(&[Capability::SysAdmin], &["read", "write", "mount"]);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "[]", "{\"defaultAction\": \"SCMP_ACT_FLY\"}"] {
            assert!(parse(text, &Capabilities::new()).is_err(), "{text:?}");
        }
    }
}
