//! What the libraries below report by `tracing`, as log lines.

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level as Reported, Subscriber};
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::log::{Level, Log};

/// Writes what passed the filter. Spans are ignored: one verb is one line of work.
struct Lines(Log);

/// Sends warnings, and with `--debug` everything but traces, to `log` from here on.
pub fn install(log: Log) {
    let most = if log.is_debug() { LevelFilter::DEBUG } else { LevelFilter::WARN };
    // Only a second call can fail, and there is none.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(most).with(Lines(log)));
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = String::new();
        event.record(&mut DefaultVisitor::new(Writer::new(&mut message), true));
        let level = if *event.metadata().level() <= Reported::WARN { Level::Warning } else { Level::Debug };
        self.0.write(level, &message);
    }
}
