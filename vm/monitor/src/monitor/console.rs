//! The guest's serial port: what it said last is kept, for the report of a failure.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes that are kept.
const KEPT_BYTES: usize = 16 << 10;
/// Lines in an error's text.
const LINES: usize = 6;

/// What the guest wrote last.
#[derive(Clone, Debug, Default)]
pub(super) struct Console(Arc<Mutex<VecDeque<u8>>>);

impl Console {
    /// All that is kept, as lines of text.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(kept.make_contiguous()).into_owned();
        text.lines().map(stockade_hosted::log::shown).filter(|line| !line.is_empty()).collect()
    }

    /// The last words on one line.
    pub(super) fn last_words(&self) -> String {
        let lines = self.lines();
        match &lines[lines.len().saturating_sub(LINES)..] {
            [] => "its console is empty".to_owned(),
            last => format!("its console ends with: {}", last.join(" | ")),
        }
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let excess = kept.len().saturating_sub(KEPT_BYTES);
        kept.drain(..excess);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_as_plain_text() {
        let mut console = Console::default();
        assert_eq!(console.last_words(), "its console is empty");
        for number in 0..10_000 {
            writeln!(console, "line {number} \x1b[2J").expect("kept");
        }
        assert!(console.last_words().ends_with("line 9998 \\u{1b}[2J | line 9999 \\u{1b}[2J"));
        assert!(console.lines().concat().len() < 2 * KEPT_BYTES);
    }
}
