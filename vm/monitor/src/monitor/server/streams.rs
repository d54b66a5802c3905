//! Streams of processes, between host and guest.

use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use stockade_sandbox::protocol::{FdRole, STREAM_PORT, StreamId};
use stockade_sandbox::{Error, Result};

use super::super::agent::ProcessName;
use super::super::machine::Guest;
use super::super::relay::{Progress, Relay};
use super::{Held, OUTPUT_PATIENCE, READER_PATIENCE, Server, lacking};

impl<G: Guest> Server<G> {
    /// A connection to the guest for each stream of a process.
    pub(super) fn open_streams(
        &mut self,
        process: &ProcessName,
        roles: &[i32],
        descriptors: Vec<OwnedFd>,
    ) -> Result<Vec<StreamId>> {
        let mut streams = Vec::new();
        for (role, descriptor) in roles.iter().zip(descriptors) {
            let known = [FdRole::Stdin, FdRole::Stdout, FdRole::Stderr, FdRole::Terminal];
            let role = FdRole::try_from(*role).ok().filter(|role| known.contains(role));
            let role =
                role.ok_or_else(|| lacking("hand a descriptor to a process", "a guest has none of the host's"))?;
            let id = self.next_stream_id;
            self.next_stream_id = id.wrapping_add(1);
            let opened = self.open_stream(process, role, descriptor, id);
            opened.map_err(|error| Error::os("open a stream to the guest", error)).inspect_err(|_| {
                self.drop_relays(process);
            })?;
            streams.push(StreamId { role: role.into(), id });
        }
        Ok(streams)
    }

    fn open_stream(&mut self, process: &ProcessName, role: FdRole, host: OwnedFd, id: u64) -> std::io::Result<()> {
        let guest = self.guest.connect(STREAM_PORT)?;
        // A new socket takes eight bytes.
        rustix::io::write(&guest, &id.to_be_bytes())?;
        let relay = Relay::new(process.clone(), role, host, guest)?;
        let token = self.token();
        let edges = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        self.watch(relay.guest(), token, edges)?;
        match self.watch(relay.host(), token, edges) {
            // A regular file has no news.
            Ok(()) | Err(Errno::PERM) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.relays.insert(token, relay);
        self.busy.insert(token);
        Ok(())
    }

    pub(super) fn pump(&mut self, token: u64) {
        let Some(relay) = self.relays.get_mut(&token) else { return };
        match relay.pump() {
            Progress::More => {
                self.busy.insert(token);
            }
            Progress::Waits => {}
            Progress::Over => self.drop_relay(token),
        }
    }

    /// Its descriptors may be open elsewhere, so that closing them here does not end the wait for them.
    fn drop_relay(&mut self, token: u64) {
        let Some(relay) = self.relays.remove(&token) else { return };
        self.busy.remove(&token);
        for fd in [relay.host(), relay.guest()] {
            // A regular file was not waited for.
            let _ = epoll::delete(&self.epoll, fd);
        }
    }

    pub(super) fn drop_relays(&mut self, process: &ProcessName) {
        let of_it: Vec<u64> =
            self.relays.iter().filter(|(_, relay)| relay.process() == process).map(|(token, _)| *token).collect();
        of_it.into_iter().for_each(|token| self.drop_relay(token));
    }

    /// Tells of the ends of processes whose last words have arrived.
    pub(super) fn release_held(&mut self) {
        let (ready, rest) = std::mem::take(&mut self.held).into_iter().partition(|held| self.is_silent(held));
        self.held = rest;
        let ready: Vec<Held> = ready;
        for Held { source, stream, process, answer, .. } in ready {
            self.drop_relays(&process);
            self.respond(source, stream, Ok(answer));
            if process.1.is_empty() {
                self.over(&process.0);
            }
        }
    }

    fn is_silent(&self, held: &Held) -> bool {
        let mut output = self.relays.values().filter(|relay| relay.process() == &held.process && relay.is_output());
        output.all(|relay| {
            let patience = if relay.has_backlog() { READER_PATIENCE } else { OUTPUT_PATIENCE };
            relay.moved().max(held.since).elapsed() > patience
        })
    }
}
