//! Names of kernels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a kernel is called: a file name that begins with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// No name.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no name of a kernel: use up to 64 letters, digits, '.', '_', '+' and '-', a letter or digit first")]
pub struct NameError(String);

impl Name {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    /// The kernel of machines that ask for none.
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let is_name = starts && text.len() <= 64 && text.chars().all(allowed);
        if is_name { Ok(Self(text.to_owned())) } else { Err(NameError(text.to_owned())) }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_file_names() {
        let check = |text: &str, expected: bool| assert_eq!(text.parse::<Name>().is_ok(), expected, "{text}");
        check("default", true);
        check("6.12.117+deb12-cloud_amd64", true);
        check("", false);
        check(".hidden", false);
        check("../escape", false);
        check("a/b", false);
        check(&"a".repeat(65), false);
    }
}
