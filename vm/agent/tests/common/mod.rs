//! A host for an agent: the real program as process 1 of namespaces of its own, and the protocol's other end.
#![allow(dead_code)]

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus as ProgramStatus, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prost::Message;
use serde_json::{Value, json};
use stockade_sandbox::protocol::{
    Configure, Connection, ContainerRequest, CreateContainer, Empty, ExecProcess, ExitStatus, FdRole, GuestRoot,
    Method, ProcessRequest, ProtocolError, STREAM_PORT, Share, SharePath, StreamId,
};
use stockade_sandbox::{Error, Result};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
const APPLETS: [&str; 23] = [
    "sh", "true", "cat", "ls", "sleep", "ps", "echo", "dd", "tty", "stty", "ip", "mount", "grep", "wc", "touch",
    "kill", "hostname", "df", "id", "yes", "head", "readlink", "date",
];

/// A virtual machine's unix socket, whose first line says what port is meant.
pub const VSOCK: &str = "vsock";

static NEXT: AtomicU32 = AtomicU32::new(0);
static STREAM: AtomicU64 = AtomicU64::new(1);

/// An agent and its host.
pub struct Host {
    pub dir: TempDir,
    agent: Child,
    streams: PathBuf,
    listener: UnixListener,
    connection: Connection,
    question: u32,
    answers: HashMap<u32, Result<Vec<u8>>>,
}

/// The host's ends of a process's streams.
pub struct Streams {
    pub ids: Vec<StreamId>,
    pub sockets: Vec<UnixStream>,
}

impl Host {
    /// Starts an agent whose share `bundle` has a root of busybox.
    pub fn boot() -> Self {
        Self::boot_after("true")
    }

    /// The same; `script` runs first in the agent's namespaces.
    pub fn boot_after(script: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("agent-").tempdir().expect("a directory");
        fill_root(&dir.path().join("shares/bundle/rootfs"));
        let listener = UnixListener::bind(dir.path().join("control.sock")).expect("listen");
        let words =
            ["--pid", "--mount", "--net", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child", "sh", "-c"];
        let script = format!("mount -t tmpfs run /run && {script} && exec \"$0\" --host \"$1\"");
        let mut command = Command::new("unshare");
        command.args(words).arg(script).arg(program()).arg(dir.path());
        let agent = command.stdin(Stdio::null()).spawn().expect("unshare runs");
        let streams = dir.path().join("streams.sock");
        let mut host = Self::of(dir, agent, listener, streams);
        let shares = vec![Share { tag: "bundle".into() }];
        host.call::<Empty>(Method::Configure, &Configure { shares, ..Configure::default() }).expect("configure");
        host
    }

    /// The host of a program that runs an agent, which connects to `listener`.
    pub fn of(dir: TempDir, agent: Child, listener: UnixListener, streams: PathBuf) -> Self {
        let connection = accept(&listener);
        Self { dir, agent, streams, listener, connection, question: 1, answers: HashMap::new() }
    }

    /// Asks; the answer is fetched by its number.
    pub fn ask(&mut self, method: Method, request: &impl Message) -> u32 {
        let question = self.question;
        self.question += 2;
        self.connection.ask(question, method, request.encode_to_vec(), &[]).expect("ask");
        question
    }

    pub fn answer<A: Message + Default>(&mut self, question: u32) -> Result<A> {
        while !self.answers.contains_key(&question) {
            let answer = match self.connection.answer() {
                Err(ProtocolError::Closed) => return Err(Error::NotRunning),
                answer => answer.expect("the agent answers").expect("in time"),
            };
            self.answers.insert(answer.stream, answer.result);
        }
        let answer = self.answers.remove(&question).expect("it is there")?;
        Ok(A::decode(&*answer).expect("an answer"))
    }

    pub fn call<A: Message + Default>(&mut self, method: Method, request: &impl Message) -> Result<A> {
        let question = self.ask(method, request);
        self.answer(question)
    }

    /// Says something else than the protocol.
    pub fn say(&mut self, noise: &[u8]) {
        let _ = rustix_write(&self.connection, noise);
    }

    /// Takes the agent's next connection.
    pub fn reconnect(&mut self) {
        self.connection = accept(&self.listener);
        self.answers.clear();
    }

    /// Opens streams for these roles.
    pub fn open(&self, roles: &[FdRole]) -> Streams {
        let mut streams = Streams { ids: Vec::new(), sockets: Vec::new() };
        for role in roles {
            let id = STREAM.fetch_add(1, Ordering::Relaxed);
            streams.ids.push(StreamId { role: (*role).into(), id });
            streams.sockets.push(self.stream(&id.to_be_bytes()));
        }
        streams
    }

    /// Connects to where streams go, and says something.
    pub fn stream(&self, said: &[u8]) -> UnixStream {
        let mut socket = UnixStream::connect(&self.streams).expect("connect");
        socket.set_read_timeout(Some(LIMIT)).expect("set a limit");
        if self.streams.ends_with(VSOCK) {
            reach_guest(&mut socket);
        }
        socket.write_all(said).expect("write");
        socket
    }

    /// Makes a container that runs a script, with a spec changed by `change`.
    pub fn create(
        &mut self,
        script: &str,
        roles: &[FdRole],
        change: impl FnOnce(&mut CreateContainer, &mut Value),
    ) -> (String, Result<Vec<UnixStream>>) {
        let id = format!("agent-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let streams = self.open(roles);
        let mut spec = default_spec(script);
        spec["process"]["terminal"] = json!(roles == [FdRole::Terminal]);
        let directory = Some(SharePath { tag: "bundle".into(), path: "rootfs".into() });
        let mut message = CreateContainer {
            id: id.clone(),
            streams: streams.ids,
            root: Some(GuestRoot { directory, ..GuestRoot::default() }),
            ..CreateContainer::default()
        };
        change(&mut message, &mut spec);
        message.spec = spec.to_string().into_bytes();
        let made = self.call::<Empty>(Method::Create, &message).map(|_| streams.sockets);
        (id, made)
    }

    /// Makes a container and starts it; its streams.
    pub fn run(&mut self, script: &str, roles: &[FdRole]) -> (String, Vec<UnixStream>) {
        self.run_changed(script, roles, |_, _| {})
    }

    pub fn run_changed(
        &mut self,
        script: &str,
        roles: &[FdRole],
        change: impl FnOnce(&mut CreateContainer, &mut Value),
    ) -> (String, Vec<UnixStream>) {
        let (id, made) = self.create(script, roles, change);
        let sockets = made.unwrap_or_else(|error| panic!("create: {error}"));
        self.order(Method::Start, &id).expect("start");
        (id, sockets)
    }

    /// Runs a container to its end: what it wrote, and its wait status.
    pub fn output(&mut self, script: &str, change: impl FnOnce(&mut CreateContainer, &mut Value)) -> (String, i32) {
        let (id, mut sockets) = self.run_changed(script, &[FdRole::Stdout], change);
        let text = read(&mut sockets[0]);
        let status = self.wait(&id, "");
        self.order(Method::Delete, &id).expect("delete");
        (text, status)
    }

    pub fn exec(&mut self, id: &str, name: &str, args: &[&str], roles: &[FdRole]) -> Result<Vec<UnixStream>> {
        let streams = self.open(roles);
        let terminal = roles == [FdRole::Terminal];
        let process =
            json!({"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"], "args": args, "terminal": terminal});
        let message = ExecProcess {
            id: id.into(),
            process: name.into(),
            spec: process.to_string().into_bytes(),
            streams: streams.ids,
            ..ExecProcess::default()
        };
        self.call::<Empty>(Method::Exec, &message).map(|_| streams.sockets)
    }

    pub fn order(&mut self, method: Method, id: &str) -> Result<()> {
        self.call::<Empty>(method, &ContainerRequest { id: id.into() }).map(drop)
    }

    pub fn ask_end(&mut self, id: &str, process: &str) -> u32 {
        self.ask(Method::Wait, &ProcessRequest { id: id.into(), process: process.into() })
    }

    pub fn wait(&mut self, id: &str, process: &str) -> i32 {
        let question = self.ask_end(id, process);
        self.answer::<ExitStatus>(question).expect("wait").wait_status
    }

    /// The agent's pid as this process sees it.
    pub fn agent_pid(&self) -> u32 {
        let children = format!("/proc/{0}/task/{0}/children", self.agent.id());
        fs::read_to_string(children).ok().and_then(|text| text.trim().parse().ok()).expect("unshare has one child")
    }

    /// Ends the agent's program at once.
    pub fn kill(&mut self) {
        self.agent.kill().expect("kill");
        self.agent.wait().expect("wait");
    }

    /// Waits for the agent's end, which must come by itself.
    pub fn end(&mut self) -> ProgramStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.agent.try_wait().expect("wait for unshare") {
                return status;
            }
            assert!(Instant::now() < deadline, "the agent goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Host {
    /// The namespaces end with the agent; its control groups do not, so it ends in good order first.
    fn drop(&mut self) {
        if matches!(self.agent.try_wait(), Ok(None)) {
            let asked = self.connection.ask(self.question, Method::Shutdown, Vec::new(), &[]);
            if asked.is_ok() {
                while self.connection.answer().is_ok_and(|answer| answer.is_some()) {}
            }
            let _ = self.agent.kill();
            let _ = self.agent.wait();
        }
    }
}

/// Cargo builds it with the tests, into the directory above theirs.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.parent().and_then(Path::parent).expect("a target directory").join("stockade-agent")
}

fn accept(listener: &UnixListener) -> Connection {
    let (socket, _) = listener.accept().expect("the agent connects");
    socket.set_read_timeout(Some(LIMIT)).expect("set a limit");
    Connection::new(socket.into())
}

fn reach_guest(socket: &mut UnixStream) {
    writeln!(socket, "CONNECT {STREAM_PORT}").expect("write");
    let mut byte = [0];
    while byte != *b"\n" {
        socket.read_exact(&mut byte).expect("the machine answers");
    }
}

fn rustix_write(connection: &Connection, bytes: &[u8]) -> std::io::Result<usize> {
    let socket = std::os::fd::AsFd::as_fd(connection).try_clone_to_owned()?;
    UnixStream::from(socket).write(bytes)
}

/// All that comes until the end.
pub fn read(socket: &mut UnixStream) -> String {
    let mut text = Vec::new();
    socket.read_to_end(&mut text).expect("read to the end");
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads until a text has come.
pub fn read_until(socket: &mut UnixStream, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let mut bytes = [0; 1024];
        let count = socket.read(&mut bytes).unwrap_or_else(|error| panic!("{error} after {text:?}"));
        assert!(count > 0, "{wanted:?} never came: {text:?}");
        text += &String::from_utf8_lossy(&bytes[..count]);
    }
    text
}

pub fn text(error: Option<Error>) -> String {
    error.map(|error| error.to_string()).unwrap_or_default()
}

pub fn fill_root(root: &Path) -> PathBuf {
    for dir in ["bin", "proc", "sys", "dev", "etc", "tmp", "root"] {
        fs::create_dir_all(root.join(dir)).expect("a directory");
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).expect("a link");
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/:/bin/sh\n").expect("passwd");
    fs::write(root.join("etc/group"), "root:x:0:\nweb:x:33:\n").expect("group");
    root.to_owned()
}

fn default_spec(script: &str) -> Value {
    let capabilities = json!(["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"]);
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh", "-c", script],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "noNewPrivileges": true
        },
        "root": {"path": "/a/path/of/the/host"},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]}
        ],
        "linux": {
            "cgroupsPath": "/docker/of-the-host",
            "namespaces": [
                {"type": "pid"}, {"type": "mount"}, {"type": "network", "path": "/run/netns/of-the-host"},
                {"type": "ipc"}, {"type": "uts"}, {"type": "cgroup"}
            ]
        }
    })
}
