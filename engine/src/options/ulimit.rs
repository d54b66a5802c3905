//! `--ulimit NAME=SOFT[:HARD]`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidOption;

/// The limits of setrlimit(2), in Docker's spelling.
const NAMES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// One resource limit of the container's processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Docker's name, for example `nofile`.
    pub name: String,
    /// The soft limit; `u64::MAX` for none.
    pub soft: u64,
    /// The hard limit; `u64::MAX` for none.
    pub hard: u64,
}

impl FromStr for Ulimit {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        let (name, limits) =
            text.split_once('=').ok_or_else(|| InvalidOption(format!("invalid ulimit argument: {text}")))?;
        if !NAMES.contains(&name) {
            return Err(InvalidOption(format!("invalid ulimit type: {name}")));
        }
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        let (soft, hard) = (limit(soft, text)?, limit(hard, text)?);
        if soft > hard {
            return Err(InvalidOption(format!("ulimit soft limit must be less than or equal to hard limit: {text}")));
        }
        Ok(Self { name: name.to_owned(), soft, hard })
    }
}

/// One number; -1 and `unlimited` are none.
fn limit(text: &str, whole: &str) -> Result<u64, InvalidOption> {
    match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        _ => text.parse().map_err(|_| InvalidOption(format!("invalid ulimit argument: {whole}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimits() {
        let check = |text: &str, expected: Option<(u64, u64)>| {
            let parsed = text.parse::<Ulimit>().ok().map(|limit| (limit.soft, limit.hard));
            assert_eq!(parsed, expected, "{text:?}");
        };
        check("nofile=10:20", Some((10, 20)));
        check("core=0", Some((0, 0)));
        check("memlock=-1", Some((u64::MAX, u64::MAX)));
        check("nofile=10:-1", Some((10, u64::MAX)));
        for bad in ["nofile", "nofile=20:10", "bogus=1", "core=x"] {
            check(bad, None);
        }
    }
}
