//! What only a sandbox as a whole has, and which sandboxes of this class can be joined.

use std::path::Path;

use oci_spec::runtime::LinuxResources;
use stockade_hosted::Owner;
use stockade_sandbox::{ContainerId, Error, IsolationClass, Result};

use super::KernelClass;

/// The owner of the sandbox that a container is in. It must be of this class.
pub(super) fn to_join(state_root: &Path, member: &ContainerId) -> Result<Owner> {
    let owner = Owner::to_join(state_root, member)?;
    match KernelClass::has(state_root, owner.id()) {
        true => Ok(owner),
        false => Err(refused(format!("join {}", owner.id()), "it has no kernel of ours, or does not run")),
    }
}

/// Refuses limits that only a sandbox as a whole can have.
pub(super) fn refuse_limits(resources: &LinuxResources) -> Result<()> {
    let memory = resources.memory().as_ref().is_some_and(|memory| memory.limit().is_some_and(|bytes| bytes > 0));
    let cpu = resources.cpu().as_ref().is_some_and(|cpu| cpu.quota().is_some_and(|quota| quota > 0));
    match (memory, cpu) {
        (false, false) => Ok(()),
        (true, _) => Err(refused("limit one container's memory".to_owned(), WHOLE)),
        (_, true) => Err(refused("limit one container's CPU time".to_owned(), WHOLE)),
    }
}

/// Refuses what would stop the whole sandbox.
pub(super) fn refuse_pause() -> Error {
    refused("pause one container of a sandbox".to_owned(), WHOLE)
}

const WHOLE: &str = "its processes run on the kernel of the container that it joined: set it there";

fn refused(what: String, why: &str) -> Error {
    Error::Unsupported { class: IsolationClass::Kernel, what, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_whole_are_refused() {
        let check = |text: &str, refused: bool| {
            let resources: LinuxResources = serde_json::from_str(text).expect("resources");
            assert_eq!(refuse_limits(&resources).is_err(), refused, "{text}");
        };
        check(r#"{"memory": {"limit": 1000}}"#, true);
        check(r#"{"cpu": {"quota": 1000}}"#, true);
        check(r#"{"pids": {"limit": 5}, "memory": {"limit": -1}, "cpu": {"shares": 5}}"#, false);
    }
}
