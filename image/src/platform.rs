//! Platforms, and the choice of one from an index.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An operating system and a processor, in Go's words as OCI has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// For example `amd64` or `arm64`.
    pub architecture: String,
    /// For example `v8`; without one, any variant will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Why a text is no platform.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a platform: expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, for example linux/amd64")]
pub struct PlatformError(String);

impl Platform {
    /// Whether an image for `offered` runs where this platform is asked for.
    pub fn accepts(&self, offered: &Platform) -> bool {
        let variant = self.variant.is_none() || offered.variant.is_none() || self.variant == offered.variant;
        self.os == offered.os && self.architecture == offered.architecture && variant
    }
}

impl Default for Platform {
    fn default() -> Self {
        Self { os: "linux".into(), architecture: "amd64".into(), variant: None }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let word =
            |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let variant = match parts[..] {
            [_, _] => None,
            [_, _, variant] => Some(variant.to_owned()),
            _ => return Err(PlatformError(text.into())),
        };
        if !parts.iter().all(word) {
            return Err(PlatformError(text.into()));
        }
        Ok(Self { os: parts[0].into(), architecture: parts[1].into(), variant })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_matches() {
        let arm: Platform = "linux/arm64/v8".parse().unwrap();
        assert_eq!(arm.to_string(), "linux/arm64/v8");
        assert!("linux/arm64".parse::<Platform>().unwrap().accepts(&arm));
        assert!(!Platform::default().accepts(&arm));
        for bad in ["", "linux", "linux/", "a/b/c/d", "linux/a b"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
