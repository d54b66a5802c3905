//! `--network`, `--pid`, `--ipc`, `--uts`, `--cgroupns`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidOption;

/// Which namespace of one kind a container lives in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceMode {
    /// One of its own; for networks, one with only a loopback interface (`none`).
    #[default]
    Private,
    /// One of its own that other containers may join; for IPC only.
    Shareable,
    /// The host's.
    Host,
    /// That of another container, by name or id; resolved to an id at create.
    Container(String),
    /// The one at a path, which somebody else made; for networks only.
    Path(PathBuf),
}

impl FromStr for NamespaceMode {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        match text.split_once(':') {
            Some(("container", id)) if !id.is_empty() => Ok(Self::Container(id.to_owned())),
            Some(("ns", path)) if path.starts_with('/') => Ok(Self::Path(path.into())),
            None if text == "host" => Ok(Self::Host),
            None if text == "shareable" => Ok(Self::Shareable),
            None if ["none", "private", ""].contains(&text) => Ok(Self::Private),
            _ => {
                Err(InvalidOption(format!("invalid namespace mode {text:?}: use none, private, host or container:ID")))
            }
        }
    }
}

impl fmt::Display for NamespaceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => f.write_str("private"),
            Self::Shareable => f.write_str("shareable"),
            Self::Host => f.write_str("host"),
            Self::Container(id) => write!(f, "container:{id}"),
            Self::Path(path) => write!(f, "ns:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_words_and_come_back() {
        for text in ["private", "host", "shareable", "container:web", "ns:/run/netns/web"] {
            assert_eq!(text.parse::<NamespaceMode>().expect("a mode").to_string(), text);
        }
        for text in ["ns:", "ns:web", "container:", "bridge"] {
            assert!(text.parse::<NamespaceMode>().is_err(), "{text}");
        }
    }
}
