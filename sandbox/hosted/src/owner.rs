//! Several containers in one sandbox.
//!
//! The container that a sandbox was made for owns it: its monitor and all that the monitor runs are in its control
//! group, and go with it. One that joins has a control group for its proxies alone, a name for the owner's socket, and
//! a file that says whose it is.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use stockade_native::hosted::{replace_file, state_dir};
use stockade_sandbox::{ContainerId, Error, Result};

use crate::SOCKET;

/// Names the owner, in the directory of state of one that joined.
const OWNER: &str = "sandbox";

/// The owner of a sandbox that another container joins.
#[derive(Debug)]
pub struct Owner {
    id: ContainerId,
    dir: PathBuf,
}

impl Owner {
    /// Whose sandbox `id` is in, when that is another one's.
    pub fn of(state_root: &Path, id: &ContainerId) -> Result<Option<ContainerId>> {
        match fs::read_to_string(state_dir(state_root, id).join(OWNER)) {
            Ok(text) => text.parse().map(Some).map_err(|_| Error::Other(format!("{OWNER} of {id} names no container"))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::os(format!("read {OWNER} of {id}"), error)),
        }
    }

    /// The owner of the sandbox that a container is in.
    pub fn to_join(state_root: &Path, member: &ContainerId) -> Result<Self> {
        let id = Self::of(state_root, member)?.unwrap_or_else(|| member.clone());
        Ok(Self { dir: state_dir(state_root, &id), id })
    }

    /// Its name.
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// Makes the sandbox that of the container with this directory, too.
    pub fn join(&self, dir: &Path) -> Result<()> {
        replace_file(&dir.join(OWNER), self.id.as_str().as_bytes())?;
        fs::hard_link(self.dir.join(SOCKET), dir.join(SOCKET))
            .map_err(|error| Error::os(format!("join the sandbox of {}", self.id), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_a_member_is_one_of_the_owners() {
        let root = tempfile::tempdir().expect("a directory");
        let [owner, first, second] = ["owner", "first", "second"].map(|id| id.parse::<ContainerId>().expect("an id"));
        for id in [&owner, &first, &second] {
            fs::create_dir(state_dir(root.path(), id)).expect("make it");
        }
        fs::write(state_dir(root.path(), &owner).join(SOCKET), "").expect("write");
        let join = |member: &ContainerId, joins: &ContainerId| {
            let found = Owner::to_join(root.path(), member).expect("an owner");
            assert_eq!(*found.id(), owner);
            found.join(&state_dir(root.path(), joins)).expect("joined");
        };
        join(&owner, &first);
        join(&first, &second);
        assert_eq!(Owner::of(root.path(), &second).expect("read"), Some(owner.clone()));
        assert_eq!(Owner::of(root.path(), &owner).expect("read"), None);
    }
}
