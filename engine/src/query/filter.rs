//! `ps --filter`.

use super::{ContainerSummary, Status};
use crate::conditions::{Conditions, has_label, names_image, parse};
use crate::options::InvalidOption;

/// Which containers `ps` lists; conditions of one kind are alternatives.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// `--all`: also those that do not run.
    pub all: bool,
    /// `--last`: only the newest so many, whatever their status.
    pub last: Option<usize>,
    conditions: Conditions,
}

impl ListFilter {
    /// Adds one `--filter KEY=VALUE`: id, name, label, status, exited, ancestor, volume, isolation, before, since.
    pub fn add(&mut self, filter: &str) -> Result<(), InvalidOption> {
        const KEYS: [&str; 10] =
            ["id", "name", "label", "status", "exited", "ancestor", "volume", "isolation", "before", "since"];
        let (key, value) = parse(filter, &KEYS)?;
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
        self.conditions.add(key, value);
        Ok(())
    }

    /// Whether a container is to be shown. `before` and `since` are the times of creation of the containers that those
    /// conditions name.
    pub(super) fn accepts(&self, summary: &ContainerSummary, creation: &dyn Fn(&str) -> Option<String>) -> bool {
        let live = matches!(summary.status, Status::Running | Status::Paused);
        let ended = self.conditions.has("status") || self.conditions.has("exited");
        let wanted = self.all || self.last.is_some() || live || ended;
        wanted && self.conditions.hold(|key, value| meets(summary, key, value, creation))
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
        "label" => has_label(&summary.labels, value),
        _ => false,
    }
}

/// The status of this name.
fn status(name: &str) -> Option<Status> {
    serde_json::from_value(name.into()).ok()
}

/// By name with or without tag, or by id.
fn is_ancestor(summary: &ContainerSummary, value: &str) -> bool {
    let id = summary.image_id.strip_prefix("sha256:").unwrap_or(&summary.image_id);
    names_image(&summary.image, value) || summary.image_id == value || (value.len() >= 12 && id.starts_with(value))
}
