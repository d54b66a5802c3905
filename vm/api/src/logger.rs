//! The log: Firecracker's lines, to a file, a named pipe or standard output, changeable while the program runs.
//!
//! A line is `TIME [ID:THREAD:LEVEL:FILE:LINE] MESSAGE`; the level and the origin are there when asked for.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stockade_vmm::config::{InstanceId, Level, LoggerConfig};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::output::Output;

/// A handle of the log: a layer of `tracing`, and what changes it. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Logger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: InstanceId,
    settings: Mutex<Settings>,
    missed: AtomicU64,
}

#[derive(Debug, Default)]
struct Settings {
    output: Option<Output>,
    level: Level,
    shows_level: bool,
    shows_origin: bool,
    module: Option<String>,
}

impl Logger {
    /// A log to standard output, from [`Level::Info`] on.
    #[must_use]
    pub fn new(id: InstanceId) -> Self {
        Self { shared: Arc::new(Shared { id, settings: Mutex::default(), missed: AtomicU64::new(0) }) }
    }

    /// Changes what is logged and where to.
    ///
    /// # Errors
    /// The file cannot be opened; nothing has changed then.
    pub fn configure(&self, config: &LoggerConfig) -> io::Result<()> {
        let output = config.log_path.as_deref().map(Output::open).transpose()?;
        let mut settings = self.settings();
        settings.level = config.level.unwrap_or_default();
        settings.output = output.or_else(|| settings.output.take());
        settings.shows_level = config.show_level.unwrap_or(settings.shows_level);
        settings.shows_origin = config.show_log_origin.unwrap_or(settings.shows_origin);
        settings.module = config.module.clone().or_else(|| settings.module.take());
        drop(settings);
        // What is not wanted is found out once, and not by each event that is not.
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// How many lines were lost since the last call.
    #[must_use]
    pub fn take_missed(&self) -> u64 {
        self.shared.missed.swap(0, Ordering::Relaxed)
    }

    fn settings(&self) -> std::sync::MutexGuard<'_, Settings> {
        // Settings are replaced one by one: there is no half-changed state to see.
        self.shared.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, settings: &Settings, metadata: &Metadata<'_>, message: &str) -> String {
        let time = jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S.%9f");
        let thread = std::thread::current();
        let mut line = format!("{time} [{}:{}", self.shared.id.as_str(), thread.name().unwrap_or("-"));
        // Writing to a string does not fail.
        if settings.shows_level {
            let _ = write!(line, ":{}", metadata.level());
        }
        if settings.shows_origin {
            let _ = write!(line, ":{}:{}", metadata.file().unwrap_or("?"), metadata.line().unwrap_or_default());
        }
        let _ = write!(line, "] {message}");
        line
    }
}

impl Settings {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let module = metadata.module_path().unwrap_or_default();
        level(*metadata.level()) <= self.level && self.module.as_ref().is_none_or(|prefix| module.starts_with(prefix))
    }

    fn write(&self, line: &str) -> io::Result<()> {
        match &self.output {
            Some(output) => output.line(line),
            None => writeln!(io::stdout(), "{line}"),
        }
    }
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

impl<S: Subscriber> Layer<S> for Logger {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.settings().level {
            Level::Off => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let settings = self.settings();
        if !settings.wants(event.metadata()) {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let line = self.line(&settings, event.metadata(), &message.text());
        if settings.write(&line).is_err() {
            self.shared.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// An event's message, then its fields.
#[derive(Default)]
struct Message {
    text: String,
    fields: String,
}

impl Message {
    fn text(self) -> String {
        // A line is one line, whatever a guest or a client made it say.
        (self.text + &self.fields).replace('\n', "\\n")
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
