//! The event log: what happened to containers and images, in Docker's words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::options::InvalidOption;
use crate::{Engine, StateError};

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
}

/// One thing that happened. Serialised, it has the field names of Docker's event stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What it is about.
    #[serde(rename = "Type")]
    pub kind: EventKind,
    /// Docker's word, for example `create`, `start`, `die`, `exec_create: sh`, `pull`.
    #[serde(rename = "Action")]
    pub action: String,
    /// Who: an id, and attributes such as `name`, `image`, `exitCode`, `signal`.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// Always `local`.
    pub scope: String,
    /// Seconds since the epoch.
    pub time: i64,
    /// Nanoseconds since the epoch.
    #[serde(rename = "timeNano")]
    pub time_ns: i64,
}

/// Who an event happened to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// A container's id, or an image's id or name.
    #[serde(rename = "ID")]
    pub id: String,
    /// More about it.
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}

/// Conditions on events; each kind given must match one of its values.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    conditions: BTreeMap<String, Vec<String>>,
}

impl EventFilter {
    /// Adds one `--filter KEY=VALUE`: container, image, event, type, label, volume.
    pub fn add(&mut self, filter: &str) -> Result<(), InvalidOption> {
        const KEYS: [&str; 7] = ["container", "image", "event", "type", "label", "volume", "scope"];
        let (key, value) = filter
            .split_once('=')
            .ok_or_else(|| InvalidOption(format!("bad format of filter (expected name=value): {filter}")))?;
        if !KEYS.contains(&key) {
            return Err(InvalidOption(format!("invalid filter '{key}': choose {}", KEYS.join(", "))));
        }
        self.conditions.entry(key.to_owned()).or_default().push(value.to_owned());
        Ok(())
    }
}

/// Which events to show.
#[derive(Clone, Debug, Default)]
pub struct EventsOptions {
    /// `--since`: nanoseconds since the epoch; absent means from now on.
    pub since_ns: Option<i64>,
    /// `--until`: nanoseconds since the epoch; absent means for ever.
    pub until_ns: Option<i64>,
    /// `--filter`.
    pub filter: EventFilter,
}

/// Why `events` failed.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The sink refused an event.
    #[error("cannot write events: {0}")]
    Sink(std::io::Error),
}

impl Engine {
    /// Gives every chosen event to `sink`: history first, then as they happen, until the time asked for.
    pub fn events(
        &self,
        options: &EventsOptions,
        sink: &mut dyn FnMut(&Event) -> std::io::Result<()>,
    ) -> Result<(), EventError> {
        let _ = (options, sink);
        Err(crate::lifecycle::unfinished().into())
    }

    /// Records what happened to an image: `pull`, `untag`, `delete`, `tag`, `import`, `load`, `save`.
    pub fn image_event(&self, action: &str, id: &str, name: &str) {
        let _ = (action, id, name);
    }
}
