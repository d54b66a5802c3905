//! The last words of a program whose output nobody reads unless it fails.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

const KEPT_BYTES: usize = 16 << 10;

/// A reader on a thread of its own that keeps the end of what it reads.
#[derive(Debug)]
pub(crate) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Tail {
    pub(crate) fn of(mut from: impl Read + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&kept);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = from.read(&mut buffer) {
                keep(&mut shared.lock().expect("no holder panics"), &buffer[..len]);
            }
        });
        Self { kept, reader: Some(reader) }
    }

    /// What was written last, without what QEMU says about every processor that it emulates.
    pub(crate) fn text(&self) -> String {
        let kept = self.kept.lock().expect("no holder panics");
        let text = String::from_utf8_lossy(&kept).replace('\r', "");
        let lines = text.lines().filter(|line| !line.contains("TCG doesn't support requested feature"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Waits until every writer is gone.
    pub(crate) fn wait(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    kept.drain(..kept.len().saturating_sub(KEPT_BYTES));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let mut tail = Tail::of(std::io::Cursor::new([vec![b'a'; KEPT_BYTES], b"\nend".to_vec()].concat()));
        tail.wait();
        assert!(tail.text().ends_with("a\nend") && tail.text().len() == KEPT_BYTES);
    }
}
