//! Where the kernel's trace goes.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};
use stockade_kernel::trace::TraceSink;

/// A file, pipe or terminal of the host that takes lines. Who traces waits until they are taken, as with strace(1).
#[derive(Debug)]
pub(super) struct Lines {
    /// Locked for one line.
    taker: Mutex<OwnedFd>,
    line_end: &'static str,
}

impl Lines {
    pub(super) fn new(taker: OwnedFd) -> Arc<Self> {
        let is_terminal =
            fstat(&taker).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice);
        // The host's terminal is raw: nobody adds the carriage return.
        let line_end = if is_terminal { "\r\n" } else { "\n" };
        Arc::new(Self { taker: Mutex::new(taker), line_end })
    }
}

fn wait_for_room(taker: &OwnedFd) {
    let _interrupted = poll(&mut [PollFd::new(taker, PollFlags::OUT)], None);
}

impl TraceSink for Lines {
    fn line(&self, line: &str) {
        let line = format!("{line}{}", self.line_end);
        let taker = self.taker.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(&*taker, rest) {
                Ok(count) => rest = &rest[count..],
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => wait_for_room(&taker),
                // Nobody reads any more.
                Err(_) => return,
            }
        }
    }
}
