//! What `ps --filter` and `events --filter` share.

use std::collections::BTreeMap;

use crate::options::InvalidOption;

/// Conditions by key; those of one key are alternatives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions(BTreeMap<String, Vec<String>>);

impl Conditions {
    /// Adds one.
    pub(crate) fn add(&mut self, key: &str, value: &str) {
        self.0.entry(key.to_owned()).or_default().push(value.to_owned());
    }

    /// Whether there is a condition of this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Whether for each key one value at least `meets` it.
    pub(crate) fn hold(&self, meets: impl Fn(&str, &str) -> bool) -> bool {
        self.0.iter().all(|(key, values)| values.iter().any(|value| meets(key, value)))
    }
}

/// One `KEY=VALUE`, whose key is one of `keys`.
pub(crate) fn parse<'a>(filter: &'a str, keys: &[&str]) -> Result<(&'a str, &'a str), InvalidOption> {
    let (key, value) = filter
        .split_once('=')
        .ok_or_else(|| InvalidOption(format!("bad format of filter (expected name=value): {filter}")))?;
    match keys.contains(&key) {
        true => Ok((key, value)),
        false => Err(InvalidOption(format!("invalid filter '{key}': choose {}", keys.join(", ")))),
    }
}

/// `NAME`, or `NAME=VALUE`.
pub(crate) fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}

/// Whether an image's name is the one wanted, which may lack its tag or digest.
pub(crate) fn names_image(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
}
