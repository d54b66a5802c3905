//! From what a person types to a container.

use std::path::Path;

use super::container::{ids, is_id};
use super::names::is_valid;
use super::{Container, NameTable, Record, read_json, remove_tree};
use crate::{Engine, LookupError, StateError};

impl Engine {
    /// The container with this id, name, or beginning of an id; in this order, as Docker looks.
    pub(crate) fn find(&self, name: &str) -> Result<Container, LookupError> {
        let text = name.strip_prefix('/').unwrap_or(name);
        let id = self.find_exact(text).map_or_else(|| self.find_prefix(text), Ok);
        Ok(Container::new(&self.directories, &id.map_err(|error| as_asked(error, name))?))
    }

    /// By full id or by name.
    fn find_exact(&self, text: &str) -> Option<String> {
        if is_id(text) && self.directories.containers().join(text).is_dir() {
            return Some(text.to_owned());
        }
        let id = is_valid(text).then(|| std::fs::read_to_string(self.directories.names().join(text)).ok())??;
        let owns = match is_id(&id).then(|| Container::new(&self.directories, &id).record())? {
            // A rename that was killed half way leaves the other name behind.
            Ok(record) => record.name == text,
            Err(error) => !matches!(error, LookupError::NotFound(_)),
        };
        owns.then_some(id)
    }

    /// By the beginning of an id.
    fn find_prefix(&self, text: &str) -> Result<String, LookupError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(LookupError::NotFound(text.to_owned()));
        }
        let mut matches = self.ids()?.into_iter().filter(|id| id.starts_with(text));
        match (matches.next(), matches.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => Err(LookupError::NotFound(text.to_owned())),
            (Some(_), Some(_)) => Err(LookupError::Ambiguous(text.to_owned())),
        }
    }

    /// All full ids, in no order.
    pub(crate) fn ids(&self) -> Result<Vec<String>, StateError> {
        ids(&self.directories.containers())
    }

    /// Removes what creations and removals that were killed have left.
    pub fn sweep(&self) -> Result<(), StateError> {
        let containers = self.directories.containers();
        let entries = std::fs::read_dir(&containers).map_err(StateError::io("read", &containers))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("removing") => remove_tree(&path)?,
                Some("new") => self.sweep_creation(&path)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Undoes a creation whose process died. Living creators hold the names' lock.
    fn sweep_creation(&self, dir: &Path) -> Result<(), StateError> {
        let _names = NameTable::lock(&self.directories)?;
        if let Some(record) = read_json::<Record>(&dir.join("config.json"))? {
            self.release_lease(&record.id)?;
            self.remove_anonymous_volumes(&record)?;
        }
        remove_tree(dir)
    }
}

/// Puts the caller's words into an error about no container.
fn as_asked(error: LookupError, name: &str) -> LookupError {
    match error {
        LookupError::NotFound(_) => LookupError::NotFound(name.to_owned()),
        other => other,
    }
}
