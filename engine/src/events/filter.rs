//! `events --filter`.

use super::{Event, EventKind};
use crate::conditions::{Conditions, has_label, names_image, parse};
use crate::options::InvalidOption;

/// Conditions on events; each kind given must match one of its values.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    conditions: Conditions,
}

impl EventFilter {
    /// Adds one `--filter KEY=VALUE`: container, image, event, type, label, volume.
    pub fn add(&mut self, filter: &str) -> Result<(), InvalidOption> {
        const KEYS: [&str; 7] = ["container", "image", "event", "type", "label", "volume", "scope"];
        let (key, value) = parse(filter, &KEYS)?;
        self.conditions.add(key, value);
        Ok(())
    }

    /// Whether an event meets every kind of condition.
    pub fn accepts(&self, event: &Event) -> bool {
        self.conditions.hold(|key, value| meets(event, key, value))
    }
}

/// Whether an event meets one condition.
fn meets(event: &Event, key: &str, value: &str) -> bool {
    let attribute = |name: &str| event.actor.attributes.get(name).map(String::as_str);
    let image_is = |name: &str| attribute(name).is_some_and(|name| names_image(name, value));
    let is = |kind: EventKind| event.kind == kind;
    match key {
        "container" => {
            is(EventKind::Container) && (event.actor.id.starts_with(value) || attribute("name") == Some(value))
        }
        "image" if is(EventKind::Image) => event.actor.id == value || image_is("name"),
        "image" => image_is("image"),
        "volume" => is(EventKind::Volume) && event.actor.id == value,
        "event" => event.action == value || event.action.split(':').next() == Some(value),
        "type" => serde_json::to_value(event.kind).is_ok_and(|kind| kind == value),
        "scope" => event.scope == value,
        "label" => has_label(&event.actor.attributes, value),
        _ => false,
    }
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
