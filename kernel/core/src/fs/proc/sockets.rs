//! /proc/net/{tcp,tcp6,udp,udp6,unix}: the sockets that processes of the container have open (proc_net(5)).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ProcSystem;
use super::net::{TCP, TCP6, UDP, UDP6, UNIX};
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};
use crate::net::{self, Address, Endpoint, Ip, Kind, Socket, SocketFile};
use crate::vfs::File;

/// States of TCP as Linux numbers them.
const ESTABLISHED: u8 = 1;
const CLOSED: u8 = 7;
const LISTENING: u8 = 10;
/// `__SO_ACCEPTCON`
const ACCEPTS: u32 = 0x1_0000;
/// Lines of version 4 are filled up to these.
const TCP_COLUMNS: usize = 149;
const UDP_COLUMNS: usize = 127;

/// Every open socket once.
fn sockets(system: &ProcSystem) -> Vec<Arc<File>> {
    let tasks = system.processes().into_iter().flat_map(|process| process.tasks());
    let files = tasks.flat_map(|task| task.files().all()).map(|(_, descriptor)| descriptor.file);
    let mut sockets: Vec<Arc<File>> = files.filter(|file| file.downcast::<SocketFile>().is_some()).collect();
    sockets.sort_by_key(|file| file.id());
    sockets.dedup_by_key(|file| file.id());
    sockets
}

/// The open sockets of a family and a kind.
fn each(system: &ProcSystem, family: u16, kind: Option<Kind>, mut show: impl FnMut(&File, &dyn Socket)) {
    for file in sockets(system) {
        let Some(socket) = file.downcast::<SocketFile>().map(SocketFile::socket) else { continue };
        if socket.family() == family && kind.is_none_or(|kind| socket.kind() == kind) {
            show(&file, &**socket);
        }
    }
}

fn endpoint(address: Result<Address, Errno>, family: u16) -> Endpoint {
    match address {
        Ok(Address::Inet { endpoint, .. }) => endpoint,
        _ if family == net::INET => Endpoint { ip: Ip::ANY_V4, port: 0 },
        _ => Endpoint { ip: Ip::ANY, port: 0 },
    }
}

/// An address in the byte order of the machine, a word at a time.
fn write_endpoint(text: &mut Text, family: u16, endpoint: Endpoint) {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    let from = if family == net::INET { 12 } else { 0 };
    for bytes in endpoint.ip.0[from..].chunks(4) {
        write!(text, "{:08X}", word(bytes));
    }
    write!(text, ":{:04X}", endpoint.port);
}

/// What TCP and UDP lines have in common, up to the inode.
fn write_common(text: &mut Text, file: &File, socket: &dyn Socket, state: u8) {
    let family = socket.family();
    write_endpoint(text, family, endpoint(Ok(socket.name()), family));
    text.bytes(b" ");
    write_endpoint(text, family, endpoint(socket.peer_name(), family));
    let uid = file.inode().stat().map_or(0, |stat| stat.uid);
    write!(text, " {state:02X} 00000000:{:08X} 00:00000000 00000000", socket.readable_bytes());
    write!(text, " {uid:>5} {:>8} {}", 0, file.inode().number());
}

/// One line per socket that `line` writes one for: it is given the number and says whether it did.
fn table(
    system: &ProcSystem,
    family: u16,
    kind: Kind,
    head: &str,
    columns: usize,
    mut line: impl FnMut(&mut Text, usize, &File, &dyn Socket) -> bool,
) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    text.bytes(head.as_bytes());
    let mut number = 0;
    each(system, family, Some(kind), |file, socket| {
        let start = text.len();
        if !line(&mut text, number, file, socket) {
            return;
        }
        if family == net::INET {
            text.pad(start, columns);
        }
        text.bytes(b"\n");
        number += 1;
    });
    text.finish()
}

/// Sockets that are neither connected nor listening are not shown, as on Linux.
fn tcp_table(system: &ProcSystem, family: u16, head: &str) -> Result<Vec<u8>, Errno> {
    table(system, family, Kind::Stream, head, TCP_COLUMNS, |text, number, file, socket| {
        let state = match (socket.is_listening(), socket.peer_name()) {
            (true, _) => LISTENING,
            (false, Ok(_)) => ESTABLISHED,
            (false, Err(_)) => return false,
        };
        write!(text, "{number:>4}: ");
        write_common(text, file, socket, state);
        write!(text, " 1 0000000000000000 100 0 0 10 0");
        true
    })
}

fn udp_table(system: &ProcSystem, family: u16, head: &str) -> Result<Vec<u8>, Errno> {
    table(system, family, Kind::Datagram, head, UDP_COLUMNS, |text, number, file, socket| {
        if endpoint(Ok(socket.name()), family).port == 0 {
            return false;
        }
        write!(text, "{number:>5}: ");
        let state = if socket.peer_name().is_ok() { ESTABLISHED } else { CLOSED };
        write_common(text, file, socket, state);
        write!(text, " 2 0000000000000000 0");
        true
    })
}

/// /proc/net/tcp
pub(super) fn tcp(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    tcp_table(system, net::INET, TCP)
}

/// /proc/net/tcp6
pub(super) fn tcp6(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    tcp_table(system, net::INET6, TCP6)
}

/// /proc/net/udp
pub(super) fn udp(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    udp_table(system, net::INET, UDP)
}

/// /proc/net/udp6
pub(super) fn udp6(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    udp_table(system, net::INET6, UDP6)
}

/// /proc/net/unix (unix(7)): the name, with `@` for the zeros of an abstract one.
pub(super) fn unix(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    text.bytes(UNIX.as_bytes());
    each(system, net::UNIX, None, |file, socket| {
        let flags = if socket.is_listening() { ACCEPTS } else { 0 };
        let state = if socket.peer_name().is_ok() { 3 } else { 1 };
        write!(text, "0000000000000000: {:08X} 00000000 {flags:08X}", 2);
        write!(text, " {:04X} {state:02X} {:>5}", socket.kind().raw(), file.inode().number());
        if let Address::Unix(name) = socket.name()
            && !name.is_empty()
        {
            let shown: Vec<u8> = match name.split_first() {
                Some((0, _)) => name.iter().map(|byte| if *byte == 0 { b'@' } else { *byte }).collect(),
                _ => name,
            };
            text.bytes(b" ").bytes(&shown);
        }
        text.bytes(b"\n");
    });
    text.finish()
}
