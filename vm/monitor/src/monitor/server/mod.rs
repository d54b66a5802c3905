//! The monitor's loop: connections of the sandbox protocol, the agent, and the streams between host and guest.

mod disks;
mod news;
mod requests;
mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prost::Message;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::rand::{GetRandomFlags, getrandom};
use stockade_native::rest::{REST_AFTER, rest};
use stockade_sandbox::protocol::{Configure, Connection, Incoming, Method, Share, SignalRequest};
use stockade_sandbox::{Error, IsolationClass, Result};

use self::disks::Slots;
use self::news::News;
use super::agent::{Agent, Answered, Asker, ProcessName};
use super::answers;
use super::console::Console;
use super::machine::Guest;
use super::relay::Relay;
use crate::settings::Settings;

/// How long a guest may take from its start to its agent's first word. Guests on an emulated host take long.
const BOOT_PATIENCE: Duration = Duration::from_secs(180);
/// How long output may keep silent after the agent has told of a process's end.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(1);
/// How long a reader may leave it lying then.
const READER_PATIENCE: Duration = Duration::from_secs(10);
/// How long those who wait for other processes of a container may still be told after its init's end.
const END_PATIENCE: Duration = Duration::from_millis(500);
/// How often times are looked at, where there are some to keep.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

const LISTENER: u64 = 0;
const ENDED: u64 = 1;
const CONNECTED: u64 = 2;
const AGENT: u64 = 3;
const FIRST_FREE: u64 = 4;

const SIGKILL: i32 = 9;
/// Connections of the guest that are looked at in one turn.
const CONNECTIONS_MAX: usize = 16;

/// Where the guest is.
#[derive(Debug)]
enum Phase {
    /// It boots; what is asked waits.
    Boots { early: Vec<(u64, Incoming)> },
    /// Its agent serves.
    Serves,
}

/// The end of a process, told once all that it said is with the host.
#[derive(Debug)]
struct Held {
    source: u64,
    stream: u32,
    process: ProcessName,
    answer: Vec<u8>,
    since: Instant,
}

/// The loop.
pub(super) struct Server<G: Guest> {
    guest: G,
    console: Console,
    hostname: String,
    shares: Vec<Share>,
    listener: OwnedFd,
    epoll: OwnedFd,
    peers: BTreeMap<u64, Connection>,
    relays: BTreeMap<u64, Relay>,
    /// Relays that may have more at once.
    busy: BTreeSet<u64>,
    next: u64,
    next_stream_id: u64,
    agent: Agent,
    phase: Phase,
    started: Instant,
    held: Vec<Held>,
    /// Of containers for which somebody asked.
    news: BTreeMap<String, News>,
    /// Containers whose init lives or waits for its start, and the connection that each lives for.
    live: BTreeMap<String, u64>,
    /// When the last of them ended.
    ended_at: Option<Instant>,
    /// The container that the machine was made for.
    owner: Option<String>,
    /// How many slots the machine has for disks of others, which have these.
    slots: usize,
    disks: BTreeMap<String, Slots<G::Slot>>,
    last_disk: u64,
}

impl<G: Guest> Server<G> {
    pub(super) fn new(
        listener: OwnedFd,
        guest: G,
        console: Console,
        settings: &Settings,
    ) -> std::result::Result<Self, String> {
        let failed = |errno: Errno| format!("cannot wait for events: {errno}");
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(failed)?;
        let sources = [(LISTENER, listener.as_fd()), (ENDED, guest.ended()), (CONNECTED, guest.connected())];
        for (token, fd) in sources {
            epoll::add(&epoll, fd, EventData::new_u64(token), EventFlags::IN).map_err(failed)?;
        }
        let seed = random()?;
        Ok(Self {
            guest,
            console,
            hostname: settings.hostname.clone(),
            shares: settings.shares().map(|tag| Share { tag: tag.to_owned() }).collect(),
            listener,
            epoll,
            peers: BTreeMap::new(),
            relays: BTreeMap::new(),
            busy: BTreeSet::new(),
            next: FIRST_FREE,
            next_stream_id: u64::from_ne_bytes(seed),
            agent: Agent::default(),
            phase: Phase::Boots { early: Vec::new() },
            started: Instant::now(),
            held: Vec::new(),
            news: BTreeMap::new(),
            live: BTreeMap::new(),
            ended_at: None,
            owner: None,
            slots: settings.slots,
            disks: BTreeMap::new(),
            last_disk: 0,
        })
    }

    /// Until the sandbox has nothing left to run, or has lost its guest.
    pub(super) fn run(mut self) -> std::result::Result<(), String> {
        let served = self.serve();
        if let Err(reason) = &served {
            self.fail_all(reason);
            self.console.lines().iter().for_each(|line| tracing::error!("console: {line}"));
        }
        served
    }

    fn serve(&mut self) -> std::result::Result<(), String> {
        let mut rest_after = Some(&REST_AFTER);
        while !self.is_done() {
            let mut events = Vec::with_capacity(16);
            let patience = self.patience();
            let quiet = rest_after.filter(|_| patience.is_none());
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), patience.or(quiet)) {
                Ok(0) if quiet.is_some() => {
                    rest_after = None;
                    rest();
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(format!("cannot wait for events: {errno}")),
            }
            for event in events {
                self.turn(event.data.u64())?;
            }
            std::mem::take(&mut self.busy).into_iter().for_each(|relay| self.pump(relay));
            self.release_held();
            self.check_times()?;
        }
        Ok(())
    }

    fn patience(&self) -> Option<&'static Timespec> {
        let ticks = !self.held.is_empty() || self.live.is_empty() || self.agent.is_awaited();
        match (self.busy.is_empty(), ticks) {
            (false, _) => Some(&AT_ONCE),
            (true, true) => Some(&TICK),
            (true, false) => None,
        }
    }

    /// Whether every container ended, and everybody who asked knows, or has had the time; or nobody wants one.
    fn is_done(&self) -> bool {
        let is_alone = self.live.is_empty() && self.peers.is_empty() && self.started.elapsed() > BOOT_PATIENCE;
        is_alone
            || self
                .ended_at
                .is_some_and(|at| self.held.is_empty() && (!self.agent.has_waiters() || at.elapsed() > END_PATIENCE))
    }

    fn turn(&mut self, token: u64) -> std::result::Result<(), String> {
        match token {
            LISTENER => self.accept(),
            ENDED => return Err(format!("the guest has ended: {}", self.guest.outcome())),
            CONNECTED => self.agent_connects()?,
            AGENT => self.agent_speaks()?,
            _ if self.peers.contains_key(&token) => self.hear(token),
            _ => self.pump(token),
        }
        Ok(())
    }

    fn check_times(&mut self) -> std::result::Result<(), String> {
        for asker in self.agent.overdue() {
            if asker == Asker::Monitor {
                return Err("the guest's agent does not answer".to_owned());
            }
            self.settle(asker, Err(Error::Other("the guest's agent does not answer: remove it by force".to_owned())));
        }
        if self.agent.is_broken() {
            self.agent_speaks()?;
        }
        match &self.phase {
            Phase::Boots { .. } if self.started.elapsed() > BOOT_PATIENCE => {
                Err(format!("the guest's agent did not come within {} s of the start", BOOT_PATIENCE.as_secs()))
            }
            _ => Ok(()),
        }
    }

    fn token(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn watch(&self, fd: BorrowedFd<'_>, token: u64, flags: EventFlags) -> rustix::io::Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(token), flags)
    }

    fn accept(&mut self) {
        match accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => {
                let token = self.token();
                if self.watch(socket.as_fd(), token, EventFlags::IN).is_ok() {
                    self.peers.insert(token, Connection::new(socket));
                }
            }
            // The listener stays ready: without a pause the loop would spin until there is room.
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                let _over = poll(&mut [], Some(&TICK));
            }
            // A peer that has gone again is no loss.
            Err(_) => {}
        }
    }

    /// The agent is ready: it is told what its machine is to be like.
    fn agent_connects(&mut self) -> std::result::Result<(), String> {
        for _ in 0..CONNECTIONS_MAX {
            let Some(stream) = self.guest.accept() else { break };
            if !self.agent.connect(stream).map_err(|error| format!("talk to the agent: {error}"))? {
                tracing::warn!("the guest asked for a second control connection");
                continue;
            }
            let fd = self.agent.fd().ok_or("the agent is gone")?;
            self.watch(fd, AGENT, EventFlags::IN).map_err(|errno| format!("wait for the agent: {errno}"))?;
            let configure = self.configure()?.encode_to_vec();
            let asked = self.agent.ask(Asker::Monitor, Method::Configure, ProcessName::default(), configure);
            asked.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn configure(&self) -> std::result::Result<Configure, String> {
        let entropy = random::<64>()?.to_vec();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let time_ns = u64::try_from(now).unwrap_or_default();
        Ok(Configure { time_ns, entropy, hostname: self.hostname.clone(), network: None, shares: self.shares.clone() })
    }

    fn agent_speaks(&mut self) -> std::result::Result<(), String> {
        loop {
            match self.agent.answer() {
                Ok(Some(answered)) => self.answered(answered)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(format!("lost the guest's agent: {error}")),
            }
        }
    }

    fn answered(&mut self, answered: Answered) -> std::result::Result<(), String> {
        let Answered { question, result } = answered;
        let result = answers::checked(question.method, result);
        match (question.method, &result) {
            (Method::Configure, Ok(_)) => self.serve_early(),
            (Method::Configure, Err(error)) if matches!(self.phase, Phase::Boots { .. }) => {
                return Err(format!("the guest cannot be configured: {error}"));
            }
            (Method::Create, Ok(_)) => self.created(&question.process.0, question.asker),
            (Method::Create, Err(_)) => {
                self.drop_relays(&question.process);
                self.over(&question.process.0);
            }
            (Method::Exec, Err(_)) => self.drop_relays(&question.process),
            (Method::Delete, said) => self.removed(&question.process.0, said),
            // Whoever wanted it is gone.
            (Method::Exec, Ok(_)) if question.asker == Asker::Monitor => self.abandon(&question.process),
            _ => {}
        }
        match (question.method, result, question.asker) {
            (Method::WaitOom, said, _) => self.hear_news(&question.process.0, said),
            (Method::Wait, Ok(answer), Asker::Peer { source, stream }) => {
                self.held.push(Held { source, stream, process: question.process, answer, since: Instant::now() });
            }
            (_, result, asker) => self.settle(asker, result),
        }
        Ok(())
    }

    fn serve_early(&mut self) {
        if let Phase::Boots { early } = std::mem::replace(&mut self.phase, Phase::Serves) {
            early.into_iter().for_each(|(source, request)| self.pass_on(source, request));
        }
    }

    fn created(&mut self, container: &str, asker: Asker) {
        match asker {
            Asker::Peer { source, .. } => {
                self.live.insert(container.to_owned(), source);
            }
            // Whoever wanted it is gone.
            Asker::Monitor => self.abandon(&(container.to_owned(), String::new())),
        }
    }

    fn settle(&mut self, asker: Asker, answer: Result<Vec<u8>>) {
        if let Asker::Peer { source, stream } = asker {
            self.respond(source, stream, answer);
        }
    }

    fn respond(&mut self, source: u64, stream: u32, answer: Result<Vec<u8>>) {
        let Some(connection) = self.peers.get(&source) else { return };
        if connection.respond(stream, answer).is_err() {
            self.forget(source);
        }
    }

    /// Takes what a peer asks; forgets a peer that is gone or talks nonsense.
    fn hear(&mut self, source: u64) {
        loop {
            let Some(connection) = self.peers.get_mut(&source) else { return };
            match (connection.request(), &mut self.phase) {
                (Ok(Some(request)), Phase::Boots { early }) => early.push((source, request)),
                (Ok(Some(request)), Phase::Serves) => self.pass_on(source, request),
                (Ok(None), _) => return,
                (Err(_), _) => return self.forget(source),
            }
        }
    }

    /// Without its proxy a process has nobody to live for.
    fn forget(&mut self, source: u64) {
        if let Some(connection) = self.peers.remove(&source) {
            let _ = epoll::delete(&self.epoll, &connection);
        }
        self.held.retain(|held| held.source != source);
        self.forget_news(source);
        if let Phase::Boots { early } = &mut self.phase {
            let is_launcher = |method| matches!(method, Method::Configure | Method::Create);
            let first = early.iter().find(|(_, request)| is_launcher(request.method)).map(|(its, _)| *its);
            early.retain(|(its, _)| *its != source);
            if first == Some(source) {
                self.ended_at = Some(Instant::now());
            }
        }
        let waited = self.agent.forget(source).into_iter().filter(|(method, _)| *method == Method::Wait);
        let waited: Vec<ProcessName> = waited.map(|(_, process)| process).collect();
        let owned = self.live.iter().filter(|(_, owner)| **owner == source).map(|(id, _)| (id.clone(), String::new()));
        let abandoned: BTreeSet<ProcessName> = owned.chain(waited).collect();
        abandoned.iter().for_each(|process| self.abandon(process));
    }

    fn abandon(&mut self, process: &ProcessName) {
        let (id, name) = process.clone();
        if name.is_empty() {
            return self.over(&id);
        }
        let request = SignalRequest { id, process: name, signal: SIGKILL, all: false }.encode_to_vec();
        if let Err(error) = self.agent.ask(Asker::Monitor, Method::Signal, process.clone(), request) {
            tracing::warn!("cannot end an abandoned process: {error}");
        }
    }

    /// A container has ended, or will with the machine, or was never made.
    fn over(&mut self, container: &str) {
        self.live.remove(container);
        self.end_news_of(container);
        if self.live.is_empty() {
            self.ended_at.get_or_insert_with(Instant::now);
        } else {
            self.remove(container);
        }
    }

    /// Tells everybody who asked why there will be no answer. Who waits for a process hears the connection's end.
    fn fail_all(&mut self, reason: &str) {
        let text = format!("{reason}; {}", self.console.last_words());
        let mut asked: Vec<(u64, u32)> = Vec::new();
        if let Phase::Boots { early } = &self.phase {
            asked.extend(early.iter().map(|(source, request)| (*source, request.stream)));
        }
        for (method, asker) in self.agent.askers() {
            if let (false, Asker::Peer { source, stream }) = (method == Method::Wait, asker) {
                asked.push((source, stream));
            }
        }
        asked.extend(self.end_news());
        for (source, stream) in asked {
            if let Some(connection) = self.peers.get(&source) {
                // A peer that is gone needs no reason.
                let _ = connection.respond(stream, Err(Error::Other(text.clone())));
            }
        }
    }
}

/// Random bytes, fewer than 256, of which the kernel gives all at once (getrandom(2)).
fn random<const COUNT: usize>() -> std::result::Result<[u8; COUNT], String> {
    let mut bytes = [0; COUNT];
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(|errno| format!("get random bytes: {errno}"))?;
    Ok(bytes)
}

fn lacking(what: impl Into<String>, why: &str) -> Error {
    Error::Unsupported { class: IsolationClass::Vm, what: what.into(), why: why.to_owned() }
}
