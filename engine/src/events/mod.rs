//! The event log: what happened to containers and images, in Docker's words.

mod filter;
mod log;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::Record;
use crate::{Directories, Engine, StateError};
pub use filter::EventFilter;

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
        log::follow(&self.directories.events(), options, sink)
    }

    /// Records what happened to an image: `pull`, `untag`, `delete`, `tag`, `import`, `load`, `save`.
    pub fn image_event(&self, action: &str, id: &str, name: &str) {
        let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        record(&self.directories, EventKind::Image, action, Actor { id: id.to_owned(), attributes });
    }

    /// Records what happened to a container.
    pub(crate) fn log_event(&self, record: &Record, action: &str, attributes: &[(&str, &str)]) {
        record_container(&self.directories, record, action, attributes);
    }
}

/// Records what happened to a container: its labels, name and image come along, as in Docker.
pub(crate) fn record_container(directories: &Directories, about: &Record, action: &str, more: &[(&str, &str)]) {
    let mut attributes = about.labels();
    attributes.insert("name".to_owned(), about.name.clone());
    attributes.insert("image".to_owned(), about.image.name.clone());
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    record(directories, EventKind::Container, action, Actor { id: about.id.clone(), attributes });
}

/// Appends an event. A log that cannot be written must not stop what happened.
fn record(directories: &Directories, kind: EventKind, action: &str, actor: Actor) {
    let time_ns = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    let event = Event {
        kind,
        action: action.to_owned(),
        actor,
        scope: "local".to_owned(),
        time: time_ns / 1_000_000_000,
        time_ns,
    };
    if let Err(error) = log::append(&directories.events(), &event) {
        tracing::warn!(%error, "cannot record an event");
    }
}
