//! Container ids, validated once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A container id that is safe as one path component: `[A-Za-z0-9_+.-]{1,1024}`, not `.` or `..` (runc's rule).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

/// Why a string is no container id.
#[derive(Debug, thiserror::Error)]
#[error("invalid container ID format: {0:?}: use 1 to 1024 of A-Z a-z 0-9 _ + - .")]
pub struct InvalidId(pub String);

impl ContainerId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerId {
    type Err = InvalidId;

    fn from_str(id: &str) -> Result<Self, InvalidId> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
        if id.is_empty() || id.len() > 1024 || id == "." || id == ".." || !id.chars().all(allowed) {
            return Err(InvalidId(id.to_owned()));
        }
        Ok(Self(id.to_owned()))
    }
}

impl TryFrom<String> for ContainerId {
    type Error = InvalidId;

    fn try_from(id: String) -> Result<Self, InvalidId> {
        id.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_single_safe_path_components() {
        let check = |id: &str, valid: bool| assert_eq!(id.parse::<ContainerId>().is_ok(), valid, "{id:?}");
        for id in ["a", "web-1", "A_b+c.d", "..a", &"x".repeat(1024)] {
            check(id, true);
        }
        for id in ["", ".", "..", "a/b", "a b", "é", "a\0", &"x".repeat(1025)] {
            check(id, false);
        }
    }
}
