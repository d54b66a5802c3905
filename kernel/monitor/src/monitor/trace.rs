//! Where the kernel's trace goes.

use std::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use stockade_kernel::Errno;
use stockade_kernel::platform::HostStream;
use stockade_kernel::trace::TraceSink;

use super::stream::Stream;

/// A reader that takes nothing for so long loses what comes until it reads again.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file, pipe or terminal of the host that takes lines. Who is traced waits until they are taken, as with strace(1),
/// but not for ever: nobody may stop the kernel by not reading.
#[derive(Debug)]
pub(super) struct Lines {
    taker: Arc<Stream>,
    line_end: &'static str,
    patience: Duration,
    /// Locked for one line.
    state: Mutex<State>,
}

/// What became of the lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// Lines that nobody took.
    lost: u64,
    /// The last one that was taken was cut.
    is_cut: bool,
}

/// What became of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    All,
    Part,
    Nothing,
}

impl Lines {
    pub(super) fn new(taker: OwnedFd) -> Arc<Self> {
        Self::with_patience(taker, PATIENCE)
    }

    fn with_patience(taker: OwnedFd, patience: Duration) -> Arc<Self> {
        let is_terminal =
            fstat(&taker).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice);
        // The host's terminal is raw: nobody adds the carriage return.
        let line_end = if is_terminal { "\r\n" } else { "\n" };
        Arc::new(Self { taker: Stream::new(taker), line_end, patience, state: Mutex::default() })
    }

    /// Writes what goes within a time. A taker that is gone takes everything.
    fn write(&self, bytes: &[u8], patience: Duration) -> Taken {
        let (deadline, mut done) = (Instant::now() + patience, 0);
        while done < bytes.len() {
            match self.taker.write(&bytes[done..]) {
                Ok(count) => done += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if wait_for_room(&self.taker, deadline) => {}
                Err(Errno::EAGAIN) => return if done == 0 { Taken::Nothing } else { Taken::Part },
                Err(_) => break,
            }
        }
        Taken::All
    }

    /// What is to be written: before the line, what became of those before it.
    fn text(&self, state: State, line: &str) -> String {
        let mut text = String::new();
        if state.is_cut {
            text.push_str(self.line_end);
        }
        if state.lost > 0 {
            // Writing to memory cannot fail.
            let _ = write!(text, "... {} lines lost ...{}", state.lost, self.line_end);
        }
        text + line + self.line_end
    }
}

/// Whether there may be room before the deadline.
fn wait_for_room(taker: &Stream, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    let Ok(left) = Timespec::try_from(left) else { return false };
    let fd = taker.as_fd();
    // An interrupted wait is a short one.
    poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&left)).map_or(true, |ready| ready > 0)
}

impl TraceSink for Lines {
    fn line(&self, line: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = if state.lost > 0 { Duration::ZERO } else { self.patience };
        match self.write(self.text(*state, line).as_bytes(), patience) {
            Taken::All => *state = State::default(),
            Taken::Part => *state = State { lost: state.lost + 1, is_cut: true },
            Taken::Nothing => state.lost += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_does_not_read_loses_lines_and_is_told_how_many() {
        let (read, write) = rustix::pipe::pipe().expect("make a pipe");
        let lines = Lines::with_patience(write, Duration::from_millis(10));
        let line = "x".repeat(4095);
        for _ in 0..20 {
            lines.line(&line);
        }
        let reader = Stream::new(read);
        let mut text = Vec::new();
        let mut drain = || {
            let mut buffer = vec![0; 1 << 20];
            while let Ok(count) = reader.read(&mut buffer) {
                text.extend_from_slice(&buffer[..count]);
            }
        };
        drain();
        lines.line("after");
        drain();
        let text = String::from_utf8(text).expect("lines are text");
        let taken = text.lines().filter(|found| **found == line).count();
        assert!(taken < 20, "a pipe takes less");
        assert!(text.ends_with(&format!("x\n... {} lines lost ...\nafter\n", 20 - taken)), "{taken}");
    }

    #[test]
    fn a_reader_that_is_gone_loses_everything() {
        let (read, write) = rustix::pipe::pipe().expect("make a pipe");
        let lines = Lines::new(write);
        drop(read);
        lines.line("nobody hears this");
        assert_eq!(*lines.state.lock().expect("nobody panicked"), State::default());
    }
}
