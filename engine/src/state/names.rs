//! Container names: `ROOT/names/NAME` holds an id.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::container::Container;
use super::{ContainerLock, flock_path};
use crate::{CreateError, Directories, StateError};

/// The names, locked: nobody else claims, renames or frees one meanwhile.
#[derive(Debug)]
pub(crate) struct NameTable<'d> {
    directories: &'d Directories,
    lock: Option<ContainerLock>,
}

impl<'d> NameTable<'d> {
    /// Waits for the names' lock.
    pub(crate) fn lock(directories: &'d Directories) -> Result<Self, StateError> {
        Ok(Self { directories, lock: Some(flock_path(&directories.names().join(".lock"))?) })
    }

    /// Gives `name` to `id`. A name whose owner is gone, or has another name, is free.
    pub(crate) fn claim(&self, name: &str, id: &str) -> Result<(), CreateError> {
        let path = self.path(name)?;
        if let Some(owner) = self.owner(name, &path)? {
            return Err(CreateError::NameTaken { name: name.to_owned(), id: owner });
        }
        let _ = fs::remove_file(&path);
        let create = || fs::File::create_new(&path)?.write_all(id.as_bytes());
        Ok(create().map_err(StateError::io("create", &path))?)
    }

    /// Frees `name` if it is `id`'s.
    pub(crate) fn free(&self, name: &str, id: &str) {
        let Ok(path) = self.path(name) else { return };
        if fs::read_to_string(&path).is_ok_and(|owner| owner == id) {
            let _ = fs::remove_file(&path);
        }
    }

    /// The container that has `name`.
    fn owner(&self, name: &str, path: &Path) -> Result<Option<String>, CreateError> {
        let Ok(id) = fs::read_to_string(path) else { return Ok(None) };
        let record = Container::new(self.directories, &id).record();
        Ok(record.is_ok_and(|record| record.name == name).then_some(id))
    }

    /// The file of a name.
    fn path(&self, name: &str) -> Result<PathBuf, CreateError> {
        if !is_valid(name) {
            return Err(CreateError::InvalidName(name.to_owned()));
        }
        Ok(self.directories.names().join(name))
    }
}

impl Drop for NameTable<'_> {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            lock.release();
        }
    }
}

/// Docker's rule, which makes a name a safe path component.
pub(crate) fn is_valid(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first
        && name.len() > 1
        && name.len() < 250
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// Left half of a random name.
const ADJECTIVES: [&str; 64] = [
    "able", "airy", "amber", "ample", "apt", "bold", "brave", "brisk", "calm", "civil", "clear", "clever", "cosy",
    "crisp", "daring", "deft", "eager", "early", "even", "exact", "fair", "fast", "fine", "firm", "fond", "frank",
    "free", "fresh", "gentle", "glad", "grand", "handy", "happy", "hardy", "honest", "jolly", "keen", "kind", "lively",
    "loyal", "lucid", "merry", "mild", "neat", "noble", "open", "patient", "plain", "polite", "prompt", "proud",
    "quick", "quiet", "ready", "sharp", "silent", "smart", "solid", "spry", "steady", "swift", "tidy", "warm", "wise",
];
/// Right half of a random name: words of fortification.
const NOUNS: [&str; 64] = [
    "abatis",
    "arch",
    "armoury",
    "bailey",
    "barbican",
    "barrack",
    "barrier",
    "bastion",
    "battery",
    "beacon",
    "beam",
    "berm",
    "blockhouse",
    "bolt",
    "bridge",
    "bulwark",
    "buttress",
    "camp",
    "casemate",
    "castle",
    "chain",
    "chapel",
    "citadel",
    "cloister",
    "court",
    "curtain",
    "ditch",
    "door",
    "drawbridge",
    "embrasure",
    "fence",
    "fort",
    "fosse",
    "gabion",
    "gallery",
    "garrison",
    "gate",
    "hall",
    "hatch",
    "hedge",
    "keep",
    "ladder",
    "lantern",
    "lock",
    "moat",
    "outpost",
    "palisade",
    "parapet",
    "pier",
    "portal",
    "postern",
    "rampart",
    "ravelin",
    "redoubt",
    "sconce",
    "shield",
    "stake",
    "tower",
    "trench",
    "turret",
    "vault",
    "wall",
    "watch",
    "yard",
];

/// A name made from an id's digits and the number of attempts so far.
pub(crate) fn random_name(id: &str, attempt: usize) -> String {
    let digits = usize::from_str_radix(id.get(..6).unwrap_or("0"), 16).unwrap_or(0);
    let (left, right) = (ADJECTIVES[digits % 64], NOUNS[(digits / 64) % 64]);
    if attempt == 0 { format!("{left}_{right}") } else { format!("{left}_{right}_{}", &id[6..12]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let check = |name: &str, valid: bool| assert_eq!(is_valid(name), valid, "{name:?}");
        for name in ["ab", "web-1", "a.b_c", "0x"] {
            check(name, true);
        }
        for name in ["", "a", "-a", ".lock", "a/b", "a b", "é1", &"x".repeat(250)] {
            check(name, false);
        }
    }

    #[test]
    fn a_name_without_an_owner_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let directories = Directories::new(dir.path(), &dir.path().join("run")).unwrap();
        fs::create_dir_all(directories.names()).unwrap();
        let table = NameTable::lock(&directories).unwrap();
        table.claim("web", "a").unwrap();
        table.claim("web", "b").unwrap();
        assert_eq!(fs::read_to_string(directories.names().join("web")).unwrap(), "b");
        table.free("web", "a");
        assert!(directories.names().join("web").exists());
        table.free("web", "b");
        assert!(!directories.names().join("web").exists());
    }

    #[test]
    fn random_names_are_valid() {
        for id in ["000000000000", "ffffffffffff", "123456abcdef"] {
            assert!(is_valid(&random_name(id, 0)) && is_valid(&random_name(id, 1)));
        }
    }
}
