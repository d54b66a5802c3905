//! What the libraries below report by `tracing`, as log lines.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::log::{Level, Log};

/// Writes warnings, and with `--debug` everything but traces. Spans are ignored: one verb is one line of work.
struct Lines(Log);

/// Sends what is reported from here on to `log`.
pub fn install(log: Log) {
    // Only a second call can fail, and there is none.
    let _ = tracing::subscriber::set_global_default(Lines(log));
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let most = if self.0.is_debug() { tracing::Level::DEBUG } else { tracing::Level::WARN };
        *metadata.level() <= most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.0.is_debug() { LevelFilter::DEBUG } else { LevelFilter::WARN })
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        let level = if *event.metadata().level() <= tracing::Level::WARN { Level::Warning } else { Level::Debug };
        self.0.write(level, message.0.trim_start());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message and the fields of an event, in one line.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
