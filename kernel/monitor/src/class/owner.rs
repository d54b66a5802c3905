//! Several containers in one sandbox.
//!
//! The container that a sandbox was made for owns it: the monitor and all applications are in its control group, and
//! go with it. One that joins has a control group for its proxies alone, a name for the owner's socket, and a file that
//! says whose it is.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use stockade_hosted::SOCKET;
use stockade_native::hosted::state_dir;
use stockade_sandbox::{ContainerId, Error, IsolationClass, Result};

use super::KernelClass;

/// Names the owner, in the directory of state of one that joined.
const OWNER: &str = "sandbox";

/// The owner of a sandbox that another container joins.
#[derive(Debug)]
pub(super) struct Owner {
    id: ContainerId,
    dir: PathBuf,
}

impl Owner {
    /// Whose sandbox `id` is in, when that is another one's.
    pub(super) fn of(state_root: &Path, id: &ContainerId) -> Result<Option<ContainerId>> {
        match fs::read_to_string(state_dir(state_root, id).join(OWNER)) {
            Ok(text) => text.parse().map(Some).map_err(|_| Error::Other(format!("{OWNER} of {id} names no container"))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::os(format!("read {OWNER} of {id}"), error)),
        }
    }

    /// The owner of the sandbox that a container is in. It must be of this class.
    pub(super) fn to_join(state_root: &Path, member: &ContainerId) -> Result<Self> {
        let id = Self::of(state_root, member)?.unwrap_or_else(|| member.clone());
        if !KernelClass::has(state_root, &id) {
            return Err(refused(format!("join {id}"), "it has no kernel of ours, or does not run"));
        }
        Ok(Self { dir: state_dir(state_root, &id), id })
    }

    /// Makes the sandbox that of the container with this directory, too.
    pub(super) fn join(&self, dir: &Path) -> Result<()> {
        let failed = |error| Error::os(format!("join the sandbox of {}", self.id), error);
        fs::write(dir.join(OWNER), self.id.as_str()).map_err(failed)?;
        fs::hard_link(self.dir.join(SOCKET), dir.join(SOCKET)).map_err(failed)
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
