//! The loop between processes of the host and an agent that a test plays.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prost::Message;
use rustix::event::{EventfdFlags, eventfd};
use stockade_hosted::files::listen_in;
use stockade_sandbox::protocol::{
    Client, Configure, Connection, ContainerRequest, CreateContainer, Empty, Event, ExitStatus, FdRole, GuestInterface,
    GuestNetwork, GuestRoot, Incoming, Method, OomRequest, ProcessRequest, Processes, STREAM_PORT,
};
use stockade_sandbox::{Error, Result};

use super::console::Console;
use super::machine::{Guest, Later};
use super::server::Server;
use crate::settings::Settings;

const SOCKET: &str = "monitor.sock";
const PATIENCE: Duration = Duration::from_secs(30);
/// Slots for what comes and goes, in this play.
const PLUGS_MAX: usize = 2;

/// What a guest has to offer, played from outside.
struct Played {
    made: Mutex<VecDeque<UnixStream>>,
    /// Streams that the monitor opened, the test's ends.
    streams: Mutex<VecDeque<UnixStream>>,
    connected: OwnedFd,
    ended: OwnedFd,
    paused: Mutex<Vec<&'static str>>,
    /// Disks that came and left.
    plugged: Mutex<Vec<String>>,
}

impl Played {
    fn ring(bell: &OwnedFd) {
        rustix::io::write(bell, &1_u64.to_ne_bytes()).expect("ring");
    }
}

#[derive(Clone)]
struct Share(Arc<Played>);

impl Guest for Share {
    type Slot = String;

    fn plug(&self, serial: &str, disk: Later) -> std::result::Result<String, String> {
        let mut plugged = self.0.plugged.lock().expect("no panic");
        if plugged.len() == PLUGS_MAX {
            return Err("no empty slot".to_owned());
        }
        plugged.push(match disk {
            Later::Layers(files) => format!("{serial} of {}", files.len()),
            Later::Upper(_) => format!("{serial} kept"),
            Later::Scratch(_) => format!("{serial} lost"),
        });
        Ok(serial.to_owned())
    }

    fn unplug(&self, slot: String) {
        self.0.plugged.lock().expect("no panic").push(format!("no {slot}"));
    }

    fn connect(&self, port: u32) -> io::Result<UnixStream> {
        assert_eq!(port, STREAM_PORT);
        let (ours, theirs) = UnixStream::pair()?;
        self.0.streams.lock().expect("no panic").push_back(theirs);
        Ok(ours)
    }

    fn accept(&self) -> Option<UnixStream> {
        let first = self.0.made.lock().expect("no panic").pop_front();
        let _ = rustix::io::read(&self.0.connected, &mut [0_u8; 8]);
        first
    }

    fn connected(&self) -> BorrowedFd<'_> {
        self.0.connected.as_fd()
    }

    fn ended(&self) -> BorrowedFd<'_> {
        self.0.ended.as_fd()
    }

    fn outcome(&self) -> String {
        "it crashed".to_owned()
    }

    fn pause(&self) -> std::result::Result<(), String> {
        self.0.paused.lock().expect("no panic").push("pause");
        Ok(())
    }

    fn resume(&self) -> std::result::Result<(), String> {
        self.0.paused.lock().expect("no panic").push("resume");
        Ok(())
    }

    fn vcpus(&self) -> u8 {
        1
    }

    fn memory_mib(&self) -> usize {
        256
    }
}

struct Case {
    guest: Arc<Played>,
    directory: tempfile::TempDir,
    console: Console,
    server: JoinHandle<std::result::Result<(), String>>,
}

impl Case {
    fn new() -> Self {
        let bell = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("a bell");
        let guest = Arc::new(Played {
            made: Mutex::default(),
            streams: Mutex::default(),
            connected: bell(),
            ended: bell(),
            paused: Mutex::default(),
            plugged: Mutex::default(),
        });
        let directory = tempfile::tempdir().expect("a directory");
        let listener = listen_in(directory.path(), SOCKET).expect("listen");
        let settings =
            Settings { memory_mib: 256, vcpus: 1, slots: 2, hostname: "web".into(), descriptors: Vec::new() };
        let (console, share) = (Console::default(), Share(guest.clone()));
        let server = Server::new(listener, share, console.clone(), &settings).expect("a server");
        Self { guest, directory, console, server: thread::spawn(move || server.run()) }
    }

    /// The agent connects and is told of its machine.
    fn agent(&self) -> Agent {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        ours.set_read_timeout(Some(PATIENCE)).expect("a limit");
        self.guest.made.lock().expect("no panic").push_back(theirs);
        Played::ring(&self.guest.connected);
        let mut agent = Agent(Connection::new(ours.into()));
        agent.answer(Method::Configure, Ok(Vec::new()));
        agent
    }

    fn client(&self) -> Client {
        Client::connect(&self.directory.path().join(SOCKET)).expect("connect")
    }

    /// A container with a pipe as its standard output; the reading end, and the connection that it lives for.
    fn container(&self, agent: &mut Agent) -> (io::PipeReader, UnixStream, Client) {
        let (reader, writer) = io::pipe().expect("a pipe");
        let mut client = self.client();
        let creator = thread::spawn(move || {
            let role = FdRole::Stdout.into();
            let request = CreateContainer { id: "web".into(), descriptors: vec![role], ..CreateContainer::default() };
            client.call::<Empty>(Method::Create, &request, &[writer.as_fd()]).expect("created");
            client
        });
        let request = agent.answer(Method::Create, Ok(Vec::new()));
        let request = CreateContainer::decode(&*request.payload).expect("a request");
        assert!(request.descriptors.is_empty() && request.streams.len() == 1, "{request:?}");
        let mut stream = self.guest.streams.lock().expect("no panic").pop_front().expect("a stream");
        let mut id = [0; 8];
        stream.read_exact(&mut id).expect("its id");
        assert_eq!(u64::from_be_bytes(id), request.streams[0].id);
        (reader, stream, creator.join().expect("no panic"))
    }
}

struct Agent(Connection);

impl Agent {
    fn next(&mut self, method: Method) -> Incoming {
        let request = self.0.request().expect("spoken").expect("in time");
        assert_eq!(request.method, method);
        request
    }

    fn answer(&mut self, method: Method, answer: Result<Vec<u8>>) -> Incoming {
        let request = self.next(method);
        self.0.respond(request.stream, answer).expect("answered");
        request
    }
}

fn wait(mut client: Client) -> JoinHandle<Result<i32>> {
    let request = ProcessRequest { id: "web".into(), process: String::new() };
    thread::spawn(move || client.call::<ExitStatus>(Method::Wait, &request, &[]).map(|status| status.wait_status))
}

#[test]
fn what_is_asked_early_waits_for_the_agent_and_the_end_for_the_last_words() {
    let case = Case::new();
    let mut agent = case.agent();
    let (mut reader, mut stream, client) = case.container(&mut agent);
    let waiter = wait(client);
    agent.answer(Method::Wait, Ok(ExitStatus { wait_status: 0x700 }.encode_to_vec()));
    stream.write_all(b"last words").expect("said");
    drop(stream);
    assert_eq!(waiter.join().expect("no panic").expect("told"), 0x700);
    let mut heard = String::new();
    reader.read_to_string(&mut heard).expect("heard");
    assert_eq!(heard, "last words");
    assert_eq!(case.server.join().expect("no panic"), Ok(()));
}

#[test]
fn a_guest_that_ends_early_is_told_with_its_console() {
    let case = Case::new();
    let mut client = case.client();
    let asker = thread::spawn(move || {
        client.call::<Empty>(Method::Create, &CreateContainer::default(), &[]).expect_err("no guest").to_string()
    });
    while case.console.lines().is_empty() {
        case.console.clone().write_all(b"Kernel panic - not syncing\n").expect("said");
    }
    // The question must have arrived before the end does.
    thread::sleep(Duration::from_millis(200));
    Played::ring(&case.guest.ended);
    let error = asker.join().expect("no panic");
    assert!(error.contains("it crashed") && error.contains("Kernel panic - not syncing"), "{error}");
    assert!(case.server.join().expect("no panic").is_err());
}

#[test]
fn an_agent_that_talks_nonsense_ends_the_sandbox() {
    for nonsense in [&[0xff; 64][..], &[0, 0, 0, 0, 0, 0, 0, 99, 2, 0]] {
        let case = Case::new();
        let mut agent = case.agent();
        let (_reader, _stream, client) = case.container(&mut agent);
        let waiter = wait(client);
        agent.next(Method::Wait);
        rustix::io::write(&agent.0, nonsense).expect("said");
        assert!(waiter.join().expect("no panic").is_err());
        let error = case.server.join().expect("no panic").expect_err("it ends");
        assert!(error.contains("lost the guest's agent"), "{error}");
    }
}

#[test]
fn answers_of_the_wrong_kind_reach_nobody() {
    let case = Case::new();
    let mut agent = case.agent();
    let (_reader, _stream, client) = case.container(&mut agent);
    let mut other = case.client();
    let asker =
        thread::spawn(move || other.call::<Processes>(Method::Processes, &ContainerRequest { id: "web".into() }, &[]));
    agent.answer(Method::Processes, Ok(vec![0xff; 100]));
    let error = asker.join().expect("no panic").expect_err("nonsense").to_string();
    assert_eq!(error, "the guest's agent answered nonsense");
    drop(client);
    assert_eq!(case.server.join().expect("no panic"), Ok(()));
}

#[test]
fn only_the_monitor_shuts_down_and_only_it_pauses() {
    let case = Case::new();
    let mut agent = case.agent();
    let (_reader, _stream, client) = case.container(&mut agent);
    let mut other = case.client();
    let mut ask = |method| other.call::<Empty>(method, &ContainerRequest { id: "web".into() }, &[]);
    assert!(matches!(ask(Method::Shutdown), Err(Error::Unsupported { .. })));
    ask(Method::Pause).expect("paused");
    ask(Method::Resume).expect("resumed");
    assert_eq!(*case.guest.paused.lock().expect("no panic"), ["pause", "resume"]);
    drop(client);
    assert_eq!(case.server.join().expect("no panic"), Ok(()));
}

/// However many want to know, the agent has one question, and what it has told already is not asked for again.
#[test]
fn news_of_memory_is_asked_for_once() {
    let case = Case::new();
    let mut agent = case.agent();
    let (_reader, _stream, client) = case.container(&mut agent);
    let ask = |seen| {
        let mut other = case.client();
        let request = OomRequest { id: "web".into(), seen };
        thread::spawn(move || other.call::<Event>(Method::WaitOom, &request, &[]).map(|event| event.oom_kills))
    };
    let news = |oom_kills| Ok(Event { id: "web".into(), oom_kills }.encode_to_vec());
    let all = [ask(0), ask(0), ask(1)];
    agent.answer(Method::WaitOom, news(2));
    for one in all {
        assert_eq!(one.join().expect("no panic").expect("told"), 2);
    }
    let last = ask(2);
    let question = agent.answer(Method::WaitOom, news(2));
    assert_eq!(OomRequest::decode(&*question.payload).expect("a request").seen, 2);
    let error = last.join().expect("no panic").expect_err("no news").to_string();
    assert_eq!(error, "the guest's agent told no news");
    drop(client);
    assert_eq!(case.server.join().expect("no panic"), Ok(()));
}

#[test]
fn a_failed_start_of_a_container_ends_the_machine() {
    let case = Case::new();
    let mut agent = case.agent();
    let mut client = case.client();
    let asker = thread::spawn(move || client.call::<Empty>(Method::Create, &CreateContainer::default(), &[]));
    agent.answer(Method::Create, Err(Error::ExecutableNotFound("nothing".into())));
    let error = asker.join().expect("no panic").expect_err("refused");
    assert!(matches!(error, Error::ExecutableNotFound(_)), "{error}");
    assert_eq!(case.server.join().expect("no panic"), Ok(()));
}

fn network(mac: usize) -> GuestNetwork {
    let card = GuestInterface { mac: vec![2; mac], name: "eth0".into(), ..GuestInterface::default() };
    GuestNetwork { interfaces: vec![card], ..GuestNetwork::default() }
}

#[test]
fn the_network_is_the_launchers_to_say_and_nothing_else_is() {
    let case = Case::new();
    let mut agent = case.agent();
    let (_reader, _stream, first) = case.container(&mut agent);
    let ask = |network: GuestNetwork| {
        let mut client = case.client();
        let hostname = "other".into();
        let configure = Configure { network: Some(network), hostname, time_ns: 7, ..Configure::default() };
        thread::spawn(move || client.call::<Empty>(Method::Configure, &configure, &[]))
    };
    let asked = ask(network(6));
    let told = agent.answer(Method::Configure, Ok(Vec::new()));
    let expected = Configure { network: Some(network(6)), ..Configure::default() };
    assert_eq!(Configure::decode(&*told.payload).expect("a message"), expected);
    asked.join().expect("no panic").expect("configured");
    let refused = ask(network(5)).join().expect("no panic").expect_err("no address");
    assert!(refused.to_string().contains("six bytes"), "{refused}");
    let failed = ask(network(6));
    agent.answer(Method::Configure, Err(Error::Other("no card".into())));
    assert!(failed.join().expect("no panic").is_err(), "and the machine goes on");
    drop(first);
    assert_eq!(case.server.join().expect("no panic"), Ok(()));
}

/// Asks for a container that joins, with a layer and a disk.
fn join(case: &Case, id: &str) -> JoinHandle<(Client, Result<Empty>)> {
    let mut client = case.client();
    let descriptors = vec![FdRole::Layer.into(), FdRole::Upper.into()];
    let root = Some(GuestRoot::default());
    let message = CreateContainer { id: id.into(), descriptors, root, ..CreateContainer::default() };
    thread::spawn(move || {
        let [layer, upper] = [(); 2].map(|()| tempfile::tempfile().expect("a file"));
        let made = client.call::<Empty>(Method::Create, &message, &[layer.as_fd(), upper.as_fd()]);
        (client, made)
    })
}

impl Case {
    /// A second container with disks of its own, which the agent makes.
    fn joined(&self, agent: &mut Agent) -> (Client, GuestRoot) {
        let second = join(self, "two");
        let passed = agent.answer(Method::Create, Ok(Vec::new()));
        let passed = CreateContainer::decode(&*passed.payload).expect("a request");
        let (second, made) = second.join().expect("no panic");
        made.expect("created");
        (second, passed.root.expect("a root"))
    }

    fn plugged(&self) -> Vec<String> {
        self.guest.plugged.lock().expect("no panic").clone()
    }
}

#[test]
fn a_container_that_joins_brings_its_disks_and_takes_them_along() {
    let case = Case::new();
    let mut agent = case.agent();
    let (_reader, _stream, first) = case.container(&mut agent);
    let (second, root) = case.joined(&mut agent);
    assert!(root.disk == "layers1" && root.upper.is_some_and(|upper| upper.disk == "upper1") && root.leave);
    let mut other = case.client();
    let pauser = thread::spawn(move || other.call::<Empty>(Method::Pause, &ContainerRequest { id: "two".into() }, &[]));
    agent.answer(Method::Pause, Ok(Vec::new()));
    pauser.join().expect("no panic").expect("paused");
    assert!(case.guest.paused.lock().expect("no panic").is_empty(), "the machine goes on");

    let (_third, refused) = join(&case, "three").join().expect("no panic");
    let said = refused.expect_err("no slots").to_string();
    assert!(said.contains("no empty slot: of the 2") && said.contains("dev.stockade.vm.slots"), "{said}");

    let mut watcher = case.client();
    let watcher =
        thread::spawn(move || watcher.call::<Event>(Method::WaitOom, &OomRequest { id: "two".into(), seen: 0 }, &[]));
    agent.next(Method::WaitOom);
    drop(second);
    assert!(matches!(watcher.join().expect("no panic"), Err(Error::NotFound)), "its news end with it");
    let gone = agent.answer(Method::Delete, Ok(Vec::new()));
    assert_eq!(ContainerRequest::decode(&*gone.payload).expect("a request").id, "two");
    let mut last = case.client();
    let asked = thread::spawn(move || last.call::<Empty>(Method::Start, &ContainerRequest { id: "web".into() }, &[]));
    agent.answer(Method::Start, Ok(Vec::new()));
    asked.join().expect("no panic").expect("started");
    drop(first);
    assert_eq!(case.server.join().expect("no panic"), Ok(()));
    assert_eq!(
        *case.guest.plugged.lock().expect("no panic"),
        ["layers1 of 1", "upper1 kept", "no layers1", "no upper1"],
        "and no third"
    );
}

#[test]
fn disks_that_a_guest_holds_on_to_stay() {
    let case = Case::new();
    let mut agent = case.agent();
    let (_reader, _stream, first) = case.container(&mut agent);
    let (second, _) = case.joined(&mut agent);
    drop(second);
    agent.answer(Method::Delete, Err(Error::Other("still in use".into())));
    let mut last = case.client();
    let asked = thread::spawn(move || last.call::<Empty>(Method::Start, &ContainerRequest { id: "web".into() }, &[]));
    agent.answer(Method::Start, Ok(Vec::new()));
    asked.join().expect("no panic").expect("the machine goes on");
    assert_eq!(case.plugged(), ["layers1 of 1", "upper1 kept"]);
    drop(first);
    assert_eq!(case.server.join().expect("no panic"), Ok(()));
}
