//! A pull, as people see it: bars on a terminal, a line per layer elsewhere, nothing when quiet.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stockade_image::{Digest, Event, LayerSize, NoProgress, Phase, Progress};

use super::message;

/// The progress that fits standard error.
pub fn progress(quiet: bool) -> Box<dyn Progress> {
    match (quiet, io::stderr().is_terminal()) {
        (true, _) => Box::new(NoProgress),
        (false, true) => Box::new(Bars::default()),
        (false, false) => Box::new(Lines),
    }
}

struct Lines;

impl Progress for Lines {
    fn report(&self, event: &Event<'_>) {
        match event {
            Event::Resolved { name, digest } => message::note(format!("{}: {digest}", name.familiar())),
            Event::Layers(_) => {}
            Event::Layer { digest, phase } => {
                if let Some(text) = line(phase) {
                    message::note(format!("{}: {text}", digest.short()));
                }
            }
        }
    }
}

/// What is worth a line.
fn line(phase: &Phase<'_>) -> Option<String> {
    match phase {
        Phase::Waiting => Some("Waiting for another pull".to_owned()),
        Phase::Downloading { .. } | Phase::Converting => None,
        Phase::Retrying { attempt, delay, reason } => {
            Some(format!("Retry {attempt} in {} s: {reason}", delay.as_secs()))
        }
        Phase::Exists => Some("Already exists".to_owned()),
        Phase::Done => Some("Pull complete".to_owned()),
    }
}

#[derive(Default)]
struct Bars {
    all: MultiProgress,
    layers: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Progress for Bars {
    fn report(&self, event: &Event<'_>) {
        match event {
            Event::Resolved { name, digest } => {
                // The terminal is gone at worst.
                let _ = self.all.println(format!("{}: {digest}", name.familiar()));
            }
            Event::Layers(layers) => self.begin(layers),
            Event::Layer { digest, phase } => self.advance(digest, phase),
        }
    }
}

impl Bars {
    fn begin(&self, layers: &[LayerSize]) {
        let mut bars = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        for layer in layers {
            let bar = self.all.add(ProgressBar::new(layer.bytes).with_style(idle_style()));
            bar.set_prefix(layer.digest.short());
            bar.set_message("Pulling");
            bars.insert(layer.digest, bar);
        }
    }

    fn advance(&self, digest: &Digest, phase: &Phase<'_>) {
        let bars = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bar) = bars.get(digest) else { return };
        match phase {
            Phase::Downloading { done, total } => {
                bar.set_style(busy_style());
                bar.set_length(*total);
                bar.set_position(*done);
            }
            Phase::Converting => rest(bar, "Converting"),
            Phase::Waiting | Phase::Retrying { .. } => rest(bar, &line(phase).unwrap_or_default()),
            Phase::Exists | Phase::Done => {
                bar.set_style(idle_style());
                bar.finish_with_message(line(phase).unwrap_or_default());
            }
        }
    }
}

fn rest(bar: &ProgressBar, text: &str) {
    bar.set_style(idle_style());
    bar.set_message(text.to_owned());
    bar.tick();
}

fn busy_style() -> ProgressStyle {
    style("{prefix}: Downloading [{bar:40}] {decimal_bytes}/{decimal_total_bytes} {eta}").progress_chars("=> ")
}

fn idle_style() -> ProgressStyle {
    style("{prefix}: {msg}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
