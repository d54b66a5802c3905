//! The monitor's loop: connections of the sandbox protocol, and news of the host's streams.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use stockade_native::rest::{REST_AFTER, rest};
use stockade_sandbox::protocol::{
    Connection, ContainerRequest, CreateContainer, Empty, ExecProcess, ExitStatus, Incoming, Method, ProcessRequest,
    Processes, Resize, SignalRequest, StatsReply, Update,
};
use stockade_sandbox::{Error, IsolationClass, Result};

use super::sandbox::Sandbox;
use super::stream::Stream;

/// Names a process of the sandbox: its container, and its own name (an init has none).
pub(super) type ProcessName = (String, String);

/// How processes ended; told by the kernel's threads, read by the loop.
#[derive(Debug)]
pub(super) struct Endings {
    ended: Mutex<Vec<(ProcessName, i32)>>,
    bell: OwnedFd,
}

impl Endings {
    fn new() -> rustix::io::Result<Arc<Self>> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { ended: Mutex::default(), bell }))
    }

    /// A process ended with this wait status.
    pub(super) fn tell(&self, name: ProcessName, wait_status: i32) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push((name, wait_status));
        // Full only when nobody has read 2^64 rings.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    fn take(&self) -> Vec<(ProcessName, i32)> {
        let _ = rustix::io::read(&self.bell, &mut [0_u8; 8]);
        std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A question whose answer waits for a process's end.
#[derive(Debug)]
struct Waiting {
    source: u64,
    stream: u32,
    name: ProcessName,
}

/// Who makes the loop turn.
#[derive(Debug)]
enum Origin {
    Peer(Connection),
    Stream(Arc<Stream>),
    /// It has news only when it is over.
    FileServer {
        /// Whose.
        container: String,
        _socket: OwnedFd,
    },
}

/// The loop.
#[derive(Debug)]
pub(super) struct Server {
    sandbox: Sandbox,
    listener: OwnedFd,
    epoll: OwnedFd,
    endings: Arc<Endings>,
    sources: BTreeMap<u64, Origin>,
    next_source: u64,
    waiting: Vec<Waiting>,
    lost_file_server: bool,
    ended: BTreeMap<ProcessName, i32>,
}

/// How long the loop waits when the host has no room for a connection.
const SCARCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const LISTENER: u64 = 0;
const ENDINGS: u64 = 1;

impl Server {
    pub(super) fn new(listener: OwnedFd, sandbox: Sandbox) -> std::result::Result<Self, String> {
        let failed = |errno: Errno| format!("cannot wait for events: {errno}");
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(failed)?;
        let endings = Endings::new().map_err(failed)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN).map_err(failed)?;
        epoll::add(&epoll, &endings.bell, EventData::new_u64(ENDINGS), EventFlags::IN).map_err(failed)?;
        Ok(Self {
            sandbox,
            listener,
            epoll,
            endings,
            sources: BTreeMap::new(),
            next_source: ENDINGS + 1,
            waiting: Vec::new(),
            lost_file_server: false,
            ended: BTreeMap::new(),
        })
    }

    /// Until the sandbox has nothing left to run.
    pub(super) fn run(mut self) -> std::result::Result<(), String> {
        let mut patience = Some(&REST_AFTER);
        while !self.is_done() {
            let mut events = Vec::with_capacity(16);
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), patience) {
                Ok(0) => {
                    patience = None;
                    rest();
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(format!("cannot wait for events: {errno}")),
            }
            for event in events {
                self.turn(event.data.u64());
            }
            if self.lost_file_server {
                return Err("lost the file server: it is gone".to_owned());
            }
            self.sandbox.run_woken();
        }
        self.sandbox.end();
        Ok(())
    }

    /// Whether every container ended, and everybody who asked knows.
    fn is_done(&self) -> bool {
        self.sandbox.is_over() && self.waiting.is_empty()
    }

    fn turn(&mut self, source: u64) {
        match source {
            LISTENER => self.accept(),
            ENDINGS => self.settle(),
            _ => match self.sources.get_mut(&source) {
                Some(Origin::Stream(stream)) => stream.news(),
                Some(Origin::Peer(_)) => self.serve(source),
                Some(Origin::FileServer { .. }) => self.lost_file_server = true,
                None => {}
            },
        }
    }

    fn accept(&mut self) {
        match accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => {
                let source = self.next_source();
                if epoll::add(&self.epoll, &socket, EventData::new_u64(source), EventFlags::IN).is_ok() {
                    self.sources.insert(source, Origin::Peer(Connection::new(socket)));
                }
            }
            // The listener stays ready: without a pause the loop would spin until there is room.
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                let _over = poll(&mut [], Some(&SCARCE));
            }
            // A peer that has gone again is no loss.
            Err(_) => {}
        }
    }

    fn next_source(&mut self) -> u64 {
        self.next_source += 1;
        self.next_source
    }

    /// Hears when a file server ends.
    fn watch_file_server(&mut self, container: &str, socket: OwnedFd) -> Result<()> {
        let source = self.next_source();
        let watched = epoll::add(&self.epoll, &socket, EventData::new_u64(source), EventFlags::RDHUP);
        watched.map_err(|errno| Error::os("watch the file server", errno))?;
        let container = container.to_owned();
        self.sources.insert(source, Origin::FileServer { container, _socket: socket });
        Ok(())
    }

    /// A container's file server ends with its init, and that is no news.
    fn leave_file_server(&mut self, (id, process): &ProcessName) {
        if process.is_empty() {
            let is_its = |origin: &Origin| matches!(origin, Origin::FileServer { container, .. } if container == id);
            self.sources.retain(|_, origin| !is_its(origin));
        }
    }

    /// Hears a stream's news. A regular file has none.
    fn watch(&mut self, stream: Arc<Stream>) -> Result<()> {
        let source = self.next_source();
        let edges = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        match epoll::add(&self.epoll, stream.as_fd(), EventData::new_u64(source), edges) {
            Ok(()) => {
                self.sources.insert(source, Origin::Stream(stream));
                Ok(())
            }
            Err(Errno::PERM | Errno::EXIST) => Ok(()),
            Err(errno) => Err(Error::os("watch a stream", errno)),
        }
    }

    /// Answers what a peer asked; forgets a peer that is gone or talks nonsense.
    fn serve(&mut self, source: u64) {
        loop {
            let Some(Origin::Peer(connection)) = self.sources.get_mut(&source) else { return };
            match connection.request() {
                Ok(Some(request)) => {
                    let stream = request.stream;
                    if let Some(answer) = self.answer(source, request) {
                        self.respond(source, stream, answer);
                    }
                }
                Ok(None) => return,
                Err(_) => return self.forget(source),
            }
        }
    }

    fn respond(&mut self, source: u64, stream: u32, answer: Result<Vec<u8>>) {
        let Some(Origin::Peer(connection)) = self.sources.get(&source) else { return };
        if connection.respond(stream, answer).is_err() {
            self.forget(source);
        }
    }

    /// Without its proxy an init has nobody to live for.
    fn forget(&mut self, source: u64) {
        if let Some(Origin::Peer(connection)) = self.sources.remove(&source) {
            let _ = epoll::delete(&self.epoll, &connection);
        }
        let (gone, rest) = std::mem::take(&mut self.waiting).into_iter().partition(|wait| wait.source == source);
        self.waiting = rest;
        let gone: Vec<Waiting> = gone;
        for Waiting { name: (id, process), .. } in gone {
            self.sandbox.abandon(&id, &process);
        }
    }

    /// `None` when the answer comes later.
    fn answer(&mut self, source: u64, request: Incoming) -> Option<Result<Vec<u8>>> {
        let Incoming { stream, method, payload, descriptors } = request;
        match method {
            Method::Wait => self.wait(source, stream, &payload),
            Method::Processes => Some(self.processes(&payload)),
            Method::Stats => Some(self.stats(&payload)),
            _ => Some(self.act(method, &payload, descriptors).map(|()| Empty {}.encode_to_vec())),
        }
    }

    fn wait(&mut self, source: u64, stream: u32, payload: &[u8]) -> Option<Result<Vec<u8>>> {
        let ProcessRequest { id, process } = match decode(payload) {
            Ok(request) => request,
            Err(error) => return Some(Err(error)),
        };
        let name = (id, process);
        if let Some(status) = self.ended.get(&name) {
            return Some(Ok(ExitStatus { wait_status: *status }.encode_to_vec()));
        }
        self.waiting.push(Waiting { source, stream, name });
        None
    }

    fn processes(&self, payload: &[u8]) -> Result<Vec<u8>> {
        let entries = self.sandbox.processes(&decode::<ContainerRequest>(payload)?.id)?;
        Ok(Processes { pids: Vec::new(), entries }.encode_to_vec())
    }

    fn stats(&self, payload: &[u8]) -> Result<Vec<u8>> {
        let stats = self.sandbox.stats(&decode::<ContainerRequest>(payload)?.id)?;
        let stats = serde_json::to_vec(&stats).map_err(|error| Error::Other(error.to_string()))?;
        Ok(StatsReply { stats }.encode_to_vec())
    }

    fn act(&mut self, method: Method, payload: &[u8], descriptors: Vec<OwnedFd>) -> Result<()> {
        match method {
            Method::Create => {
                let request: CreateContainer = decode(payload)?;
                // One that is started again has the name of one that ended.
                self.ended.remove(&(request.id.clone(), String::new()));
                let watched = self.sandbox.create(&request, descriptors, &self.endings)?;
                let file_server = watched.file_server;
                file_server.map_or(Ok(()), |socket| self.watch_file_server(&request.id, socket))?;
                watched.streams.into_iter().try_for_each(|stream| self.watch(stream))
            }
            Method::Exec => {
                let request: ExecProcess = decode(payload)?;
                self.ended.remove(&(request.id.clone(), request.process.clone()));
                let streams = self.sandbox.exec(&request, descriptors, &self.endings)?;
                streams.into_iter().try_for_each(|stream| self.watch(stream))
            }
            Method::Start => self.sandbox.start_container(&decode::<ContainerRequest>(payload)?.id),
            Method::Signal => {
                let SignalRequest { id, process, signal, all } = decode(payload)?;
                self.sandbox.signal(&id, &process, signal, all)
            }
            Method::Update => {
                let Update { id, resources } = decode(payload)?;
                self.sandbox.update(&id, &resources)
            }
            Method::Resize => {
                let Resize { id, process, rows, columns } = decode(payload)?;
                self.sandbox.resize(&id, &process, rows, columns)
            }
            other => Err(Error::Unsupported {
                class: IsolationClass::Kernel,
                what: format!("serve {}", other.name()),
                why: "the host does this by the container's control group".to_owned(),
            }),
        }
    }

    /// Tells who waited for the processes that ended.
    fn settle(&mut self) {
        for (name, wait_status) in self.endings.take() {
            self.sandbox.forget(&name.0, &name.1);
            self.leave_file_server(&name);
            let (told, rest): (Vec<_>, _) =
                std::mem::take(&mut self.waiting).into_iter().partition(|wait| wait.name == name);
            self.waiting = rest;
            for Waiting { source, stream, .. } in told {
                self.respond(source, stream, Ok(ExitStatus { wait_status }.encode_to_vec()));
            }
            self.ended.insert(name, wait_status);
        }
    }
}

fn decode<M: Message + Default>(payload: &[u8]) -> Result<M> {
    M::decode(payload).map_err(|_| Error::Other("malformed message".to_owned()))
}
