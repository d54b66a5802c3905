//! The API over its socket, as a client sees it: status lines, headers, limits.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Map, Value, json};
use stockade_vm_api::{BindError, Controller, ControllerError, Logger, Metrics, Server, Session, Setup};
use stockade_vmm::config::{
    BalloonStats, CreateSnapshot, DriveUpdate, InstanceId, InstanceInfo, LoadSnapshot, NetworkUpdate, VmConfig, VmState,
};
use stockade_vmm::mmds::{Mmds, SharedMmds};
use tempfile::TempDir;

/// A machine that does as it is told.
struct Obedient;

type Done = Result<(), ControllerError>;

impl Controller for Obedient {
    fn start(&mut self, _: &VmConfig, _: &SharedMmds) -> Done {
        Ok(())
    }
    fn pause(&mut self) -> Done {
        Ok(())
    }
    fn resume(&mut self) -> Done {
        Ok(())
    }
    fn send_ctrl_alt_del(&mut self) -> Done {
        Ok(())
    }
    fn create_snapshot(&mut self, _: &CreateSnapshot) -> Done {
        Ok(())
    }
    fn load_snapshot(&mut self, _: &LoadSnapshot, _: &SharedMmds) -> Result<VmConfig, ControllerError> {
        Ok(VmConfig::default())
    }
    fn update_drive(&mut self, _: &DriveUpdate) -> Done {
        Ok(())
    }
    fn update_network(&mut self, _: &NetworkUpdate) -> Done {
        Ok(())
    }
    fn resize_balloon(&mut self, _: u32) -> Done {
        Ok(())
    }
    fn set_balloon_interval(&mut self, _: u16) -> Done {
        Ok(())
    }
    fn balloon_stats(&mut self) -> Result<BalloonStats, ControllerError> {
        Ok(BalloonStats::default())
    }
    fn metrics(&mut self) -> Map<String, Value> {
        Map::new()
    }
}

const LIMIT: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(20);

/// A server in a thread, which ends with the test.
struct Api {
    socket: PathBuf,
    rested: mpsc::Receiver<()>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<VmState>>,
    _dir: TempDir,
}

impl Api {
    fn new() -> Self {
        let dir = TempDir::new().expect("a directory");
        let socket = dir.path().join("api.sock");
        let server = Server::bind(&socket, LIMIT).expect("bind the socket");
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (rest, rested) = mpsc::channel();
        let rest = move || {
            // The test may have ended.
            let _ = rest.send(());
        };
        let serve = move || {
            let (session, _) = server.run(Session::new(Obedient, setup()), stopped, rest).expect("serve");
            session.state()
        };
        Self { socket, rested, stop: Some(stop), thread: Some(std::thread::spawn(serve)), _dir: dir }
    }

    fn ask(&self, request: &str) -> String {
        ask(&mut connect(&self.socket), request)
    }

    fn put(&self, path: &str, body: &str) -> String {
        let length = body.len();
        self.ask(&format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"))
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(_))), "the server panicked");
    }
}

fn setup() -> Setup {
    Setup {
        info: InstanceInfo {
            id: InstanceId::default(),
            state: VmState::NotStarted,
            vmm_version: "0.0.0".to_owned(),
            app_name: "Stockade".to_owned(),
        },
        config: VmConfig::default(),
        mmds: Mmds::new(LIMIT / 2),
        logger: Logger::new(InstanceId::default()),
        metrics: Metrics::default(),
    }
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
    stream
}

#[test]
fn who_waits_rests_and_who_is_not_asked_once_more() {
    let api = Api::new();
    for _ in 0..2 {
        api.rested.recv_timeout(PATIENCE).expect("a rest after a while");
        assert!(api.rested.recv_timeout(Duration::from_millis(1500)).is_err(), "once");
        api.get("/version");
    }
}

#[test]
fn what_a_start_needed_is_given_back_at_once() {
    let api = Api::new();
    let rests = || std::iter::from_fn(|| api.rested.recv_timeout(Duration::from_millis(1500)).ok()).count();
    api.put("/boot-source", r#"{"kernel_image_path": "/proc/self/exe"}"#);
    assert_eq!(rests(), 1, "after a while");
    let started = api.put("/actions", r#"{"action_type": "InstanceStart"}"#);
    assert!(started.starts_with("HTTP/1.1 204"), "{started}");
    assert_eq!(rests(), 2, "at once, and after a while");
}

/// Sends a request and reads the answer's head and as much body as the head says.
fn ask(stream: &mut UnixStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("send a request");
    let mut answer = String::new();
    loop {
        if let Some((head, body)) = answer.split_once("\r\n\r\n")
            && body.len() >= length(head)
        {
            return answer;
        }
        let mut bytes = [0; 512];
        let count = stream.read(&mut bytes).expect("read an answer");
        assert_ne!(count, 0, "the connection ended after {answer:?}");
        answer.push_str(std::str::from_utf8(&bytes[..count]).expect("text"));
    }
}

fn length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value);
    length.map(|value| value.parse().expect("a number")).next().unwrap_or(0)
}

fn check(answer: &str, status: u16, body: &Value) {
    let (head, shown) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let shown = if shown.is_empty() { Value::Null } else { serde_json::from_str(shown).expect("JSON") };
    assert_eq!(shown, *body);
}

#[test]
fn answers_are_json_and_what_is_done_answers_nothing() {
    let api = Api::new();
    check(&api.put("/machine-config", r#"{"vcpu_count": 2, "mem_size_mib": 128}"#), 204, &Value::Null);
    let answer = api.get("/version");
    check(&answer, 200, &json!({"firecracker_version": stockade_vm_api::API_VERSION}));
    assert!(answer.to_lowercase().contains("content-type: application/json\r\n"), "{answer}");
    let words = "Invalid request method and/or path: GET none.";
    check(&api.get("/none"), 400, &json!({"fault_message": words}));
    check(&api.get("/mmds"), 200, &json!({}));
}

#[test]
fn several_requests_share_a_connection() {
    let api = Api::new();
    let mut stream = connect(&api.socket);
    for _ in 0..3 {
        let answer = ask(&mut stream, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(answer.contains("Not started"), "{answer}");
    }
}

#[test]
fn bodies_have_a_limit_however_they_come() {
    let api = Api::new();
    let words = |size: usize| {
        let words = format!("Request payload with size {size} is larger than the limit of {LIMIT} allowed by server.");
        json!({"error": format!("{words}\nAll previous unanswered requests will be dropped.")})
    };
    check(&api.put("/mmds", &format!("\"{}\"", "x".repeat(LIMIT))), 400, &words(LIMIT + 2));
    let chunk = format!("{:x}\r\n{}\r\n", LIMIT + 2, "x".repeat(LIMIT + 2));
    let chunked =
        format!("PUT /mmds HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    check(&api.ask(&chunked), 400, &words(LIMIT + 1));
    let answer = api.put("/mmds", &format!("\"{}\"", "x".repeat(LIMIT - 2)));
    check(&answer, 413, &json!({"fault_message": "MMDS limit exceeded error: The MMDS patch request doesn't fit."}));
}

#[test]
fn methods_that_there_are_not_are_refused() {
    let answer = Api::new().ask("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let words = "Invalid HTTP Method: Unsupported HTTP method.\nAll previous unanswered requests will be dropped.";
    check(&answer, 400, &json!({"error": words}));
}

#[test]
fn old_forms_answer_with_a_header() {
    let api = Api::new();
    let old = api.put("/vsock", r#"{"vsock_id": "v", "guest_cid": 3, "uds_path": "v.sock"}"#);
    assert!(old.to_lowercase().contains("deprecation: true\r\n"), "{old}");
    let new = api.put("/vsock", r#"{"guest_cid": 3, "uds_path": "v.sock"}"#);
    assert!(!new.to_lowercase().contains("deprecation"), "{new}");
}

#[test]
fn connections_have_a_limit_and_come_back() {
    let api = Api::new();
    let mut open: Vec<UnixStream> = (0..10).map(|_| connect(&api.socket)).collect();
    for stream in &mut open {
        // Answered, so that it was accepted.
        ask(stream, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    let mut refused = String::new();
    connect(&api.socket).read_to_string(&mut refused).expect("read the refusal");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    drop(open);
    let until = std::time::Instant::now() + PATIENCE;
    while !is_served(&api.socket) {
        assert!(std::time::Instant::now() < until, "closed connections still count");
    }
}

/// Whether a connection is answered. One too many may be gone before it has asked.
fn is_served(socket: &Path) -> bool {
    let mut stream = connect(socket);
    let mut status = [0; 12];
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    asked.and_then(|()| stream.read_exact(&mut status)).is_ok() && status == *b"HTTP/1.1 200"
}

#[test]
fn garbage_ends_a_connection_and_nothing_else() {
    let api = Api::new();
    let mut stream = connect(&api.socket);
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\r\n\r\n").expect("send garbage");
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest).map_err(|error| error.kind());
    assert!(matches!(end, Ok(_) | Err(ErrorKind::ConnectionReset)), "the connection ended with {end:?}");
    assert!(api.get("/").contains("Not started"));
}

#[test]
fn a_socket_that_is_there_is_left_alone() {
    let api = Api::new();
    let error = Server::bind(&api.socket, LIMIT).expect_err("it is in use");
    assert!(matches!(error, BindError::InUse(_)));
    let words =
        format!("Failed to open the API socket at: {}. Check that it is not already used.", api.socket.display());
    assert_eq!(error.to_string(), words);
}
