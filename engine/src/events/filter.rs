//! `events --filter`.

use std::collections::BTreeMap;

use super::{Event, EventKind};
use crate::options::InvalidOption;

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

    /// Whether an event meets every kind of condition.
    pub fn accepts(&self, event: &Event) -> bool {
        self.conditions.iter().all(|(key, values)| values.iter().any(|value| meets(event, key, value)))
    }
}

/// Whether an event meets one condition.
fn meets(event: &Event, key: &str, value: &str) -> bool {
    let attribute = |name: &str| event.actor.attributes.get(name).map(String::as_str);
    let is = |kind: EventKind| event.kind == kind;
    match key {
        "container" => {
            is(EventKind::Container) && (event.actor.id.starts_with(value) || attribute("name") == Some(value))
        }
        "image" if is(EventKind::Image) => event.actor.id == value || names_image(attribute("name"), value),
        "image" => names_image(attribute("image"), value),
        "volume" => is(EventKind::Volume) && event.actor.id == value,
        "event" => event.action == value || event.action.split(':').next() == Some(value),
        "type" => serde_json::to_value(event.kind).is_ok_and(|kind| kind == value),
        "scope" => event.scope == value,
        "label" => match value.split_once('=') {
            Some((name, value)) => attribute(name) == Some(value),
            None => attribute(value).is_some(),
        },
        _ => false,
    }
}

/// With or without its tag.
fn names_image(name: Option<&str>, value: &str) -> bool {
    name.is_some_and(|name| name == value || name.strip_prefix(value).is_some_and(|rest| rest.starts_with([':', '@'])))
}

#[cfg(test)]
mod tests {
    use super::super::Actor;
    use super::*;

    #[test]
    fn conditions() {
        let attributes = [("name", "web"), ("image", "debian:12"), ("tier", "front")];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let event = Event {
            kind: EventKind::Container,
            action: "exec_create: sh -c x".to_owned(),
            actor: Actor { id: "0123abcd".to_owned(), attributes },
            scope: "local".to_owned(),
            time: 0,
            time_ns: 0,
        };
        let check = |filters: &[&str], expected: bool| {
            let mut filter = EventFilter::default();
            filters.iter().for_each(|text| filter.add(text).unwrap());
            assert_eq!(filter.accepts(&event), expected, "{filters:?}");
        };
        check(&[], true);
        check(&["container=web"], true);
        check(&["container=0123"], true);
        check(&["container=db"], false);
        check(&["container=db", "container=web"], true);
        check(&["container=web", "event=die"], false);
        check(&["event=exec_create"], true);
        check(&["type=container", "image=debian"], true);
        check(&["type=image"], false);
        check(&["label=tier"], true);
        check(&["label=tier=back"], false);
        assert!(EventFilter::default().add("colour=red").is_err());
        assert!(EventFilter::default().add("event").is_err());
    }
}
