//! `events`.

use std::io::{self, Write};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::Value;
use stockade_engine::{Event, EventFilter, EventsOptions};

use super::context::Context;
use crate::args::EventsArgs;
use crate::template::{Template, unescape};

/// `stockade events`: until interrupted, or until the time asked for.
pub fn events(context: &Context, args: &EventsArgs) -> Result<u8> {
    let form = Form::parse(args.format.as_deref())?;
    let mut filter = EventFilter::default();
    args.filter.iter().try_for_each(|condition| filter.add(condition))?;
    let options = EventsOptions { since_ns: nanoseconds(args.since)?, until_ns: nanoseconds(args.until)?, filter };
    context.engine()?.events(&options, &mut |event| {
        let mut out = io::stdout();
        writeln!(out, "{}", form.line(event)?)?;
        out.flush()
    })?;
    Ok(0)
}

fn nanoseconds(time: Option<Timestamp>) -> Result<Option<i64>> {
    time.map(|time| i64::try_from(time.as_nanosecond()).context("a time after the year 2262")).transpose()
}

enum Form {
    Line,
    Json,
    Template(Template),
}

impl Form {
    fn parse(format: Option<&str>) -> Result<Self> {
        Ok(match format {
            None => Self::Line,
            Some("json") => Self::Json,
            Some(text) => Self::Template(Template::parse(&unescape(text))?),
        })
    }

    fn line(&self, event: &Event) -> io::Result<String> {
        match self {
            Self::Line => Ok(line(event)),
            Self::Json => Ok(document(event)?.to_string()),
            Self::Template(template) => template.render(&go_names(document(event)?)).map_err(io::Error::other),
        }
    }
}

/// The event, with the older names of Docker's fields too.
fn document(event: &Event) -> io::Result<Value> {
    let mut value = serde_json::to_value(event)?;
    for (old, new) in [("status", "/Action"), ("id", "/Actor/ID"), ("from", "/Actor/Attributes/image")] {
        if let Some(content) = value.pointer(new).cloned() {
            value[old] = content;
        }
    }
    Ok(value)
}

/// A template may use the names that the fields have in Docker's own program.
fn go_names(mut value: Value) -> Value {
    for (go, json) in
        [("Scope", "scope"), ("Time", "time"), ("TimeNano", "timeNano"), ("ID", "id"), ("Status", "status")]
    {
        if let Some(content) = value.get(json).cloned() {
            value[go] = content;
        }
    }
    value
}

/// `2026-01-02T15:04:05.000000000Z container start ID (image=…, name=…)`.
fn line(event: &Event) -> String {
    let time = Timestamp::from_nanosecond(event.time_ns.into()).unwrap_or_default();
    let kind = serde_json::to_value(event.kind).unwrap_or_default();
    let attributes: Vec<String> = event.actor.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let who = if attributes.is_empty() { String::new() } else { format!(" ({})", attributes.join(", ")) };
    format!("{time:.9} {} {} {}{who}", kind.as_str().unwrap_or_default(), event.action, event.actor.id)
}
