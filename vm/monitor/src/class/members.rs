//! Containers that join a machine: the guest holds them to their limits, the host holds the machine to its owner's.
//! Their disks come into slots that the machine has from the start, each of which costs its guest three exits at boot.

use std::path::Path;

use oci_spec::runtime::Spec;
use stockade_hosted::Owner;
use stockade_sandbox::{ContainerId, Error, Result};

use super::size::nothing;
use super::{VmClass, lacking};

/// Says how many slots a machine has for disks of containers that join.
pub(crate) const SLOTS: &str = "dev.stockade.vm.slots";
const DEFAULT_SLOTS: usize = 6;
const SLOTS_MAX: usize = 16;

/// The slots that a spec asks for.
pub(super) fn slots(spec: &Spec) -> Result<usize> {
    let wanted = spec.annotations().as_ref().and_then(|annotations| annotations.get(SLOTS));
    let count = wanted.map_or(Some(DEFAULT_SLOTS), |text| text.parse().ok().filter(|count| *count <= SLOTS_MAX));
    count.ok_or_else(|| Error::InvalidConfig(format!("annotation {SLOTS}: use a number up to {SLOTS_MAX}")))
}

/// The owner of the machine that a container is in.
pub(super) fn to_join(state_root: &Path, member: &ContainerId) -> Result<Owner> {
    let owner = Owner::to_join(state_root, member)?;
    match VmClass::has(state_root, owner.id()) {
        true => Ok(owner),
        false => Err(lacking(format!("join {}", owner.id()), "it has no machine of its own, or does not run")),
    }
}

/// The spec for the host, whose control group holds proxies alone.
pub(super) fn spec_on_host(spec: &Spec) -> Spec {
    let mut host = spec.clone();
    if let Some(linux) = host.linux_mut() {
        linux.set_resources(Some(nothing()));
    }
    host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_counted() {
        let check = |text: &str, expected: Option<usize>| {
            let spec = format!(r#"{{"ociVersion": "1.2.0", "annotations": {{{text}}}}}"#);
            assert_eq!(slots(&serde_json::from_str(&spec).expect("a spec")).ok(), expected, "{text}");
        };
        check("", Some(DEFAULT_SLOTS));
        check(r#""dev.stockade.vm.slots": "0""#, Some(0));
        check(r#""dev.stockade.vm.slots": "16""#, Some(16));
        check(r#""dev.stockade.vm.slots": "17""#, None);
        check(r#""dev.stockade.vm.slots": "-1""#, None);
    }

    #[test]
    fn proxies_have_nothing() {
        let spec = r#"{"ociVersion": "1.2.0", "linux": {"resources": {"pids": {"limit": 1}, "memory": {"limit": 1}}}}"#;
        let host = spec_on_host(&serde_json::from_str(spec).expect("a spec"));
        let resources = host.linux().as_ref().and_then(|linux| linux.resources().clone()).expect("resources");
        assert!(resources.pids().is_none() && resources.memory().is_none());
    }
}
