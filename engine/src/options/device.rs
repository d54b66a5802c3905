//! `--device HOST[:CONTAINER[:rwm]]`.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidOption;

/// One host device, or every device below a host directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceOption {
    /// The node on the host.
    pub host: PathBuf,
    /// Where it appears in the container.
    pub container: PathBuf,
    /// What the container may do with it.
    pub access: DeviceAccess,
}

/// A subset of `rwm`, in that order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAccess(String);

impl DeviceAccess {
    /// The letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceAccess {
    type Err = InvalidOption;

    fn from_str(letters: &str) -> Result<Self, InvalidOption> {
        let known = letters.chars().all(|c| "rwm".contains(c));
        if letters.is_empty() || !known {
            return Err(InvalidOption(format!("invalid device mode: {letters}: use letters of rwm")));
        }
        Ok(Self("rwm".chars().filter(|c| letters.contains(*c)).collect()))
    }
}

impl FromStr for DeviceOption {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        let parts: Vec<&str> = text.split(':').collect();
        let (host, container, access) = match parts[..] {
            [host] => (host, host, "rwm"),
            [host, second] if second.starts_with('/') => (host, second, "rwm"),
            [host, access] => (host, host, access),
            [host, container, access] => (host, container, access),
            _ => return Err(InvalidOption(format!("invalid device specification: {text}"))),
        };
        if !host.starts_with('/') || !container.starts_with('/') {
            return Err(InvalidOption(format!("invalid device specification: {text}: use absolute paths")));
        }
        Ok(Self { host: host.into(), container: container.into(), access: access.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        let check = |text: &str, expected: Option<(&str, &str, &str)>| {
            let parsed = text.parse::<DeviceOption>().ok();
            let parsed = parsed
                .as_ref()
                .map(|d| (d.host.to_str().unwrap_or(""), d.container.to_str().unwrap_or(""), d.access.as_str()));
            assert_eq!(parsed, expected, "{text:?}");
        };
        check("/dev/fuse", Some(("/dev/fuse", "/dev/fuse", "rwm")));
        check("/dev/sda:/dev/x", Some(("/dev/sda", "/dev/x", "rwm")));
        check("/dev/sda:mr", Some(("/dev/sda", "/dev/sda", "rm")));
        check("/dev/sda:/dev/x:r", Some(("/dev/sda", "/dev/x", "r")));
        for bad in ["dev", "/dev/a:b", "/dev/a:/dev/b:z", "/a:/b:r:w", "/a:/b:"] {
            check(bad, None);
        }
    }
}
