//! The caller's signals as readable descriptors.

use std::io::Read;
use std::os::unix::net::UnixStream;

use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};

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
    watched: Vec<(i32, UnixStream, SigId)>,
}

impl Signals {
    /// Watches window changes, what is to be sent on, and what must not end the caller before its terminal is restored.
    pub(super) fn watch(proxy: SignalProxy, terminal: CallerTerminal) -> std::io::Result<Self> {
        let others = match (proxy, terminal) {
            (SignalProxy::Forward, _) => &FORWARDED[..],
            (SignalProxy::Off, CallerTerminal::Raw) => &ENDING[..],
            (SignalProxy::Off, CallerTerminal::Untouched) => &[],
        };
        let mut signals = Self { watched: Vec::new() };
        for &number in others.iter().chain(&[libc::SIGWINCH]) {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            let registration = pipe::register(number, theirs)?;
            signals.watched.push((number, ours, registration));
        }
        Ok(signals)
    }

    /// One descriptor per signal.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = &UnixStream> {
        self.watched.iter().map(|(_, stream, _)| stream)
    }

    /// The signals that came since the last call, each once.
    pub(super) fn take(&self) -> Vec<Signal> {
        let came = |stream: &UnixStream| {
            let mut stream: &UnixStream = stream;
            stream.read(&mut [0; 64]).is_ok_and(|length| length > 0)
        };
        let numbers = self.watched.iter().filter(|(_, stream, _)| came(stream)).map(|(number, _, _)| *number);
        numbers.filter_map(Signal::from_number).collect()
    }
}

/// Ends the caller as the signal would have done.
pub(super) fn end_by(signal: Signal) {
    // It returns only for signals that end nobody.
    let _ = signal_hook::low_level::emulate_default_handler(signal.number());
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (_, _, registration) in &self.watched {
            unregister(*registration);
        }
    }
}
