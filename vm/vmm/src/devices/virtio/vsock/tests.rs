//! Both directions of Firecracker's scheme, and guests that do not keep to the protocol.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use super::super::testing::{DATA, Driver, Part};
use super::connection::BUFFER;
use super::*;

const CID: u32 = 42;
const REQUEST: u16 = 1;
const RESPONSE: u16 = 2;
const RESET: u16 = 3;
const SHUTDOWN: u16 = 4;
const RW: u16 = 5;
const CREDIT_UPDATE: u16 = 6;

struct Case {
    driver: Driver,
    vsock: Vsock,
    directory: tempfile::TempDir,
    buffers: u64,
}

/// What the guest got.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    operation: u16,
    host: u32,
    guest: u32,
    flags: u32,
    data: Vec<u8>,
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let vsock = Vsock::new(CID, &directory.path().join("v")).expect("listen");
        Self::with(vsock, directory)
    }

    fn with(vsock: Vsock, directory: tempfile::TempDir) -> Self {
        let mut case = Case { driver: Driver::new(&QUEUES), vsock, directory, buffers: 0 };
        case.offer_buffers(8);
        case
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("v{suffix}"))
    }

    fn offer_buffers(&mut self, count: u64) {
        for _ in 0..count {
            let at = DATA + 0x8_0000 + self.buffers % 64 * 0x2000;
            self.driver.add(RECEIVE, &[Part::Write(at, HEADER_LEN), Part::Write(at + 0x100, 0x1000)]);
            self.buffers += 1;
        }
    }

    /// The guest sends a packet.
    fn send(&mut self, operation: u16, (host, guest): (u32, u32), flags: u32, data: &[u8]) {
        let header = header(operation, (host, guest), flags, data.len());
        self.send_raw(&header, data);
    }

    fn send_raw(&mut self, header: &[u8], data: &[u8]) {
        self.driver.write(DATA, header);
        self.driver.write(DATA + 0x1000, data);
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).expect("short");
        self.driver.add(TRANSMIT, &[Part::Read(DATA, len(header)), Part::Read(DATA + 0x1000, len(data))]);
        self.vsock.notified(TRANSMIT, &mut self.driver.queues).expect("served");
    }

    /// Lets the device look at its sockets.
    fn poll(&mut self) {
        self.vsock.ready(0, &mut self.driver.queues).expect("polled");
    }

    /// What the guest received since the last time.
    fn got(&mut self) -> Vec<Got> {
        let used = self.driver.used(RECEIVE);
        used.into_iter().map(|(head, len)| self.got_one(head, len)).collect()
    }

    fn got_one(&self, head: u16, len: u32) -> Got {
        let at = DATA + 0x8_0000 + u64::from(head) / 2 % 64 * 0x2000;
        let bytes = self.driver.read(at, 44);
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        assert_eq!(word(24), len - HEADER_LEN);
        let data = self.driver.read(at + 0x100, usize::try_from(len - HEADER_LEN).expect("short"));
        let operation = u16::from_le_bytes([bytes[30], bytes[31]]);
        Got { operation, host: word(16), guest: word(20), flags: word(32), data }
    }

    /// Operations only.
    fn operations(&mut self) -> Vec<u16> {
        self.got().into_iter().map(|got| got.operation).collect()
    }

    /// A connection from the guest to port 9 of the host, from its port 1000.
    fn connected(&mut self) -> UnixStream {
        let listener = UnixListener::bind(self.path("_9")).expect("listen");
        self.send(REQUEST, (9, 1000), 0, b"");
        assert_eq!(self.operations(), [RESPONSE]);
        listener.accept().expect("the device connected").0
    }
}

fn header(operation: u16, (host, guest): (u32, u32), flags: u32, len: usize) -> Vec<u8> {
    let mut bytes = u64::from(CID).to_le_bytes().to_vec();
    bytes.extend(2_u64.to_le_bytes());
    let len = u32::try_from(len).expect("short");
    for word in [guest, host, len, 1 | u32::from(operation) << 16, flags, 0x1_0000, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

#[test]
fn the_guest_reaches_a_socket_of_the_host() {
    let mut case = Case::new();
    let mut host = case.connected();
    case.send(RW, (9, 1000), 0, b"ping");
    let mut heard = [0; 4];
    host.read_exact(&mut heard).expect("read");
    assert_eq!(&heard, b"ping");
    host.write_all(b"pong").expect("write");
    case.poll();
    let expected = Got { operation: RW, host: 9, guest: 1000, flags: 0, data: b"pong".into() };
    assert_eq!(case.got(), [expected]);
}

#[test]
fn a_process_of_the_host_reaches_a_port_of_the_guest() {
    let mut case = Case::new();
    let mut process = UnixStream::connect(case.path("")).expect("connect");
    process.write_all(b"CONNECT 52\nearly").expect("write");
    case.poll();
    let [request] = &case.got()[..] else { panic!("one request") };
    assert_eq!((request.operation, request.guest), (REQUEST, 52));
    case.send(RESPONSE, (request.host, 52), 0, b"");
    let mut line = vec![0; 14];
    process.read_exact(&mut line).expect("read");
    assert_eq!(line, format!("OK {}\n", request.host).into_bytes());
    assert_eq!(case.got()[0].data, b"early");
}

#[test]
fn a_port_without_a_listener_is_reset() {
    let mut case = Case::new();
    case.send(REQUEST, (10, 1000), 0, b"");
    assert_eq!(case.operations(), [RESET]);
    let mut process = UnixStream::connect(case.path("")).expect("connect");
    process.write_all(b"CONNECT 52\n").expect("write");
    case.poll();
    let port = case.got()[0].host;
    case.send(RESET, (port, 52), 0, b"");
    assert_eq!(process.read(&mut [0; 8]).expect("closed"), 0);
}

#[test]
fn each_direction_ends_by_itself() {
    let mut case = Case::new();
    let mut host = case.connected();
    host.shutdown(std::net::Shutdown::Write).expect("half close");
    case.poll();
    let got = case.got();
    assert_eq!((got[0].operation, got[0].flags), (SHUTDOWN, 2));
    case.send(RW, (9, 1000), 0, b"still here");
    case.send(SHUTDOWN, (9, 1000), 2, b"");
    let mut heard = String::new();
    host.read_to_string(&mut heard).expect("to its end");
    assert_eq!(heard, "still here");
    case.send(SHUTDOWN, (9, 1000), 3, b"");
    assert_eq!(case.operations(), [RESET]);
}

#[test]
fn a_process_that_leaves_ends_both() {
    let mut case = Case::new();
    drop(case.connected());
    case.poll();
    let got = case.got();
    assert_eq!((got[0].operation, got[0].flags), (SHUTDOWN, 3));
}

#[test]
fn a_guest_without_buffers_gets_its_packets_later() {
    let mut case = Case::new();
    let mut host = case.connected();
    for _ in 0..7 {
        host.write_all(&[5; 0x1000]).expect("write");
    }
    host.write_all(b"last").expect("write");
    case.poll();
    assert_eq!(case.got().len(), 7);
    case.offer_buffers(1);
    case.vsock.notified(RECEIVE, &mut case.driver.queues).expect("served");
    assert_eq!(case.got()[0].data, b"last");
}

#[test]
fn the_guests_credit_is_kept_to() {
    let mut case = Case::new();
    let mut host = case.connected();
    case.offer_buffers(40);
    host.write_all(&[5; 0x1_1000]).expect("write");
    case.poll();
    let sent: usize = case.got().iter().map(|got| got.data.len()).sum();
    assert_eq!(sent, 0x1_0000);
    // 0x800 bytes more than nothing are free again.
    let mut update = header(CREDIT_UPDATE, (9, 1000), 0, 0);
    update[40..44].copy_from_slice(&0x800_u32.to_le_bytes());
    case.send_raw(&update, b"");
    assert_eq!(case.got()[0].data.len(), 0x800);
}

#[test]
fn a_guest_that_sends_more_than_fits_is_reset() {
    let mut case = Case::new();
    let _host = case.connected();
    let mut reset = false;
    // The socket's own buffer takes some.
    for _ in 0..(BUFFER + (4 << 20)) / 0x8000 {
        case.send(RW, (9, 1000), 0, &[1; 0x8000]);
        case.offer_buffers(1);
        reset |= case.operations().contains(&RESET);
        if reset {
            break;
        }
    }
    assert!(reset);
}

#[test]
fn packets_that_make_no_sense_do_no_harm() {
    let mut case = Case::new();
    let _host = case.connected();
    let mut foreign = header(RW, (9, 1000), 0, 4);
    foreign[0] = 3;
    case.send_raw(&foreign, b"fake");
    let mut elsewhere = header(RW, (9, 1000), 0, 4);
    elsewhere[8] = 1;
    case.send_raw(&elsewhere, b"lost");
    case.send_raw(&header(RW, (9, 1000), 0, 100), b"short");
    case.send_raw(&[0; 43], b"");
    assert_eq!(case.operations(), [] as [u16; 0]);
    case.send(77, (9, 1000), 0, b"");
    case.send(RW, (9, 1001), 0, b"nobody");
    case.send(REQUEST, (9, 1000), 0, b"");
    assert_eq!(case.operations(), [RESET, RESET, RESET]);
}

#[test]
fn a_buffer_without_room_for_a_header_is_a_breach() {
    let mut case = Case { driver: Driver::new(&QUEUES), ..Case::new() };
    case.driver.add(RECEIVE, &[Part::Write(DATA, HEADER_LEN - 1)]);
    case.driver.write(DATA, &header(REQUEST, (9, 1000), 0, 0));
    case.driver.add(TRANSMIT, &[Part::Read(DATA, HEADER_LEN)]);
    let error = case.vsock.notified(TRANSMIT, &mut case.driver.queues).expect_err("too short");
    assert!(error.to_string().contains("shorter than a header"));
}

#[test]
fn strangers_that_say_nothing_useful_are_sent_away() {
    let mut case = Case::new();
    let mut process = UnixStream::connect(case.path("")).expect("connect");
    process.write_all(b"GET / HTTP/1.1\r\n").expect("write");
    case.poll();
    assert!(matches!(process.read(&mut [0; 8]), Ok(0) | Err(_)));
    assert_eq!(case.operations(), [] as [u16; 0]);
}

#[test]
fn a_channel_reaches_the_guest_without_a_word() {
    let (inside, peer) = channel(&[1024]).expect("bells");
    let directory = tempfile::tempdir().expect("directory");
    let mut case = Case::with(Vsock::within(CID, inside).expect("device"), directory);
    let mut host = peer.connect(7).expect("a socket");
    host.write_all(b"hello").expect("write");
    case.poll();
    let request = case.got().remove(0);
    assert_eq!((request.operation, request.guest), (REQUEST, 7));
    case.send(RESPONSE, (request.host, 7), 0, b"");
    case.poll();
    let data = case.got().remove(0);
    assert_eq!((data.operation, data.data.as_slice()), (RW, &b"hello"[..]));
    case.send(RW, (request.host, 7), 0, b"and you");
    let mut said = [0; 7];
    host.read_exact(&mut said).expect("read");
    assert_eq!(&said, b"and you");
}

#[test]
fn a_channel_takes_the_guest_at_its_ports_alone() {
    let (inside, peer) = channel(&[1024]).expect("bells");
    let directory = tempfile::tempdir().expect("directory");
    let mut case = Case::with(Vsock::within(CID, inside).expect("device"), directory);
    case.send(REQUEST, (1025, 1000), 0, b"");
    case.send(REQUEST, (1024, 1000), 0, b"");
    assert_eq!(case.operations(), [RESET, RESPONSE]);
    let (port, mut host) = peer.accept().expect("a connection");
    case.send(RW, (1024, 1000), 0, b"ping");
    let mut said = [0; 4];
    host.read_exact(&mut said).expect("read");
    assert_eq!((port, &said), (1024, b"ping"));
    assert!(peer.accept().is_none());
}
