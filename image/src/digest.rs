//! Content digests: parsed once, so that a path can be made of one without a second look.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest in the form `sha256:` and 64 lower-case hexadecimal digits.
///
/// OCI allows other algorithms; no registry in use serves them, and refusing them keeps one hash to trust.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is no digest.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text:?} is not a digest: expected sha256: and 64 lower-case hexadecimal digits")]
pub struct DigestError {
    text: String,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest that `hasher` has come to.
    pub(crate) fn finish(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// The 64 hexadecimal digits, without the algorithm.
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The 12 digits that tables show.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    fn from_hex(hex: &str) -> Option<Self> {
        let digits = hex.as_bytes();
        let lower = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
        if digits.len() != 64 || !digits.iter().all(lower) {
            return None;
        }
        let mut raw = [0; 32];
        for (byte, at) in raw.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
        }
        Some(Self(raw))
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let excerpt = || DigestError { text: text.chars().take(100).collect() };
        text.strip_prefix("sha256:").and_then(Self::from_hex).ok_or_else(excerpt)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_sha256_parses() {
        let good = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(good.parse::<Digest>().unwrap().to_string(), good);
        let upper = good.to_uppercase();
        let long = format!("{good}0");
        let wide = format!("sha256:{}", "é".repeat(32));
        for bad in ["", "sha256:", "sha256:../../x", "sha512:00", "../x", &upper, &long, &wide, &good[7..]] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
