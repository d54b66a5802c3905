//! Processes of a guest that were killed for lack of memory: a question that its monitor answers when there was one.

use std::os::fd::{AsFd, BorrowedFd};

use prost::Message;
use stockade_sandbox::protocol::{Client, Connection, Event, Method, OomRequest};
use stockade_sandbox::{ContainerId, Error, OomWatch, Result};

/// The one question that is open.
const STREAM: u32 = 1;
/// What is believed in all: a caller may tell of each, and a guest answers as fast as it likes.
const NEWS_MAX: u64 = 1000;

/// The asker.
#[derive(Debug)]
pub(super) struct GuestOom {
    id: String,
    connection: Connection,
    seen: u64,
    told: u64,
}

impl GuestOom {
    /// Asks a container's monitor.
    pub(super) fn watch(id: &ContainerId, client: Client) -> Result<Self> {
        let watch = Self { id: id.to_string(), connection: client.into_connection(), seen: 0, told: 0 };
        watch.ask().map(|()| watch)
    }

    fn ask(&self) -> Result<()> {
        let request = OomRequest { id: self.id.clone(), seen: self.seen };
        let asked = self.connection.ask(STREAM, Method::WaitOom, request.encode_to_vec(), &[]);
        asked.map_err(|error| Error::Other(format!("ask the sandbox's monitor: {error}")))
    }
}

impl OomWatch for GuestOom {
    fn fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }

    fn take(&mut self) -> Result<Option<u64>> {
        // Whatever else comes than an answer to the question, there will be no more.
        let Ok(Some(answer)) = self.connection.answer() else { return Ok(None) };
        let Ok(payload) = answer.result else { return Ok(None) };
        let Ok(event) = Event::decode(&*payload) else { return Ok(None) };
        if event.oom_kills <= self.seen {
            return Ok(None);
        }
        let news = (event.oom_kills - self.seen).min(NEWS_MAX - self.told);
        (self.seen, self.told) = (event.oom_kills, self.told + news);
        if news == 0 {
            return Ok(None);
        }
        Ok(self.ask().ok().map(|()| news))
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn kills_are_told_once_and_the_end_is_the_end() {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a pair");
        let mut monitor = Connection::new(theirs);
        let id = "web".parse().expect("an id");
        let mut watch = GuestOom::watch(&id, Client::new(Connection::new(ours))).expect("asked");
        let mut answer = |seen: u64, oom_kills: u64| {
            let request = monitor.request().expect("spoken").expect("a question");
            assert_eq!(OomRequest::decode(&*request.payload).expect("ours").seen, seen);
            let event = Event { id: "web".into(), oom_kills };
            monitor.respond(request.stream, Ok(event.encode_to_vec())).expect("answered");
        };
        answer(0, 2);
        assert_eq!(watch.take().expect("no failure"), Some(2));
        answer(2, 3);
        assert_eq!(watch.take().expect("no failure"), Some(1));
        answer(3, u64::MAX - 1);
        assert_eq!(watch.take().expect("no failure"), Some(NEWS_MAX - 3));
        answer(u64::MAX - 1, u64::MAX);
        assert_eq!(watch.take().expect("no failure"), None, "enough is enough");
        drop(monitor);
        assert_eq!(watch.take().expect("no failure"), None);
    }
}
