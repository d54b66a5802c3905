//! The document, requests in Firecracker's words, and a guest that speaks TCP to the service.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant as Time;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};

use super::http::{self, Front};
use super::stack::Link;
use super::*;
use crate::config::{MMDS_DEFAULT_ADDRESS, MmdsConfig, MmdsVersion};

const LIMIT: usize = 51_200;

fn config(version: MmdsVersion, imds_compat: bool) -> MmdsConfig {
    MmdsConfig { version, network_interfaces: vec!["net1".to_owned()], ipv4_address: None, imds_compat }
}

fn store(version: MmdsVersion) -> Mmds {
    let mut mmds = Mmds::new(LIMIT);
    mmds.configure(&config(version, false));
    mmds.put(json!({"latest": {"meta-data": {"ami-id": "ami-1", "ports": [80]}, "name": "box"}})).expect("it fits");
    mmds
}

fn check_patch(target: Value, patch: Value, expected: Value) {
    let mut mmds = Mmds::new(LIMIT);
    mmds.put(target).expect("it fits");
    mmds.patch(patch).expect("it fits");
    assert_eq!(*mmds.document(), expected);
}

/// The cases of RFC 7396's appendix that a document can be in.
#[test]
fn a_patch_merges_as_the_rfc_says() {
    check_patch(json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"}));
    check_patch(json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"}));
    check_patch(json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"}));
    check_patch(json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"}));
    check_patch(json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}}));
    check_patch(json!({"a": "foo"}), json!("bar"), json!("bar"));
    check_patch(json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"}));
    check_patch(json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}}));
}

#[test]
fn a_document_that_does_not_fit_changes_nothing() {
    let mut mmds = Mmds::new(20);
    assert_eq!(mmds.patch(json!({})), Err(MmdsError::NotInitialized));
    mmds.put(json!({"a": 1})).expect("it fits");
    assert_eq!(mmds.patch(json!({"b": "x".repeat(20)})), Err(MmdsError::TooLarge));
    assert_eq!(mmds.put(json!({"b": "x".repeat(20)})), Err(MmdsError::TooLarge));
    assert_eq!(*mmds.document(), json!({"a": 1}));
}

/// The status and body of the answer to a request.
fn ask(mmds: &mut Mmds, request: &str, now: Instant) -> (u16, String) {
    let answer = match http::answer(mmds, request.as_bytes(), now) {
        Front::Request { answer, bytes } => {
            assert_eq!(bytes, request.len());
            answer
        }
        Front::Malformed { answer } => answer,
        Front::Partial => panic!("{request} is not whole"),
    };
    split(&String::from_utf8(answer).expect("text"))
}

fn split(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest[..3].parse().ok()).expect("a status");
    (status, body.to_owned())
}

fn check(mmds: &mut Mmds, request: &str, status: u16, body: &str) {
    assert_eq!(ask(mmds, request, Instant::now()), (status, body.to_owned()), "{request}");
}

#[test]
fn the_first_version_answers_at_once() {
    let mut mmds = store(MmdsVersion::V1);
    check(&mut mmds, "GET /latest/name HTTP/1.1\r\n\r\n", 200, "box");
    check(&mut mmds, "GET http://169.254.169.254/latest HTTP/1.1\r\n\r\n", 200, "meta-data/\nname");
    check(&mut mmds, "GET //latest//meta-data/ HTTP/1.1\r\n\r\n", 200, "ami-id\nports");
    let unsupported = "Cannot retrieve value. The value has an unsupported type.";
    check(&mut mmds, "GET /latest/meta-data/ports HTTP/1.1\r\n\r\n", 501, unsupported);
    let as_json = "GET /latest/meta-data/ports HTTP/1.1\r\nAccept: application/json\r\n\r\n";
    check(&mut mmds, as_json, 200, "[80]");
    check(&mut mmds, "GET /none HTTP/1.1\r\n\r\n", 404, "Resource not found: /none.");
    check(&mut mmds, "POST / HTTP/1.1\r\n\r\n", 405, "Not allowed HTTP method.");
    check(&mut mmds, "GET none HTTP/1.1\r\n\r\n", 400, "Invalid URI.");
    check(&mut mmds, "no request at all\r\n\r\n", 400, "Invalid request.");
}

#[test]
fn ec2s_form_ignores_what_the_guest_accepts() {
    let mut mmds = store(MmdsVersion::V1);
    mmds.configure(&config(MmdsVersion::V1, true));
    check(&mut mmds, "GET /latest HTTP/1.1\r\nAccept: application/json\r\n\r\n", 200, "meta-data/\nname");
}

#[test]
fn the_second_version_needs_a_token_that_lives() {
    let mut mmds = store(MmdsVersion::V2);
    let now = Instant::now();
    let (status, words) = ask(&mut mmds, "GET /latest/name HTTP/1.1\r\n\r\n", now);
    assert_eq!((status, words.starts_with("No MMDS token provided. ")), (401, true), "{words}");
    let put = "PUT /latest/api/token HTTP/1.1\r\nX-metadata-token-ttl-seconds: 60\r\n\r\n";
    let (status, token) = ask(&mut mmds, put, now);
    assert_eq!(status, 200);
    let get = format!("GET /latest/name HTTP/1.1\r\nx-aws-ec2-metadata-token: {token}\r\n\r\n");
    assert_eq!(ask(&mut mmds, &get, now + Duration::from_secs(59)), (200, "box".to_owned()));
    let late = ask(&mut mmds, &get, now + Duration::from_secs(60));
    assert_eq!(late, (401, "MMDS token not valid.".to_owned()));
}

#[test]
fn tokens_are_given_out_for_a_bounded_time_at_one_path() {
    let mut mmds = store(MmdsVersion::V2);
    let put = |path: &str, header: &str| format!("PUT {path} HTTP/1.1\r\n{header}\r\n\r\n");
    let ttl = "X-aws-ec2-metadata-token-ttl-seconds";
    let path = "/latest/api/token";
    let range = "Please provide a value between 1 and 21600.";
    let refused = format!("Invalid time to live value provided for token: 0. {range}");
    check(&mut mmds, &put(path, &format!("{ttl}: 0")), 400, &refused);
    let refused = format!("Invalid time to live value provided for token: 21601. {range}");
    check(&mut mmds, &put(path, &format!("{ttl}: 21601")), 400, &refused);
    let refused = format!("Invalid header. Reason: Invalid value. Key:{ttl}; Value:soon");
    check(&mut mmds, &put(path, &format!("{ttl}: soon")), 400, &refused);
    check(&mut mmds, &put("/other", &format!("{ttl}: 1")), 404, "Resource not found: /other.");
    let forwarded = "Invalid header. Reason: Unsupported header name. Key: X-Forwarded-For";
    check(&mut mmds, &put(path, "X-Forwarded-For: a"), 400, forwarded);
    let (status, words) = ask(&mut mmds, &put(path, "Accept: text/plain"), Instant::now());
    assert_eq!((status, words.starts_with("Token time to live value not found. ")), (400, true), "{words}");
}

#[test]
fn a_guest_cannot_fill_the_table_of_tokens() {
    let mut mmds = store(MmdsVersion::V2);
    let now = Instant::now();
    let first = mmds.issue_token(1, now).expect("a token");
    let last = (0..300).map(|_| mmds.issue_token(60, now).expect("a token")).last().expect("tokens");
    assert!(!mmds.has_token(&first, now), "it ended first");
    assert!(mmds.has_token(&last, now));
}

/// A guest with a TCP of its own on the service's link.
struct Guest {
    stack: Stack,
    link: Link,
    interface: Interface,
    sockets: SocketSet<'static>,
    begun: Instant,
    now: Instant,
}

impl Guest {
    fn new(mmds: Mmds) -> Self {
        let now = Instant::now();
        let mut link = Link::default();
        let mac = EthernetAddress([6, 0, 0xac, 0x10, 0, 2]);
        let mut interface = Interface::new(Config::new(HardwareAddress::Ethernet(mac)), &mut link, Time::ZERO);
        let address = IpCidr::new(Ipv4Addr::new(169, 254, 1, 1).into(), 16);
        interface.update_ip_addrs(|addresses| addresses.push(address).expect("room for one"));
        let stack = Stack::new(MMDS_DEFAULT_ADDRESS, Arc::new(Mutex::new(mmds)), now);
        Self { stack, link, interface, sockets: SocketSet::new(Vec::new()), begun: now, now }
    }

    fn connect(&mut self, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 1024]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let remote = (MMDS_DEFAULT_ADDRESS, 80);
        socket.connect(self.interface.context(), remote, port).expect("a free port");
        self.sockets.add(socket)
    }

    /// Moves frames both ways for a while; gives how many the service sent.
    fn turn(&mut self) -> usize {
        self.now += Duration::from_millis(10);
        let time = Time::from_micros(i64::try_from((self.now - self.begun).as_micros()).expect("a short test"));
        self.interface.poll(time, &mut self.link, &mut self.sockets);
        let mut sent = self.stack.poll(self.now);
        for frame in std::mem::take(&mut self.link.sent) {
            assert!(self.stack.takes(&frame), "all that this guest sends is for the service");
            sent.extend(self.stack.handle(&frame, self.now));
        }
        let count = sent.len();
        self.link.received.extend(sent);
        count
    }

    fn turns(&mut self, count: usize) {
        (0..count).for_each(|_| {
            self.turn();
        });
    }

    fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    fn ask(&mut self, handle: SocketHandle, request: &str) -> String {
        let mut answer = Vec::new();
        let mut rest = request.as_bytes();
        for _ in 0..500 {
            self.turn();
            let socket = self.socket(handle);
            if socket.can_send() && !rest.is_empty() {
                rest = &rest[socket.send_slice(rest).expect("an open connection")..];
            }
            if socket.can_recv() {
                let take = |bytes: &mut [u8]| (bytes.len(), answer.extend_from_slice(bytes));
                socket.recv(take).expect("bytes");
            }
        }
        String::from_utf8(answer).expect("text")
    }
}

#[test]
fn a_guest_reads_a_document_larger_than_any_buffer() {
    let mut mmds = Mmds::new(LIMIT);
    let long = "x".repeat(40_000);
    mmds.put(json!({"long": long})).expect("it fits");
    let mut guest = Guest::new(mmds);
    let connection = guest.connect(1001);
    let answer = guest.ask(connection, "GET /long HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n");
    assert_eq!(split(&answer), (200, long));
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    let mut guest = Guest::new(store(MmdsVersion::V1));
    let connection = guest.connect(1001);
    for _ in 0..2 {
        let answer = guest.ask(connection, "GET /latest/name HTTP/1.1\r\n\r\n");
        assert_eq!(split(&answer), (200, "box".to_owned()));
    }
    let two = "GET /latest/name HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\n\r\n";
    let answers = guest.ask(connection, two);
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 404").count(), 1, "{answers}");
}

#[test]
fn idle_connections_make_room_for_new_ones() {
    let mut guest = Guest::new(store(MmdsVersion::V1));
    for port in 0..40 {
        guest.connect(2000 + port);
        guest.turns(5);
    }
    let connection = guest.connect(1001);
    let answer = guest.ask(connection, "GET /latest/name HTTP/1.1\r\n\r\n");
    assert_eq!(split(&answer), (200, "box".to_owned()));
}

#[test]
fn a_request_without_end_is_refused_and_the_connection_closed() {
    let mut guest = Guest::new(store(MmdsVersion::V1));
    let connection = guest.connect(1001);
    let answer = guest.ask(connection, &format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(5000)));
    assert_eq!(split(&answer), (400, "Invalid request.".to_owned()));
    assert!(!guest.socket(connection).may_recv());
}

#[test]
fn a_guest_that_is_silent_hears_nothing() {
    let mut guest = Guest::new(store(MmdsVersion::V1));
    assert_eq!((0..100).map(|_| guest.turn()).sum::<usize>(), 0);
}

#[test]
fn frames_of_others_are_not_taken() {
    let guest = Guest::new(store(MmdsVersion::V1));
    let mut frame = vec![0; 60];
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[30..34].copy_from_slice(&[10, 0, 0, 1]);
    assert!(!guest.stack.takes(&frame));
    frame[30..34].copy_from_slice(&[169, 254, 169, 254]);
    assert!(guest.stack.takes(&frame));
    assert!(!guest.stack.takes(&frame[..33]), "cut short");
    assert!(!guest.stack.takes(&[]));
}

/// Bytes of every length and kind, from a sequence without a pattern: no answer matters, only that there is an end.
#[test]
fn hostile_frames_do_no_harm() {
    let mut guest = Guest::new(store(MmdsVersion::V1));
    let connection = guest.connect(1001);
    guest.turns(5);
    let mut state = 1_u32;
    for round in 0..20_000_usize {
        let mut frame: Vec<u8> = (0..round % 120).map(|_| next(&mut state)).collect();
        let head = [6, 1, 0x23, 0x45, 0x67, 1, 6, 0, 0xac, 0x10, 0, 2, 8, 0, 0x45, 0];
        let known = frame.len().min(head.len());
        frame[..known].copy_from_slice(&head[..known]);
        drop(guest.stack.handle(&frame, guest.now));
    }
    guest.socket(connection).abort();
    let connection = guest.connect(1002);
    let answer = guest.ask(connection, "GET /latest/name HTTP/1.1\r\n\r\n");
    assert_eq!(split(&answer), (200, "box".to_owned()));
}

/// Xorshift.
fn next(state: &mut u32) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    state.to_le_bytes()[0]
}
