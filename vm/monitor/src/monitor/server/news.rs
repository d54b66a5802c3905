//! News of memory: one question to the agent for each container, however many of the host's processes want to know. A
//! guest is asked again only when somebody waits for more than it has told.

use prost::Message;
use stockade_sandbox::protocol::{Event, Method, OomRequest};
use stockade_sandbox::{Error, Result};

use super::super::agent::Asker;
use super::super::machine::Guest;
use super::Server;

/// Processes of the host that wait for news of one container.
const WAITING_MAX: usize = 256;

/// Of one container.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Processes that were killed, by the agent's words.
    kills: u64,
    is_asked: bool,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    source: u64,
    stream: u32,
    /// How many it knows of.
    seen: u64,
}

impl News {
    fn answer(&self, id: &str) -> Vec<u8> {
        Event { id: id.to_owned(), oom_kills: self.kills }.encode_to_vec()
    }

    /// Takes note of what the agent said; who is to be told. None where it said nothing new.
    fn tell(&mut self, kills: u64) -> Option<Vec<Waiting>> {
        if kills <= self.kills {
            return None;
        }
        self.kills = kills;
        Some(self.waiting.extract_if(.., |one| one.seen < kills).collect())
    }

    /// Nobody waits any more.
    fn end(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting)
    }
}

impl<G: Guest> Server<G> {
    /// A peer wants to hear of more than it knows.
    pub(super) fn want_news(&mut self, asker: Asker, request: &OomRequest) -> Result<Option<Vec<u8>>> {
        let Asker::Peer { source, stream } = asker else { return Ok(None) };
        if !self.live.contains_key(&request.id) {
            return Err(Error::NotFound);
        }
        let news = self.news.entry(request.id.clone()).or_default();
        if news.kills > request.seen {
            return Ok(Some(news.answer(&request.id)));
        }
        if news.waiting.len() == WAITING_MAX {
            return Err(Error::Other("too many wait for news of this container".to_owned()));
        }
        news.waiting.push(Waiting { source, stream, seen: request.seen });
        self.ask_for_news(&request.id).map(|()| None)
    }

    /// The agent has told something, or will not.
    pub(super) fn hear_news(&mut self, id: &str, said: Result<Vec<u8>>) {
        let Some(news) = self.news.get_mut(id) else { return };
        news.is_asked = false;
        let told = said.map(|payload| Event::decode(&*payload).map_or(0, |event| event.oom_kills));
        let (due, answer) = match told.map(|kills| news.tell(kills)) {
            Ok(Some(due)) => (due, Ok(news.answer(id))),
            Ok(None) => (news.end(), Err("the guest's agent told no news".to_owned())),
            Err(error) => (news.end(), Err(error.to_string())),
        };
        due.iter().for_each(|one| self.respond(one.source, one.stream, answer.clone().map_err(Error::Other)));
        if let Err(error) = self.ask_for_news(id) {
            tracing::warn!("ask for news: {error}");
        }
    }

    fn ask_for_news(&mut self, id: &str) -> Result<()> {
        let Some(news) = self.news.get_mut(id) else { return Ok(()) };
        if news.is_asked || news.waiting.is_empty() {
            return Ok(());
        }
        let request = OomRequest { id: id.to_owned(), seen: news.kills };
        let process = (id.to_owned(), String::new());
        self.agent.ask(Asker::Monitor, Method::WaitOom, process, request.encode_to_vec())?;
        news.is_asked = true;
        Ok(())
    }

    /// A peer is gone.
    pub(super) fn forget_news(&mut self, source: u64) {
        self.news.values_mut().for_each(|news| news.waiting.retain(|one| one.source != source));
    }

    /// There will be no more of one container: whoever looks after it waits for nothing else.
    pub(super) fn end_news_of(&mut self, id: &str) {
        let waiting = self.news.remove(id).map(|mut news| news.end()).unwrap_or_default();
        waiting.iter().for_each(|one| self.respond(one.source, one.stream, Err(Error::NotFound)));
    }

    /// All who wait, because there will be no more.
    pub(super) fn end_news(&mut self) -> Vec<(u64, u32)> {
        self.news.values_mut().flat_map(News::end).map(|one| (one.source, one.stream)).collect()
    }
}
