//! `ps --filter`.

use std::collections::BTreeMap;

use super::{ContainerSummary, Status};
use crate::options::InvalidOption;

/// Which containers `ps` lists; conditions of one kind are alternatives.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// `--all`: also those that do not run.
    pub all: bool,
    /// `--last`: only the newest so many, whatever their status.
    pub last: Option<usize>,
    pub(super) conditions: BTreeMap<String, Vec<String>>,
}

impl ListFilter {
    /// Adds one `--filter KEY=VALUE`: id, name, label, status, exited, ancestor, volume, isolation, before, since.
    pub fn add(&mut self, filter: &str) -> Result<(), InvalidOption> {
        const KEYS: [&str; 10] =
            ["id", "name", "label", "status", "exited", "ancestor", "volume", "isolation", "before", "since"];
        let (key, value) = filter
            .split_once('=')
            .ok_or_else(|| InvalidOption(format!("bad format of filter (expected name=value): {filter}")))?;
        if !KEYS.contains(&key) {
            return Err(InvalidOption(format!("invalid filter '{key}': choose {}", KEYS.join(", "))));
        }
        match key {
            "status" if status(value).is_none() => {
                let known = "choose created, running, paused, exited or removing";
                return Err(InvalidOption(format!("invalid filter '{filter}': {known}")));
            }
            "exited" if value.parse::<i32>().is_err() => {
                return Err(InvalidOption(format!("invalid filter '{filter}': use an exit code")));
            }
            _ => {}
        }
        self.conditions.entry(key.to_owned()).or_default().push(value.to_owned());
        Ok(())
    }

    /// Whether a container is to be shown. `before` and `since` are the times of creation of the containers that those
    /// conditions name.
    pub(super) fn accepts(&self, summary: &ContainerSummary, creation: &dyn Fn(&str) -> Option<String>) -> bool {
        let live = matches!(summary.status, Status::Running | Status::Paused);
        let wanted = self.all
            || self.last.is_some()
            || live
            || self.conditions.contains_key("status")
            || self.conditions.contains_key("exited");
        wanted
            && self
                .conditions
                .iter()
                .all(|(key, values)| values.iter().any(|value| meets(summary, key, value, creation)))
    }
}

/// Whether a container meets one condition.
fn meets(summary: &ContainerSummary, key: &str, value: &str, creation: &dyn Fn(&str) -> Option<String>) -> bool {
    match key {
        "id" => summary.id.starts_with(value),
        "name" => summary.name.contains(value.trim_start_matches(['/', '^']).trim_end_matches('$')),
        "status" => status(value) == Some(summary.status),
        "exited" => summary.status == Status::Exited && value.parse() == Ok(summary.exit_code),
        "ancestor" => is_ancestor(summary, value),
        "volume" => summary.mounts.iter().any(|mount| mount == value),
        "isolation" => summary.isolation == value,
        "before" => creation(value).is_some_and(|time| summary.created_at < time),
        "since" => creation(value).is_some_and(|time| summary.created_at > time),
        "label" => match value.split_once('=') {
            Some((name, value)) => summary.labels.get(name).map(String::as_str) == Some(value),
            None => summary.labels.contains_key(value),
        },
        _ => false,
    }
}

/// The status of this name.
fn status(name: &str) -> Option<Status> {
    serde_json::from_value(name.into()).ok()
}

/// By name with or without tag, or by id.
fn is_ancestor(summary: &ContainerSummary, value: &str) -> bool {
    let untagged = |name: &str| name.strip_prefix(value).is_some_and(|rest| rest.starts_with([':', '@']));
    let id = summary.image_id.strip_prefix("sha256:").unwrap_or(&summary.image_id);
    summary.image == value
        || untagged(&summary.image)
        || summary.image_id == value
        || (value.len() >= 12 && id.starts_with(value))
}
