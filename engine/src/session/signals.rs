//! The caller's signals behind a readable descriptor.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::low_level::{pipe, unregister};
use signal_hook::{SigId, flag};

use super::SignalProxy;
use crate::options::Signal;

/// What Docker's CLI sends on, without those that are about the CLI's own job control.
const FORWARDED: [i32; 8] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGCONT,
];

/// What would end the caller, and leave its terminal raw, if it did not watch.
const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Whether the caller's terminal is in raw mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallerTerminal {
    Raw,
    Untouched,
}

/// Signals under watch, until dropped.
pub(super) struct Signals {
    bell: UnixStream,
    watched: Vec<Watched>,
}

struct Watched {
    number: i32,
    came: Arc<AtomicBool>,
    registrations: [SigId; 2],
}

impl Signals {
    /// Watches window changes, what is to be sent on, and what must not end the caller before its terminal is restored.
    pub(super) fn watch(proxy: SignalProxy, terminal: CallerTerminal) -> std::io::Result<Self> {
        let others = match (proxy, terminal) {
            (SignalProxy::Forward, _) => &FORWARDED[..],
            (SignalProxy::Off, CallerTerminal::Raw) => &ENDING[..],
            (SignalProxy::Off, CallerTerminal::Untouched) => &[],
        };
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        let mut signals = Self { bell, watched: Vec::new() };
        for &number in others.iter().chain(&[libc::SIGWINCH]) {
            let came = Arc::new(AtomicBool::new(false));
            // In this order: who hears the bell finds the flag.
            let flag = flag::register(number, came.clone())?;
            let bell = pipe::register(number, ringer.try_clone()?)?;
            signals.watched.push(Watched { number, came, registrations: [flag, bell] });
        }
        Ok(signals)
    }

    /// Readable when one came.
    pub(super) fn descriptor(&self) -> &UnixStream {
        &self.bell
    }

    /// The signals that came since the last call, each once.
    pub(super) fn take(&self) -> Vec<Signal> {
        let mut bell = &self.bell;
        while bell.read(&mut [0; 64]).is_ok_and(|length| length == 64) {}
        let came = self.watched.iter().filter(|watched| watched.came.swap(false, Ordering::SeqCst));
        came.filter_map(|watched| Signal::from_number(watched.number)).collect()
    }
}

/// Ends the caller as the signal would have done.
pub(super) fn end_by(signal: Signal) {
    // It returns only for signals that end nobody.
    let _ = signal_hook::low_level::emulate_default_handler(signal.number());
}

impl Drop for Signals {
    fn drop(&mut self) {
        for registration in self.watched.iter().flat_map(|watched| watched.registrations) {
            unregister(registration);
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn rings(signals: &Signals) -> bool {
        let mut bell = [PollFd::new(signals.descriptor(), PollFlags::IN)];
        poll(&mut bell, Some(&Timespec::default())).is_ok_and(|ready| ready == 1)
    }

    #[test]
    fn each_signal_is_taken_once() {
        let signals = Signals::watch(SignalProxy::Forward, CallerTerminal::Untouched).unwrap();
        assert!(!rings(&signals) && signals.take().is_empty());
        for number in [libc::SIGUSR2, libc::SIGWINCH, libc::SIGUSR2] {
            signal_hook::low_level::raise(number).unwrap();
        }
        assert!(rings(&signals));
        let numbers: Vec<i32> = signals.take().into_iter().map(Signal::number).collect();
        assert_eq!(numbers, [libc::SIGUSR2, libc::SIGWINCH]);
        assert!(!rings(&signals) && signals.take().is_empty());
    }
}
