//! Streams that the host has opened, until a process takes them.
//!
//! What connects here is believed nothing: it must be the host, there are only so many at a time, each has only so long
//! to say its id, and a second one with the same id is closed.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use crate::world::World;

/// Streams that wait at once.
const WAITING_MAX: usize = 256;
/// How long one may wait, to name itself or to be taken.
const PATIENCE: Duration = Duration::from_secs(30);
const ID_BYTES: usize = 8;

/// The listening socket, and who came.
#[derive(Debug)]
pub(crate) struct Lobby {
    world: World,
    listener: OwnedFd,
    waiting: Vec<Guest>,
}

/// One that waits.
#[derive(Debug)]
struct Guest {
    socket: OwnedFd,
    id: [u8; ID_BYTES],
    read: usize,
    since: Instant,
}

impl Guest {
    fn name(&self) -> Option<u64> {
        (self.read == ID_BYTES).then(|| u64::from_be_bytes(self.id))
    }

    /// Reads on; false when it left without a name.
    fn listen(&mut self) -> bool {
        while self.read < ID_BYTES {
            match rustix::io::read(&self.socket, &mut self.id[self.read..]) {
                Ok(0) => return false,
                Ok(count) => self.read += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        true
    }
}

impl Lobby {
    /// Takes streams from a listening socket that does not block.
    pub(crate) fn new(world: World, listener: OwnedFd) -> Self {
        Self { world, listener, waiting: Vec::new() }
    }

    /// What to wait for: the listener while there is room, and those that have not named themselves.
    pub(crate) fn interests(&self) -> impl Iterator<Item = (&OwnedFd, PollFlags)> {
        let listener = (self.waiting.len() < WAITING_MAX).then_some(&self.listener);
        let nameless = self.waiting.iter().filter(|guest| guest.name().is_none()).map(|guest| &guest.socket);
        listener.into_iter().chain(nameless).map(|socket| (socket, PollFlags::IN))
    }

    /// Hears whoever came or speaks, and sends those away who waited for too long.
    pub(crate) fn turn(&mut self, now: Instant) {
        self.accept(now);
        let mut known: Vec<u64> = Vec::new();
        self.waiting.retain_mut(|guest| {
            let stays = guest.listen() && now.duration_since(guest.since) < PATIENCE;
            let is_new = guest.name().is_none_or(|name| !known.contains(&name));
            known.extend(guest.name());
            stays && is_new
        });
    }

    fn accept(&mut self, now: Instant) {
        while self.waiting.len() < WAITING_MAX {
            match accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) if !self.world.is_from_host(&socket) => {}
                Ok(socket) => self.waiting.push(Guest { socket, id: [0; ID_BYTES], read: 0, since: now }),
                // One that has gone again.
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// When the next one has waited for too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|guest| guest.since + PATIENCE).min()
    }

    /// Whether all of these are here.
    pub(crate) fn has_all(&self, ids: impl IntoIterator<Item = u64>) -> bool {
        ids.into_iter().all(|id| self.waiting.iter().any(|guest| guest.name() == Some(id)))
    }

    /// Takes one out.
    pub(crate) fn take(&mut self, id: u64) -> Option<OwnedFd> {
        let place = self.waiting.iter().position(|guest| guest.name() == Some(id))?;
        Some(self.waiting.swap_remove(place).socket)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn lobby() -> (tempfile::TempDir, Lobby) {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("s")).expect("listen");
        listener.set_nonblocking(true).expect("set it up");
        let world = World::Host(dir.path().to_owned());
        (dir, Lobby::new(world, listener.into()))
    }

    fn come(dir: &tempfile::TempDir, said: &[u8]) -> UnixStream {
        let mut socket = UnixStream::connect(dir.path().join("s")).expect("connect");
        socket.write_all(said).expect("write");
        socket
    }

    #[test]
    fn a_stream_waits_under_its_name() {
        let (dir, mut lobby) = lobby();
        let mut stream = come(&dir, &[0, 0, 0, 0, 0, 0, 0]);
        lobby.turn(Instant::now());
        assert!(!lobby.has_all([7]));
        stream.write_all(b"\x07hello").expect("write");
        lobby.turn(Instant::now());
        assert!(lobby.has_all([7]) && !lobby.has_all([7, 8]));
        let mut rest = [0; 5];
        UnixStream::from(lobby.take(7).expect("it is here")).read_exact(&mut rest).expect("read");
        assert_eq!((&rest, lobby.take(7).is_none()), (b"hello", true));
    }

    #[test]
    fn intruders_are_few_and_leave() {
        let (dir, mut lobby) = lobby();
        let first = come(&dir, &7_u64.to_be_bytes());
        let now = Instant::now();
        lobby.turn(now);
        let mut second = come(&dir, &7_u64.to_be_bytes());
        lobby.turn(now);
        assert_eq!(second.read(&mut [0; 1]).expect("it was closed"), 0);
        drop(come(&dir, b"x"));
        lobby.turn(now);
        assert_eq!(lobby.waiting.len(), 1);
        let silent: Vec<_> = (0..100).map(|_| come(&dir, b"")).collect();
        lobby.turn(now);
        assert_eq!(lobby.waiting.len(), 101);
        lobby.turn(now + PATIENCE);
        assert_eq!(lobby.waiting.len(), 0);
        drop((first, silent));
    }
}
